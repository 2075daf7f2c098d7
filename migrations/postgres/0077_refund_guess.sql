-- Refunds a correct guess at a code that was not used up: to its counters, and to the code unless it has been replaced.
CREATE FUNCTION refund_guess_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    UPDATE verifications SET guesses = guesses - 1
    WHERE id = (call ->> 'verification_id')::uuid AND generation = (call ->> 'generation')::bigint AND guesses > 0;
    PERFORM refund_counters_v1(call -> 'charged');
    RETURN '{}'::jsonb;
END $$;
