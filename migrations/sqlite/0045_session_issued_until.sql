-- The latest time at which a token of the session was issued, in milliseconds since 1970, if the clock was set back after that,
-- otherwise 0. The entry of the session in revocations has at least this time, so that it outlives all tokens.
ALTER TABLE sessions ADD COLUMN issued_until INTEGER NOT NULL DEFAULT 0;
