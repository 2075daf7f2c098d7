-- Records the audit event of a change and completes its idempotency claim, if it has one. A claim that is not held aborts
-- the change with the error US001. The last two arguments replace values of the event and of the outcome that were found
-- by the change itself.
CREATE FUNCTION record_change_v1(change jsonb, of_event jsonb, of_outcome jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Under another level, a statement after a lock wait would not see what was committed during the wait.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the isolation level is not read committed' USING ERRCODE = 'US001';
    END IF;
    INSERT INTO audit (id, at, kind, user_id, session_id, subject, detail, operator, network, salt, dedup)
    SELECT event.id, event.at, event.kind, event.user_id, event.session_id, event.subject, event.detail, event.operator,
        event.network, event.salt, event.dedup
    FROM jsonb_to_record((change -> 'event') || of_event) AS event (id uuid, at bigint, kind text, user_id uuid,
        session_id uuid, subject bytea, detail text, operator text, network text, salt bytea, dedup bytea)
    ON CONFLICT DO NOTHING;
    IF NOT change ? 'outcome' THEN
        RETURN;
    END IF;
    UPDATE idempotency_keys SET done_at = outcome.at, expires_at = outcome.expires_at, user_id = outcome.user_id,
        verification_id = outcome.verification_id, session_id = outcome.session_id, session_kid = outcome.session_kid,
        session_created_at = outcome.session_created_at, session_rotated_at = outcome.session_rotated_at,
        number = outcome.number
    FROM jsonb_to_record((change -> 'outcome') || of_outcome) AS outcome (key uuid, holder uuid, at bigint,
        expires_at bigint, user_id uuid, verification_id uuid, session_id uuid, session_kid text,
        session_created_at bigint, session_rotated_at bigint, number bigint)
    WHERE idempotency_keys.key = outcome.key AND idempotency_keys.holder = outcome.holder
        AND idempotency_keys.done_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the idempotency claim is not held' USING ERRCODE = 'US001';
    END IF;
END $$;
