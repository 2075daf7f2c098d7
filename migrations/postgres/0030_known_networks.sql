-- The networks, by their pseudonyms, that opened a session of an account, and when each last did.
CREATE TABLE known_networks (
    user_id   UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client    TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, client)
);
