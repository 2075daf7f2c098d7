-- Updates an account: its username, its password, or the address that it is to have once its code is entered. A new password
-- ends all other sessions and voids the codes. Fails with the error US001 if a counter or the password has changed, the
-- account is gone, or the username is taken; the error does not contain it. Takes counters first, as a login does, then the
-- row of the network and the user, and reads the sessions after it has locked the user.
CREATE FUNCTION update_user_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    of_user uuid := call ->> 'user_id';
    now bigint := call ->> 'at';
    new_rank bigint;
    new verifications%ROWTYPE;
    changed users%ROWTYPE;
    result jsonb := '{"ended": [], "issued_until": 0}';
BEGIN
    PERFORM write_counters_v1(call -> 'counters');
    PERFORM set_counters_v1(call -> 'known');
    IF call ? 'password_hash' OR call ? 'verification' THEN
        new_rank := next_rank_v1(call);
    END IF;
    IF call ->> 'credentials' IS NOT NULL THEN
        PERFORM 1 FROM users WHERE id = of_user AND credentials = (call ->> 'credentials')::bigint FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the password has changed' USING ERRCODE = 'US001';
        END IF;
    END IF;
    IF call ? 'username' THEN
        BEGIN
            UPDATE users SET username = call ->> 'username', username_key = call ->> 'username_key', version = version + 1,
                changed_at = now WHERE id = of_user;
        EXCEPTION WHEN unique_violation THEN
            RAISE EXCEPTION 'the username is taken' USING ERRCODE = 'US001';
        END;
    END IF;
    IF call ? 'password_hash' THEN
        UPDATE users SET password_hash = call ->> 'password_hash', hash_class = call ->> 'hash_class',
            credentials = credentials + 1, version = version + 1, changed_at = now WHERE id = of_user;
        result := end_sessions_v1(ARRAY(
            SELECT id FROM sessions WHERE user_id = of_user AND id <> (call ->> 'session_id')::uuid
        ), now);
        PERFORM void_codes_v1(of_user);
    END IF;
    SELECT * INTO changed FROM users WHERE id = of_user;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the account is gone' USING ERRCODE = 'US001';
    END IF;
    IF call ? 'verification' THEN
        DELETE FROM verifications WHERE user_id = of_user AND purpose = 'email_change';
        new := jsonb_populate_record(NULL::verifications, call -> 'verification');
        INSERT INTO verifications (id, purpose, user_id, email, email_key, mailbox, budget_key, dead, kid, created_at,
            requested_at, client)
        VALUES (new.id, new.purpose, of_user, new.email, new.email_key, new.mailbox, new.budget_key,
            CASE WHEN EXISTS (SELECT 1 FROM users WHERE email_key = new.email_key) THEN 1 ELSE 0 END, new.kid, now, now,
            call ->> 'client');
        PERFORM queue_code_v1(call, new, new.budget_key, new_rank);
    END IF;
    IF call ? 'password_hash' THEN
        PERFORM queue_notice_v1(call || jsonb_build_object('email_id', call -> 'notice_id'), changed, new_rank);
    END IF;
    PERFORM record_change_v1(call -> 'change', '{}', '{}');
    RETURN result || jsonb_build_object('user', to_jsonb(changed));
END $$;
