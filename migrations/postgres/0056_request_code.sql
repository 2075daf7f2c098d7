-- Stores a registration or a password reset, and queues the email with its code. Fails with the error US001 if the network
-- has requested too many that are pending. Locks the row of the network before any other.
CREATE FUNCTION request_code_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now bigint := call ->> 'at';
    new_rank bigint;
    new verifications%ROWTYPE;
    is_known boolean;
    slot text := call -> 'verification' ->> 'budget_key';
BEGIN
    INSERT INTO mail_clients AS stored (client, rank) VALUES (call ->> 'client', now)
    ON CONFLICT (client) DO UPDATE SET rank = GREATEST(stored.rank + (call ->> 'rank_step')::bigint, excluded.rank)
    RETURNING rank INTO new_rank;
    new := jsonb_populate_record(NULL::verifications, call -> 'verification');
    IF new.purpose = 'registration' THEN
        new.dead := CASE WHEN EXISTS (SELECT 1 FROM users WHERE email_key = new.email_key) THEN 1 ELSE 0 END;
    ELSE
        -- The account must not be deleted before the verification refers to it.
        SELECT id INTO new.user_id FROM users WHERE email_key = new.email_key FOR KEY SHARE;
        new.dead := CASE WHEN new.user_id IS NULL THEN 1 ELSE 0 END;
        -- Looked up without an account too, so that both take equally long.
        is_known := EXISTS (
            SELECT 1 FROM known_networks WHERE client = call ->> 'client' AND opened_at > (call ->> 'known_since')::bigint
                AND user_id = COALESCE(new.user_id, '00000000-0000-0000-0000-000000000000')
        );
        IF is_known THEN
            slot := (call ->> 'client') || ' ' || slot;
        END IF;
    END IF;
    IF (SELECT COUNT(*) FROM verifications WHERE client = call ->> 'client' AND purpose <> 'email_change'
            AND created_at > (call ->> 'pending_since')::bigint) >= (call ->> 'max_pending')::bigint THEN
        RAISE EXCEPTION 'too many are pending' USING ERRCODE = 'US001';
    END IF;
    INSERT INTO verifications (id, purpose, user_id, username, username_key, email, email_key, mailbox, budget_key,
        password_hash, dead, kid, created_at, requested_at, client)
    VALUES (new.id, new.purpose, new.user_id, new.username, new.username_key, new.email, new.email_key, new.mailbox,
        new.budget_key, new.password_hash, new.dead, new.kid, now, now, call ->> 'client');
    INSERT INTO outbox (id, letter, verification_id, budget_key, client, created_at, due_at, rank)
    VALUES ((call ->> 'email_id')::uuid, new.purpose, new.id, slot, call ->> 'client', now, now, new_rank);
    -- The slot may be blocked because the networks that wait for it have had their share.
    INSERT INTO mail_turns AS turn (budget_key, letter, next_at, budget_at, waiting, rank, notice)
    VALUES (slot, new.purpose, now, now, 1, new_rank, 0)
    ON CONFLICT (budget_key, letter) DO UPDATE SET waiting = turn.waiting + 1, next_at = turn.budget_at,
        rank = CASE
            WHEN turn.waiting > 0 AND turn.rank < excluded.rank THEN turn.rank
            WHEN turn.budget_at > excluded.rank THEN turn.budget_at
            ELSE excluded.rank END;
    PERFORM record_change_v1(call -> 'change', jsonb_build_object('user_id', new.user_id), '{}');
    RETURN '{}'::jsonb;
END $$;
