-- Queues a notice to the owner of an account, unless a notice of the same kind already waits for the same address.
CREATE FUNCTION queue_notice_v1(call jsonb, recipient users, new_rank bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    now bigint := call ->> 'at';
    -- With the suffix, since another suffix may belong to another account.
    slot text := lower(recipient.mailbox COLLATE "C");
BEGIN
    INSERT INTO mail_turns AS turn (budget_key, letter, next_at, budget_at, waiting, rank, notice)
    VALUES (slot, call ->> 'notice', now, now, 1, new_rank, 1)
    ON CONFLICT (budget_key, letter) DO UPDATE SET waiting = 1, rank = GREATEST(turn.next_at, excluded.rank)
    WHERE turn.waiting = 0;
    IF FOUND THEN
        INSERT INTO outbox (id, letter, budget_key, client, recipient, username, created_at, due_at, rank)
        VALUES ((call ->> 'email_id')::uuid, call ->> 'notice', slot, call ->> 'client', recipient.mailbox,
            recipient.username, now, now, new_rank);
    END IF;
END $$;
