-- Keys that are good for nothing any more. A row stays: it outlives the log of what has ended, so that a key does not come
-- back when a node starts with it.
CREATE TABLE retired_keys (
    kid        TEXT PRIMARY KEY NOT NULL,
    retired_at BIGINT NOT NULL
);
