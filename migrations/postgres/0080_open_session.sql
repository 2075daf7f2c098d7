-- Opens a session after a correct password, stores a stronger hash of it if there is one, and ends the least recently used
-- sessions beyond the maximum. Fails with the error US001 if the counters or the password have changed. Locks the user
-- before it reads the sessions in a later statement, so that two logins see each other's session.
CREATE FUNCTION open_session_v2(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    of_user uuid := call ->> 'user_id';
    now bigint := call ->> 'at';
    result jsonb;
BEGIN
    PERFORM write_counters_v1(call -> 'counters');
    PERFORM 1 FROM users WHERE id = of_user AND credentials = (call ->> 'credentials')::bigint FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the password has changed' USING ERRCODE = 'US001';
    END IF;
    IF call ->> 'stronger_hash' IS NOT NULL THEN
        UPDATE users SET password_hash = call ->> 'stronger_hash', hash_class = call ->> 'hash_class',
            version = version + 1, changed_at = now WHERE id = of_user;
    END IF;
    PERFORM insert_session_v1(call -> 'session', of_user, now);
    result := end_sessions_v1(ARRAY(
        SELECT id FROM sessions WHERE user_id = of_user AND id <> (call -> 'session' ->> 'id')::uuid
        -- Not by the index of ages, which a plan from before the table grew could read as a whole.
        ORDER BY rotated_at + 0 DESC LIMIT 1000 OFFSET (call ->> 'max_sessions')::bigint - 1
    ), now);
    PERFORM record_change_v1(call -> 'change', '{}', '{}');
    RETURN result;
END $$;
