-- Uses up the code of an account that was guessed correctly, refunds the guess, and returns the code's row. Fails with the
-- error US001 if the code was used, replaced or voided. Locks the user first, as whatever voids the codes does.
CREATE FUNCTION spend_code_v1(call jsonb) RETURNS verifications LANGUAGE plpgsql AS $$
DECLARE
    spent verifications%ROWTYPE;
BEGIN
    PERFORM 1 FROM users
    WHERE id = (SELECT user_id FROM verifications WHERE id = (call ->> 'verification_id')::uuid) FOR NO KEY UPDATE;
    DELETE FROM verifications
    WHERE id = (call ->> 'verification_id')::uuid AND generation = (call ->> 'generation')::bigint
    RETURNING * INTO spent;
    IF spent.user_id IS NULL THEN
        RAISE EXCEPTION 'the code was used' USING ERRCODE = 'US001';
    END IF;
    PERFORM refund_counters_v1(call -> 'charged');
    RETURN spent;
END $$;
