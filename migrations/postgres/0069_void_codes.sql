-- Voids all open codes of a user. The rows of resets stay, since their deletion would reveal that the address belongs to an
-- account.
CREATE FUNCTION void_codes_v1(of_user uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM verifications WHERE user_id = of_user AND purpose = 'email_change';
    UPDATE verifications SET dead = 2, user_id = NULL WHERE user_id = of_user;
END $$;
