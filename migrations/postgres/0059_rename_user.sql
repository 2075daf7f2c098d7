-- Changes the username of an account. Fails with the error US001 if a counter has changed or the account is gone, and with a
-- unique violation if the username is taken.
CREATE FUNCTION rename_user_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    renamed jsonb;
BEGIN
    PERFORM write_counters_v1(call -> 'counters');
    -- Before the user is locked: a login takes counters first, too.
    PERFORM set_counters_v1(call -> 'known');
    UPDATE users SET username = call ->> 'username', username_key = call ->> 'username_key', version = version + 1,
        changed_at = (call ->> 'at')::bigint
    WHERE id = (call ->> 'user_id')::uuid RETURNING to_jsonb(users.*) INTO renamed;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the account is gone' USING ERRCODE = 'US001';
    END IF;
    PERFORM record_change_v1(call -> 'change', '{}', '{}');
    RETURN renamed;
END $$;
