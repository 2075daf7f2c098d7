-- Returns the counters with these keys, or null if there is none.
CREATE FUNCTION read_counters_v1(keys jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE
-- A plan from before the table grew must not read all of it.
SET enable_seqscan = off AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object('counters', jsonb_agg(to_jsonb(counters.*))) FROM counters
        WHERE key = ANY (ARRAY(SELECT list.key::bytea FROM jsonb_array_elements_text(keys) AS list (key)))
        HAVING COUNT(*) > 0
    );
END $$;
