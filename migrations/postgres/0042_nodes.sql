-- When each node last reported that it is alive, in milliseconds by the clock of the database.
CREATE TABLE nodes (
    id      UUID PRIMARY KEY NOT NULL,
    seen_at BIGINT NOT NULL
);
