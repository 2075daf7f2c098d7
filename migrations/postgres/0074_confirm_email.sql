-- Uses up the code of a change of an email address, stores the address, voids the codes of the account, and queues a notice
-- to the old address. Fails with the error US001 if the code cannot be used, or if another account has the address; then
-- nothing is stored. The error does not contain the address, so a unique violation is not reported as such.
CREATE FUNCTION confirm_email_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    new_rank bigint := next_rank_v1(call);
    spent verifications%ROWTYPE;
    before users%ROWTYPE;
    changed users%ROWTYPE;
BEGIN
    spent := spend_code_v1(call);
    IF EXISTS (SELECT 1 FROM users WHERE email_key = spent.email_key AND id <> spent.user_id) THEN
        RAISE EXCEPTION 'the address is taken' USING ERRCODE = 'US001';
    END IF;
    SELECT * INTO before FROM users WHERE id = spent.user_id;
    BEGIN
        UPDATE users SET email = spent.email, email_key = spent.email_key, mailbox = spent.mailbox, version = version + 1,
            changed_at = (call ->> 'at')::bigint
        WHERE id = spent.user_id RETURNING * INTO changed;
    EXCEPTION WHEN unique_violation THEN
        RAISE EXCEPTION 'the address is taken' USING ERRCODE = 'US001';
    END;
    PERFORM void_codes_v1(changed.id);
    PERFORM queue_notice_v1(call, before, new_rank);
    PERFORM record_change_v1(call -> 'change', jsonb_build_object('user_id', changed.id),
        jsonb_build_object('user_id', changed.id));
    RETURN to_jsonb(changed);
END $$;
