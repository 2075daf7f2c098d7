-- What the subject is: 1 a session, 2 a user, 3 everyone. NULL in a row of an earlier version.
ALTER TABLE revocations ADD COLUMN kind SMALLINT;
