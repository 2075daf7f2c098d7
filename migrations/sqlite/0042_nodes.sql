-- When each node last reported that it is alive. Stays empty: one node has the database to itself. The table exists so
-- that both databases have the same schema.
CREATE TABLE nodes (
    id      BLOB PRIMARY KEY NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;
