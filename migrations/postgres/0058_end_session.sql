-- Ends a session. Stores nothing and returns null if there is no such session.
CREATE FUNCTION end_session_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    of_user uuid;
    result jsonb;
BEGIN
    SELECT user_id INTO of_user FROM sessions WHERE id = (call ->> 'session_id')::uuid;
    result := end_sessions_v1(ARRAY[(call ->> 'session_id')::uuid], (call ->> 'at')::bigint);
    IF result -> 'ended' = '[]' THEN
        RETURN NULL;
    END IF;
    PERFORM record_change_v1(call -> 'change', jsonb_build_object('user_id', of_user),
        jsonb_build_object('user_id', of_user, 'number', 1));
    RETURN result;
END $$;
