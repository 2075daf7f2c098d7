-- Moves on with every change of the row, so that a copy of it elsewhere can be told from a newer one. When it last did is
-- what nodes look for, to learn which copies are old.
ALTER TABLE users ADD COLUMN version bigint NOT NULL DEFAULT 1;
ALTER TABLE users ADD COLUMN changed_at bigint;
CREATE INDEX users_by_change ON users (changed_at) WHERE changed_at IS NOT NULL;
