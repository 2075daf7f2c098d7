-- The rank of the last email that a network requested, by its pseudonym.
CREATE TABLE mail_clients (
    client TEXT PRIMARY KEY NOT NULL,
    rank   INTEGER NOT NULL
) STRICT;
