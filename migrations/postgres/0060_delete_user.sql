-- Deletes an account with its sessions and codes, and queues a notice. Fails with the error US001 if the password has
-- changed. Locks the user before it deletes the sessions in a later statement, so that a session that a login opens
-- meanwhile ends too. The lock also excludes transactions that insert references to the user, so that the row of a reset
-- that is requested meanwhile stays. The audit event is recorded before the entries of the account are erased.
CREATE FUNCTION delete_user_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    of_user uuid := call ->> 'user_id';
    now bigint := call ->> 'at';
    new_rank bigint;
    result jsonb;
    deleted users%ROWTYPE;
BEGIN
    INSERT INTO mail_clients AS stored (client, rank) VALUES (call ->> 'client', now)
    ON CONFLICT (client) DO UPDATE SET rank = GREATEST(stored.rank + (call ->> 'rank_step')::bigint, excluded.rank)
    RETURNING rank INTO new_rank;
    PERFORM 1 FROM users WHERE id = of_user AND credentials = (call ->> 'credentials')::bigint FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the password has changed' USING ERRCODE = 'US001';
    END IF;
    result := end_sessions_v1(ARRAY(SELECT id FROM sessions WHERE user_id = of_user), now);
    -- The rows of resets stay, since their deletion would reveal that the address belongs to an account.
    DELETE FROM verifications WHERE user_id = of_user AND purpose = 'email_change';
    UPDATE verifications SET dead = 2, user_id = NULL WHERE user_id = of_user;
    DELETE FROM users WHERE id = of_user RETURNING * INTO deleted;
    -- The id is never used again, so one entry covers tokens of sessions that are long gone.
    INSERT INTO revocations (subject, at, kind) VALUES (of_user, (result ->> 'issued_until')::bigint, 2);
    INSERT INTO mail_turns AS turn (budget_key, letter, next_at, budget_at, waiting, rank, notice)
    VALUES (lower(deleted.mailbox COLLATE "C"), call ->> 'notice', now, now, 1, new_rank, 1)
    ON CONFLICT (budget_key, letter) DO UPDATE SET waiting = 1, rank = GREATEST(turn.next_at, excluded.rank)
    WHERE turn.waiting = 0;
    IF FOUND THEN
        INSERT INTO outbox (id, letter, budget_key, client, recipient, username, created_at, due_at, rank)
        VALUES ((call ->> 'email_id')::uuid, call ->> 'notice', lower(deleted.mailbox COLLATE "C"), call ->> 'client',
            deleted.mailbox, deleted.username, now, now, new_rank);
    END IF;
    PERFORM record_change_v1(call -> 'change', '{}', '{}');
    UPDATE audit SET network = NULL, salt = NULL WHERE user_id = of_user AND salt IS NOT NULL;
    UPDATE audit SET network = NULL, salt = NULL WHERE salt IS NOT NULL AND subject IN (
        SELECT kin.subject FROM audit AS kin WHERE kin.user_id = of_user AND kin.subject IS NOT NULL
    );
    RETURN result;
END $$;
