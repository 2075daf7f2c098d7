-- Stores counters, and the audit event of a refusal if there is one. Returns the counters that are asked for, as they are
-- afterwards.
CREATE FUNCTION adjust_counters_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql
-- A plan from before the table grew must not read all of it.
SET enable_seqscan = off AS $$
BEGIN
    PERFORM write_counters_v1(call -> 'counters');
    IF call ? 'change' THEN
        PERFORM record_change_v1(call -> 'change', '{}', '{}');
    END IF;
    RETURN jsonb_build_object('counters', COALESCE((
        SELECT jsonb_agg(to_jsonb(counters.*)) FROM counters
        WHERE key IN (SELECT list.key::bytea FROM jsonb_array_elements_text(call -> 'then') AS list (key))
    ), '[]'));
END $$;
