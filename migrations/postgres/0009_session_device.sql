-- The device that the client named when the session was opened.
ALTER TABLE sessions ADD COLUMN device text;
