//! The store: implements the storage ports of `domain` in SQL, without any policy.
//!
//! There is one set of statements for two databases, in `sql/`, written in the common subset of
//! their dialects. It is compiled once for each database: `sqlite.rs` and `postgres.rs` both
//! include it as a child module `sql`, and define what differs one level above it: the driver
//! (`Db`, `Args`), the connection pools (`Pools`), the clauses that lock rows (`lock_row!`,
//! `lock_row_or_skip!`), the conversion of error codes (`classify`), the locks on counters
//! (`lock_counters`), the stored functions (`function`, `lookup`), and the database's clock
//! (`server_time`). Within `sql/`, `super::super` therefore means "the database that this copy is
//! compiled for".

mod breaker;
pub mod folder;
mod guarded;
pub mod postgres;
pub mod sqlite;

pub use guarded::GuardedStore;
pub use postgres::{
    Migration, PostgresOptions, PostgresStore, SchemaState, ServerProfile, Table, TableRow,
    WATCH_CONNECTIONS,
};
pub use sqlite::{BackupError, SqliteStore};

/// Names of all tables that the SQL statements use, each with a column that is not generated, for
/// checks that work on any table.
pub const TABLES: &[(&str, &str)] = &[
    ("users", "id"),
    ("verifications", "id"),
    ("sessions", "id"),
    ("revocations", "at"),
    ("erased_revocations", "at"),
    ("counters", "key"),
    ("outbox", "id"),
    ("mail_turns", "budget_key"),
    ("mail_clients", "client"),
    ("known_networks", "client"),
    ("audit", "id"),
    ("audit_chain", "id"),
    ("retired_keys", "kid"),
    ("idempotency_keys", "key"),
    ("nodes", "id"),
];

/// Extends a log filter so that notices of PostgreSQL, such as "relation already exists, skipping",
/// are not logged. A filter that mentions the driver (`sqlx`) is returned unchanged.
#[must_use]
pub fn without_notices(filter: &str) -> String {
    match filter.contains("sqlx") {
        true => filter.to_owned(),
        false => format!("{filter},sqlx::postgres::notice=off"),
    }
}
