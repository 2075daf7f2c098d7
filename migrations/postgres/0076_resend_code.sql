-- Queues the email with a code again, and stores what was decided about the code from its row. Fails with the error US001 if
-- the row has changed since it was read. The row is updated once: a second update would also lock the user, which a deletion
-- locks first.
CREATE FUNCTION resend_code_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now bigint := call ->> 'at';
    new_rank bigint := next_rank_v1(call);
    resent verifications%ROWTYPE;
    slot text;
BEGIN
    UPDATE verifications SET requested_at = now, resends = resends + 1, generation = (call ->> 'generation')::bigint,
        guesses = (call ->> 'guesses')::bigint, kid = call ->> 'kid',
        claimed_at = CASE WHEN (call ->> 'is_replaced')::boolean THEN NULL ELSE claimed_at END,
        expires_at = CASE WHEN (call ->> 'is_replaced')::boolean THEN NULL ELSE expires_at END
    WHERE id = (call ->> 'verification_id')::uuid
        AND resends = (call ->> 'was_resends')::bigint AND generation = (call ->> 'was_generation')::bigint
        AND guesses = (call ->> 'was_guesses')::bigint AND kid = call ->> 'was_kid'
        AND COALESCE(requested_at, created_at) = (call ->> 'was_requested_at')::bigint
    RETURNING * INTO resent;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the code has changed' USING ERRCODE = 'US001';
    END IF;
    slot := resent.budget_key;
    -- Looked up without an account too, so that both take equally long.
    IF EXISTS (
        SELECT 1 FROM known_networks WHERE client = call ->> 'client' AND opened_at > (call ->> 'known_since')::bigint
            AND user_id = COALESCE(CASE WHEN resent.purpose = 'password_reset' THEN resent.user_id END,
                '00000000-0000-0000-0000-000000000000')
    ) THEN
        slot := (call ->> 'client') || ' ' || slot;
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM outbox WHERE verification_id = resent.id AND turn_at IS NULL
            -- Not by the index of waiting emails, which a plan could read as a whole.
            AND settled_at + 0 IS NULL
    ) THEN
        PERFORM queue_code_v1(call, resent, slot, new_rank);
    END IF;
    PERFORM record_change_v1(call -> 'change', jsonb_build_object('user_id', resent.user_id), '{}');
    RETURN '{}'::jsonb;
END $$;
