-- What a stored hash costs to compute, as its text says before the salt. Null where a version wrote the row that did not
-- note it. It tells how long a refused login has to take so that nobody can tell one hash from another.
ALTER TABLE users ADD COLUMN hash_class TEXT;
CREATE INDEX users_by_hash_class ON users (hash_class);
