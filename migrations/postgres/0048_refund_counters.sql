-- Subtracts one use from each counter, in the order of their keys.
CREATE FUNCTION refund_counters_v1(keys jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM counters
    WHERE key IN (SELECT list.key::bytea FROM jsonb_array_elements_text(keys) AS list (key))
    ORDER BY key FOR NO KEY UPDATE;
    UPDATE counters SET count = count - 1
    WHERE count > 0 AND key IN (SELECT list.key::bytea FROM jsonb_array_elements_text(keys) AS list (key));
END $$;
