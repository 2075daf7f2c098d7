-- Refreshes of the session within the current hour.
ALTER TABLE sessions ADD COLUMN refreshes bigint NOT NULL DEFAULT 0;
