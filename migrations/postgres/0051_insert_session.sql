-- Inserts a session of a user, and records the network as one that the user has logged in from.
CREATE FUNCTION insert_session_v1(new jsonb, of_user uuid, now bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sessions (id, user_id, kid, created_at, rotated_at, device, network)
    VALUES ((new ->> 'id')::uuid, of_user, new ->> 'kid', now, now, new ->> 'device', new ->> 'network');
    IF new ->> 'client' <> '' THEN
        INSERT INTO known_networks (user_id, client, opened_at) VALUES (of_user, new ->> 'client', now)
        ON CONFLICT (user_id, client) DO UPDATE SET opened_at = excluded.opened_at;
    END IF;
END $$;
