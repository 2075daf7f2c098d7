-- Uses up the code of a registration, creates the account, and opens its first session. Fails with the error US001 if the
-- code was used or replaced, or if the username or the address is taken; then nothing is stored, and the code is not used
-- up. The error contains neither.
CREATE FUNCTION activate_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now bigint := call ->> 'at';
    pending verifications%ROWTYPE;
    created jsonb;
BEGIN
    DELETE FROM verifications
    WHERE id = (call ->> 'verification_id')::uuid AND generation = (call ->> 'generation')::bigint
    RETURNING * INTO pending;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the code was used' USING ERRCODE = 'US001';
    END IF;
    PERFORM refund_counters_v1(call -> 'charged');
    INSERT INTO users (id, username, username_key, email, email_key, mailbox, password_hash, created_at, hash_class)
    VALUES ((call ->> 'user_id')::uuid, COALESCE(call ->> 'username', pending.username),
        COALESCE(call ->> 'username_key', pending.username_key), pending.email, pending.email_key, pending.mailbox,
        pending.password_hash, now, call ->> 'hash_class')
    ON CONFLICT DO NOTHING RETURNING to_jsonb(users.*) INTO created;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the username or the address is taken' USING ERRCODE = 'US001';
    END IF;
    PERFORM insert_session_v1(call -> 'session', (call ->> 'user_id')::uuid, now);
    PERFORM set_counters_v1(call -> 'known');
    PERFORM record_change_v1(call -> 'change', '{}', '{}');
    RETURN created;
END $$;
