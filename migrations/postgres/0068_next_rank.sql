-- Returns the rank of the next email that a network requests, and locks the row of the network. It is locked before any
-- other row but the counters of an update, which no function takes after it.
CREATE FUNCTION next_rank_v1(call jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    next_rank bigint;
BEGIN
    INSERT INTO mail_clients AS stored (client, rank) VALUES (call ->> 'client', (call ->> 'at')::bigint)
    ON CONFLICT (client) DO UPDATE SET rank = GREATEST(stored.rank + (call ->> 'rank_step')::bigint, excluded.rank)
    RETURNING rank INTO next_rank;
    RETURN next_rank;
END $$;
