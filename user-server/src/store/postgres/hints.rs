//! Hints for operators about faults of PostgreSQL.

use crate::domain::Fault;

const NOT_RUNNING: &str = "Check that PostgreSQL is running, and the host and port in the URL.";

/// Parts of fault messages, each with a hint for the operator. The first match applies.
const HINTS: &[(&str, &str)] = &[
    (
        "startup parameter",
        "If PostgreSQL names a pooler such as PgBouncer, set DATABASE_POOLER=1, and MIGRATE_URL to \
         the database itself.",
    ),
    (
        "prepared statement",
        "If PostgreSQL names a pooler such as PgBouncer, set DATABASE_POOLER=1, and MIGRATE_URL to \
         the database itself.",
    ),
    (
        "needs UTF8",
        "Create a database with CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0, and copy \
         the tables if there are any.",
    ),
    (
        "permission denied",
        "Grant the role in the URL CREATE and USAGE on the schema, and all privileges on its \
         tables.",
    ),
    (
        "must be owner",
        "Let the role that migrates own the tables and functions (REASSIGN OWNED), or set \
         MIGRATE_URL to a URL with the role that owns them.",
    ),
    ("password authentication failed", "Check the user and the password in the URL."),
    ("no pg_hba.conf entry", "Allow this host, user and database in pg_hba.conf of the server."),
    ("does not exist", "Check the database, the user and the schema that the URL names."),
    (
        "too many connections",
        "Lower DATABASE_POOL, or raise max_connections or the CONNECTION LIMIT of the role.",
    ),
    ("remaining connection slots", "Lower DATABASE_POOL, or raise max_connections."),
    (
        "no server accepts writes",
        "Check that the primary server is running, and promote a standby if it is lost.",
    ),
    (
        "read-only",
        "Name the primary server in the URL, not a standby. If it is the primary, find out why \
         default_transaction_read_only is on: providers set it when a disk is full.",
    ),
    (
        "is migrating the schema",
        "Wait until the other node has finished, and start this one again.",
    ),
    (
        "needs settings of the role",
        "Set them, and let the pooler open new connections: RECONNECT in the console of PgBouncer.",
    ),
    ("No space left", "Free space on the disk of PostgreSQL."),
    (
        "does not support TLS",
        "Turn on ssl in postgresql.conf; or, on a network that you trust, set sslmode=disable in \
         the URL.",
    ),
    (
        "certificate",
        "Set sslrootcert in the URL to the certificate of the server's authority, and use the \
         host name that the certificate contains.",
    ),
    ("lookup address", "Check the host in the URL."),
    ("onnection refused", NOT_RUNNING),
    ("connection was closed", NOT_RUNNING),
    ("connection ended", NOT_RUNNING),
    ("no answer", NOT_RUNNING),
    ("timed out", NOT_RUNNING),
    ("run: user-server migrate", "A server with MIGRATE=start also updates the schema."),
];

/// Returns a hint for the operator about how to fix a fault of the database.
#[must_use]
pub fn hint(fault: &Fault) -> &'static str {
    let text = fault.to_string();
    let known = HINTS.iter().find(|(words, _)| text.contains(words));
    known.map_or("The log of PostgreSQL may say more.", |(_, hint)| hint)
}
