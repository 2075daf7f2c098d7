-- Ends a session. Stores nothing and returns null if there is no such session.
CREATE FUNCTION end_session_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    of_user uuid;
BEGIN
    DELETE FROM sessions WHERE id = (call ->> 'session_id')::uuid RETURNING user_id INTO of_user;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO revocations (subject, at, kind) VALUES ((call ->> 'session_id')::uuid, (call ->> 'at')::bigint, 1);
    PERFORM record_change_v1(call -> 'change', jsonb_build_object('user_id', of_user),
        jsonb_build_object('user_id', of_user, 'number', 1));
    RETURN '{}'::jsonb;
END $$;
