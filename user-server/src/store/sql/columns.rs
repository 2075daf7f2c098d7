//! Column lists of the tables from which whole rows are read. With `*` instead, a column that a
//! later version adds would change the result type of statements that nodes have prepared, and
//! PostgreSQL refuses to run those.

macro_rules! user_columns {
    () => {
        "users.id, users.username, users.username_key, users.email, users.email_key, users.mailbox, users.password_hash, \
         users.credentials, users.disabled_at, users.created_at, users.version"
    };
}
macro_rules! session_columns {
    () => {
        "id, user_id, counter, kid, created_at, rotated_at"
    };
}
macro_rules! verification_columns {
    () => {
        "id, purpose, user_id, username, username_key, email, email_key, mailbox, budget_key, password_hash, dead, kid, \
         generation, guesses, claimed_at, expires_at, requested_at, resends, created_at"
    };
}
macro_rules! outbox_columns {
    () => {
        "outbox.id, outbox.letter, outbox.verification_id, outbox.client, outbox.recipient, outbox.username, \
         outbox.generation, outbox.attempts, outbox.unexplained, outbox.rank, outbox.created_at"
    };
}
macro_rules! audit_columns {
    () => {
        "audit.id, audit.at, audit.kind, audit.user_id, audit.session_id, audit.subject, audit.detail, audit.operator, \
         audit.network, audit.salt, audit.seq, audit.commitment, audit.hash, audit.kid, audit.mac"
    };
}
macro_rules! key_columns {
    () => {
        "kid, request, done_at, user_id, verification_id, session_id, session_kid, session_created_at, \
         session_rotated_at, number"
    };
}
macro_rules! chain_columns {
    () => {
        "seq, hash, anchor_seq, anchor_hash, kid, mac"
    };
}
/// Query for the newest audit entries that satisfy a condition: `$1` is the earliest time, `$2` the
/// latest, and `$3` the maximum number.
macro_rules! newest {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            audit_columns!(),
            ", CAST(0 AS BIGINT) AS erasable FROM audit WHERE at >= $1 AND at < $2 AND ",
            $condition,
            " ORDER BY at DESC, id DESC LIMIT $3"
        )
    };
}

/// Time of the latest issue of a token of a session. It is later than `rotated_at` if the clock was
/// set back before the last refresh.
macro_rules! last_issue {
    () => {
        "CASE WHEN rotated_at > issued_until THEN rotated_at ELSE issued_until END"
    };
}
