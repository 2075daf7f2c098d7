-- Advances a session if its current refresh token was presented and it was not refreshed too often, and returns it.
-- Otherwise stores nothing, and returns the start of the window of refreshes if it was refreshed too often. A window that
-- seems to begin in the future, since the clock was set back, is over.
CREATE FUNCTION refresh_session_v2(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now bigint := call ->> 'at';
    window_start bigint := call ->> 'window_start';
    advanced sessions%ROWTYPE;
BEGIN
    UPDATE sessions SET counter = counter + 1, rotated_at = now, kid = call ->> 'kid',
        issued_until = CASE WHEN rotated_at > now THEN GREATEST(rotated_at, issued_until) ELSE issued_until END,
        refreshes = CASE WHEN refreshes_since > window_start AND refreshes_since <= now THEN refreshes + 1 ELSE 1 END,
        refreshes_since = CASE WHEN refreshes_since > window_start AND refreshes_since <= now
                               THEN refreshes_since ELSE now END
    WHERE id = (call ->> 'session_id')::uuid AND counter = (call ->> 'counter')::bigint AND counter < 4294967295
        AND (refreshes < (call ->> 'max_refreshes')::bigint OR refreshes_since <= window_start OR refreshes_since > now)
    RETURNING * INTO advanced;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('limited_since', (
            SELECT refreshes_since FROM sessions
            WHERE id = (call ->> 'session_id')::uuid AND counter = (call ->> 'counter')::bigint
                AND refreshes >= (call ->> 'max_refreshes')::bigint
        ));
    END IF;
    PERFORM record_change_v1(call -> 'change',
        jsonb_build_object('user_id', advanced.user_id, 'session_id', advanced.id),
        jsonb_build_object('user_id', advanced.user_id, 'session_id', advanced.id, 'session_kid', advanced.kid,
            'session_created_at', advanced.created_at, 'session_rotated_at', advanced.rotated_at,
            'number', advanced.counter));
    RETURN jsonb_build_object('session', to_jsonb(advanced));
END $$;
