-- Stores counters whatever their values are, in the order of their keys.
CREATE FUNCTION set_counters_v1(list jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO counters (key, count, since, blocked_until, expires_at)
    SELECT new.key, new.count, new.since, new.blocked_until, new.expires_at
    FROM jsonb_to_recordset(list) AS new (key bytea, count bigint, since bigint, blocked_until bigint, expires_at bigint)
    ORDER BY new.key
    ON CONFLICT (key) DO UPDATE SET count = excluded.count, since = excluded.since,
        blocked_until = excluded.blocked_until, expires_at = excluded.expires_at
$$;
