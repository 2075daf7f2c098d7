-- Counts a guess at a code, and stores the counters that it is charged to. Fails with the error US001 if the code was used
-- or has no guesses left, or if a counter has changed. Returns the code's row.
CREATE FUNCTION charge_guess_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    guessed jsonb;
BEGIN
    UPDATE verifications SET guesses = guesses + 1
    WHERE id = (call ->> 'verification_id')::uuid AND guesses < (call ->> 'max_guesses')::bigint
        AND (call ->> 'user_id' IS NULL OR user_id = (call ->> 'user_id')::uuid)
    RETURNING to_jsonb(verifications.*) INTO guessed;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the code cannot be guessed' USING ERRCODE = 'US001';
    END IF;
    PERFORM write_counters_v1(call -> 'counters');
    RETURN guessed;
END $$;
