-- Stores counters that were decided from values read without a lock: all of them, or none with the error US001 if one was
-- changed since. Takes the rows in the order of their keys, so that no two calls wait for each other. A row that is not to
-- change is locked as well.
CREATE FUNCTION write_counters_v1(list jsonb) RETURNS void LANGUAGE plpgsql
-- A plan from before the table grew must not read all of it.
SET enable_seqscan = off AS $$
DECLARE
    changed bigint;
BEGIN
    -- Under another level, a statement after a lock wait would not see what was committed during the wait.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the isolation level is not read committed' USING ERRCODE = 'US001';
    END IF;
    WITH written AS (
        INSERT INTO counters AS stored (key, count, since, blocked_until, expires_at)
        SELECT new.key, new.count, new.since, new.blocked_until, new.expires_at
        FROM jsonb_to_recordset(list) AS new (key bytea, count bigint, since bigint, blocked_until bigint, expires_at bigint,
                                              is_stored boolean, is_changed boolean)
        WHERE new.is_stored OR new.is_changed ORDER BY new.key
        ON CONFLICT (key) DO UPDATE SET count = excluded.count, since = excluded.since,
            blocked_until = excluded.blocked_until, expires_at = excluded.expires_at
        WHERE EXISTS (
            SELECT 1 FROM jsonb_to_recordset(list) AS old (key bytea, was_count bigint, was_since bigint,
                was_blocked_until bigint, was_expires_at bigint, is_changed boolean)
            WHERE old.key = stored.key AND old.is_changed AND old.was_count = stored.count AND old.was_since = stored.since
                AND old.was_blocked_until = stored.blocked_until AND old.was_expires_at = stored.expires_at
        )
        RETURNING stored.key
    )
    SELECT COUNT(*) INTO changed FROM written
    JOIN jsonb_to_recordset(list) AS new (key bytea, is_changed boolean) ON new.key = written.key WHERE new.is_changed;
    IF changed <> (SELECT COUNT(*) FROM jsonb_to_recordset(list) AS new (is_changed boolean) WHERE new.is_changed) THEN
        RAISE EXCEPTION 'a counter has changed' USING ERRCODE = 'US001';
    END IF;
    PERFORM 1 FROM jsonb_to_recordset(list) AS old (key bytea, was_count bigint, was_since bigint,
        was_blocked_until bigint, was_expires_at bigint, is_changed boolean)
    LEFT JOIN counters AS now ON now.key = old.key
    WHERE NOT old.is_changed AND (COALESCE(now.count, 0), COALESCE(now.since, 0), COALESCE(now.blocked_until, 0),
            COALESCE(now.expires_at, 0)) <> (old.was_count, old.was_since, old.was_blocked_until, old.was_expires_at);
    IF FOUND THEN
        RAISE EXCEPTION 'a counter has changed' USING ERRCODE = 'US001';
    END IF;
END $$;
