-- Opens a session after a correct password, and ends the least recently used sessions beyond the maximum. Fails with the
-- error US001 if the counters or the password have changed. Locks the user before it reads the sessions in a later
-- statement, so that two logins see each other's session. An entry of revocations has at least the time of the last token.
CREATE FUNCTION open_session_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    of_user uuid := call ->> 'user_id';
    now bigint := call ->> 'at';
    ended uuid[];
    issued bigint;
BEGIN
    PERFORM write_counters_v1(call -> 'counters');
    PERFORM 1 FROM users WHERE id = of_user AND credentials = (call ->> 'credentials')::bigint FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the password has changed' USING ERRCODE = 'US001';
    END IF;
    PERFORM insert_session_v1(call -> 'session', of_user, now);
    WITH gone AS (
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions WHERE user_id = of_user AND id <> (call -> 'session' ->> 'id')::uuid
            ORDER BY rotated_at DESC LIMIT 1000 OFFSET (call ->> 'max_sessions')::bigint - 1
        ) RETURNING id, GREATEST(now, rotated_at, issued_until) AS issued_at
    ), logged AS (
        INSERT INTO revocations (subject, at, kind) SELECT id, issued_at, 1 FROM gone
    )
    SELECT array_agg(id), COALESCE(MAX(issued_at), now) INTO ended, issued FROM gone;
    PERFORM record_change_v1(call -> 'change', '{}', '{}');
    RETURN jsonb_build_object('ended', COALESCE(to_jsonb(ended), '[]'), 'issued_until', issued);
END $$;
