-- The start of the hour in which the refreshes of the session are counted.
ALTER TABLE sessions ADD COLUMN refreshes_since bigint NOT NULL DEFAULT 0;
