-- Which request an idempotency key was used for, and what its reply is made of: ids, numbers and times, no token and no
-- reply. A row without `done_at` is a claim by whoever works on the request, until `expires_at`.
CREATE TABLE idempotency_keys (
    key                UUID PRIMARY KEY NOT NULL,
    kid                TEXT NOT NULL,
    request            BYTEA NOT NULL,
    holder             UUID NOT NULL,
    expires_at         BIGINT NOT NULL,
    done_at            BIGINT,
    user_id            UUID,
    verification_id    UUID,
    session_id         UUID,
    session_kid        TEXT,
    session_created_at BIGINT,
    session_rotated_at BIGINT,
    -- A session's counter, or how many sessions ended.
    number             BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);
