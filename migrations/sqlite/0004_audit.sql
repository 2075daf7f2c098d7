-- Who did what, when, from where. A row is written with the change that it is about, and is sealed into the chain soon
-- after. What is sealed of a network is a salted commitment, so that network and salt can be erased with their account.
CREATE TABLE audit (
    id         BLOB PRIMARY KEY NOT NULL,
    at         INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    user_id    BLOB,
    session_id BLOB,
    -- What else it is about: a verification's id, or the keyed hash of a login that is nobody's.
    subject    BLOB,
    detail     TEXT NOT NULL,
    operator   TEXT,
    network    TEXT,
    salt       BLOB,
    -- Keeps events that may come in floods to one a key and minute.
    dedup      BLOB,
    -- The place in the chain; null until the row is sealed.
    seq        INTEGER,
    commitment BLOB,
    hash       BLOB,
    kid        TEXT,
    mac        BLOB
) STRICT;
CREATE UNIQUE INDEX audit_chained ON audit (seq) WHERE seq IS NOT NULL;
CREATE UNIQUE INDEX audit_once ON audit (dedup) WHERE dedup IS NOT NULL;
CREATE INDEX audit_unsealed ON audit (at, id) WHERE seq IS NULL;
CREATE INDEX audit_by_time ON audit (at, id);
CREATE INDEX audit_by_user ON audit (user_id, at) WHERE user_id IS NOT NULL;
CREATE INDEX audit_by_kind ON audit (kind, at);
CREATE INDEX audit_by_subject ON audit (subject) WHERE subject IS NOT NULL;

-- The end of the chain, and the anchor: the last row that was pruned from its beginning. One row.
CREATE TABLE audit_chain (
    id           INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    seq          INTEGER NOT NULL,
    hash         BLOB NOT NULL,
    anchor_seq   INTEGER NOT NULL,
    anchor_hash  BLOB NOT NULL,
    kid          TEXT,
    mac          BLOB,
    -- Who seals, and until when nobody else does.
    holder       BLOB,
    leased_until INTEGER NOT NULL
) STRICT;
INSERT INTO audit_chain (id, seq, hash, anchor_seq, anchor_hash, leased_until)
VALUES (1, 0, zeroblob(32), 0, zeroblob(32), 0);
