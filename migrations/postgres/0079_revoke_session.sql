-- Revokes a session that has no row.
CREATE FUNCTION revoke_session_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO revocations (subject, at, kind) VALUES ((call ->> 'session_id')::uuid, (call ->> 'at')::bigint, 1);
    PERFORM record_change_v1(call -> 'change', '{}', '{}');
    RETURN '{}'::jsonb;
END $$;
