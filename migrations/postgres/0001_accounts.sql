-- Times are milliseconds since 1970. Keys of throttles are keyed hashes, so that nothing
-- here links a name to a network.

CREATE TABLE users (
    id            UUID PRIMARY KEY NOT NULL,
    username      TEXT NOT NULL,
    username_key  TEXT NOT NULL UNIQUE,
    email         TEXT NOT NULL,
    email_key     TEXT NOT NULL UNIQUE,
    mailbox       TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    credentials   BIGINT NOT NULL DEFAULT 1,
    disabled_at   BIGINT,
    created_at    BIGINT NOT NULL
);

-- One row a registration, change of address or reset. A row is erased when its code is used or voided.
CREATE TABLE verifications (
    id            UUID PRIMARY KEY NOT NULL,
    purpose       TEXT NOT NULL CHECK (purpose IN ('registration', 'email_change', 'password_reset')),
    user_id       UUID REFERENCES users (id) ON DELETE CASCADE,
    username      TEXT,
    username_key  TEXT,
    email         TEXT NOT NULL,
    email_key     TEXT NOT NULL,
    mailbox       TEXT NOT NULL,
    budget_key    TEXT NOT NULL,
    password_hash TEXT,
    -- Nothing is ever the right code of a dead row: the address is somebody else's, or nobody's.
    dead          BIGINT NOT NULL,
    kid           TEXT NOT NULL,
    generation    BIGINT NOT NULL DEFAULT 0,
    guesses       BIGINT NOT NULL DEFAULT 0,
    claimed_at    BIGINT,
    expires_at    BIGINT,
    created_at    BIGINT NOT NULL
);
CREATE INDEX verifications_by_user ON verifications (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX verifications_by_age ON verifications (created_at);

CREATE TABLE sessions (
    id         UUID PRIMARY KEY NOT NULL,
    user_id    UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    counter    BIGINT NOT NULL DEFAULT 0,
    kid        TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, rotated_at);
CREATE INDEX sessions_by_age ON sessions (rotated_at);
CREATE INDEX sessions_by_birth ON sessions (created_at);

-- What ended, in the order of its commits; the subject is a session's or a user's id.
CREATE TABLE revocations (
    seq     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject UUID NOT NULL,
    at      BIGINT NOT NULL
);
CREATE INDEX revocations_by_age ON revocations (at);

CREATE TABLE counters (
    key           BYTEA PRIMARY KEY NOT NULL,
    count         BIGINT NOT NULL,
    since         BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
);
CREATE INDEX counters_by_expiry ON counters (expires_at);

-- A mail is written with the change that it belongs to. A code's mail has a verification, and waits its turn; a notice has
-- a recipient, and does not.
CREATE TABLE outbox (
    id              UUID PRIMARY KEY NOT NULL,
    letter          TEXT NOT NULL,
    verification_id UUID,
    budget_key      TEXT,
    client          TEXT NOT NULL,
    recipient       TEXT,
    username        TEXT,
    generation      BIGINT,
    attempts        BIGINT NOT NULL DEFAULT 0,
    created_at      BIGINT NOT NULL,
    -- When its turn came; null while it waits.
    turn_at         BIGINT,
    due_at          BIGINT NOT NULL,
    settled_at      BIGINT
);
CREATE INDEX outbox_waiting ON outbox (budget_key, letter, client, created_at) WHERE turn_at IS NULL AND settled_at IS NULL;
CREATE INDEX outbox_turns ON outbox (budget_key, letter, turn_at) WHERE turn_at IS NOT NULL;
CREATE INDEX outbox_due ON outbox (due_at) WHERE turn_at IS NOT NULL AND settled_at IS NULL;
CREATE INDEX outbox_by_verification ON outbox (verification_id) WHERE verification_id IS NOT NULL AND turn_at IS NULL;
CREATE INDEX outbox_by_age ON outbox (created_at);

-- Whose turn it is: one row an address and purpose that has mails waiting or had one within a day.
CREATE TABLE mail_turns (
    budget_key TEXT NOT NULL,
    letter     TEXT NOT NULL,
    next_at    BIGINT NOT NULL,
    waiting    BIGINT NOT NULL,
    noticed_at BIGINT,
    PRIMARY KEY (budget_key, letter)
);
CREATE INDEX mail_turns_next ON mail_turns (next_at) WHERE waiting > 0;
