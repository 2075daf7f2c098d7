-- Ends a session. Stores nothing and returns null if there is no such session. The entry of revocations has at least the
-- time of the last token.
CREATE FUNCTION end_session_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    of_user uuid;
    issued bigint;
BEGIN
    DELETE FROM sessions WHERE id = (call ->> 'session_id')::uuid
    RETURNING user_id, GREATEST((call ->> 'at')::bigint, rotated_at, issued_until) INTO of_user, issued;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO revocations (subject, at, kind) VALUES ((call ->> 'session_id')::uuid, issued, 1);
    PERFORM record_change_v1(call -> 'change', jsonb_build_object('user_id', of_user),
        jsonb_build_object('user_id', of_user, 'number', 1));
    RETURN jsonb_build_object('ended', jsonb_build_array(call ->> 'session_id'), 'issued_until', issued);
END $$;
