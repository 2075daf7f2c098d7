-- Which request an idempotency key was used for, and what its reply is made of: ids, numbers and times, no token and no
-- reply. A row without `done_at` is a claim by whoever works on the request, until `expires_at`.
CREATE TABLE idempotency_keys (
    key                BLOB PRIMARY KEY NOT NULL,
    kid                TEXT NOT NULL,
    request            BLOB NOT NULL,
    holder             BLOB NOT NULL,
    expires_at         INTEGER NOT NULL,
    done_at            INTEGER,
    user_id            BLOB,
    verification_id    BLOB,
    session_id         BLOB,
    session_kid        TEXT,
    session_created_at INTEGER,
    session_rotated_at INTEGER,
    -- A session's counter, or how many sessions ended.
    number             INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
