-- The time of the latest entry that was deleted from the revocation log, in milliseconds since 1970, or 0. A token that was
-- issued until then is checked against its session: if the clock was set back, the token may be valid again.
CREATE TABLE erased_revocations (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
INSERT INTO erased_revocations (id, at) VALUES (1, 0);
