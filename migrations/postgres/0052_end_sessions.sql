-- Ends those of these sessions that are still open, and returns them. An entry of revocations has at least the time of the
-- last token of its session, which is in the future if the clock was ahead.
CREATE FUNCTION end_sessions_v1(ids uuid[], now bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    result jsonb;
BEGIN
    WITH gone AS (
        DELETE FROM sessions WHERE id = ANY (ids)
        RETURNING id, GREATEST(now, rotated_at, issued_until) AS issued_at
    ), logged AS (
        INSERT INTO revocations (subject, at, kind) SELECT id, issued_at, 1 FROM gone
    )
    SELECT jsonb_build_object('ended', COALESCE(jsonb_agg(id), '[]'), 'issued_until', COALESCE(MAX(issued_at), now))
    INTO result FROM gone;
    RETURN result;
END $$;
