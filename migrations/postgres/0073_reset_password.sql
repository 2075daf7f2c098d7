-- Uses up the code of a password reset, stores the new password, ends all sessions, voids the codes of the account, and
-- queues a notice. Fails with the error US001 if the code cannot be used. The user is locked before the sessions are read in
-- a later statement, so that a session that a login opens meanwhile ends too.
CREATE FUNCTION reset_password_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now bigint := call ->> 'at';
    new_rank bigint := next_rank_v1(call);
    spent verifications%ROWTYPE;
    changed users%ROWTYPE;
    result jsonb;
BEGIN
    spent := spend_code_v1(call);
    UPDATE users SET password_hash = call ->> 'password_hash', hash_class = call ->> 'hash_class',
        credentials = credentials + 1, version = version + 1, changed_at = now
    WHERE id = spent.user_id RETURNING * INTO changed;
    result := end_sessions_v1(ARRAY(SELECT id FROM sessions WHERE user_id = changed.id), now);
    PERFORM void_codes_v1(changed.id);
    PERFORM queue_notice_v1(call, changed, new_rank);
    PERFORM record_change_v1(call -> 'change', jsonb_build_object('user_id', changed.id),
        jsonb_build_object('user_id', changed.id, 'number', jsonb_array_length(result -> 'ended')));
    RETURN result || jsonb_build_object('user', to_jsonb(changed));
END $$;
