-- Ends all sessions of a user and voids the codes. Stores nothing and returns null if there is no session. Locks the user
-- before it deletes the sessions in a later statement, so that a session that a login opens meanwhile ends too.
CREATE FUNCTION end_all_sessions_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    of_user uuid := call ->> 'user_id';
    now bigint := call ->> 'at';
    result jsonb;
BEGIN
    PERFORM 1 FROM users WHERE id = of_user FOR NO KEY UPDATE;
    result := end_sessions_v1(ARRAY(SELECT id FROM sessions WHERE user_id = of_user), now);
    IF result -> 'ended' = '[]' THEN
        RETURN NULL;
    END IF;
    -- The rows of resets stay, since their deletion would reveal that the address belongs to an account.
    DELETE FROM verifications WHERE user_id = of_user AND purpose = 'email_change';
    UPDATE verifications SET dead = 2, user_id = NULL WHERE user_id = of_user;
    PERFORM record_change_v1(call -> 'change', '{}', jsonb_build_object('number', jsonb_array_length(result -> 'ended')));
    RETURN result;
END $$;
