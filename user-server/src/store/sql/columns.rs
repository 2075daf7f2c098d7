//! The columns of each table that is read as a whole. They are named, since `*` would let a later version's new column
//! change the result of a statement that a node has prepared already, which PostgreSQL then refuses to run.

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
         generation, guesses, claimed_at, expires_at"
    };
}
macro_rules! outbox_columns {
    () => {
        "outbox.id, outbox.letter, outbox.verification_id, outbox.recipient, outbox.username, outbox.generation, \
         outbox.attempts, outbox.created_at"
    };
}
