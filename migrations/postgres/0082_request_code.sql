-- Stores a registration or a password reset, and queues the email with its code. Fails with the error US001 if the network
-- has requested too many that are pending.
CREATE FUNCTION request_code_v2(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now bigint := call ->> 'at';
    new_rank bigint := next_rank_v1(call);
    new verifications%ROWTYPE;
    slot text;
BEGIN
    new := jsonb_populate_record(NULL::verifications, call -> 'verification');
    slot := new.budget_key;
    IF new.purpose = 'registration' THEN
        new.dead := CASE WHEN EXISTS (SELECT 1 FROM users WHERE email_key = new.email_key) THEN 1 ELSE 0 END;
    ELSE
        -- The account must not be deleted before the verification refers to it.
        SELECT id INTO new.user_id FROM users WHERE email_key = new.email_key FOR KEY SHARE;
        new.dead := CASE WHEN new.user_id IS NULL THEN 1 ELSE 0 END;
        -- Looked up without an account too, so that both take equally long.
        IF EXISTS (
            SELECT 1 FROM known_networks WHERE client = call ->> 'client' AND opened_at > (call ->> 'known_since')::bigint
                AND user_id = COALESCE(new.user_id, '00000000-0000-0000-0000-000000000000')
        ) THEN
            slot := (call ->> 'client') || ' ' || slot;
        END IF;
    END IF;
    -- Not by the index of ages, which a plan from before the table grew could read as a whole.
    IF (SELECT COUNT(*) FROM verifications WHERE client = call ->> 'client' AND purpose <> 'email_change'
            AND created_at + 0 > (call ->> 'pending_since')::bigint) >= (call ->> 'max_pending')::bigint THEN
        RAISE EXCEPTION 'too many are pending' USING ERRCODE = 'US001';
    END IF;
    INSERT INTO verifications (id, purpose, user_id, username, username_key, email, email_key, mailbox, budget_key,
        password_hash, dead, kid, created_at, requested_at, client)
    VALUES (new.id, new.purpose, new.user_id, new.username, new.username_key, new.email, new.email_key, new.mailbox,
        new.budget_key, new.password_hash, new.dead, new.kid, now, now, call ->> 'client');
    PERFORM queue_code_v1(call, new, slot, new_rank);
    PERFORM record_change_v1(call -> 'change', jsonb_build_object('user_id', new.user_id), '{}');
    RETURN '{}'::jsonb;
END $$;
