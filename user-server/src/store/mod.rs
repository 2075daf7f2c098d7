//! The store: SQL that implements the storage ports of `domain`, without any policy.
//!
//! There is one set of statements for two databases, in `sql/`, written in the common subset of
//! their dialects. It is compiled once for each database: `sqlite.rs` and `postgres.rs` both
//! include it as a child module `sql`, and define what differs one level above it: the driver
//! (`Db`, `Args`), the connection pools (`Pools`), the clauses that lock rows (`lock_row!`,
//! `lock_row_or_skip!`), the temporary error codes (`is_temporary`), the locks on counters
//! (`lock_keys`), and the database's clock (`server_time`). Within `sql/`, `super::super` therefore
//! means "the database that this copy is compiled for".

pub mod folder;
pub mod postgres;
pub mod sqlite;

pub use postgres::{
    PostgresOptions, PostgresStore, ServerCapacity, Table, TableRow, WATCH_CONNECTIONS,
};
pub use sqlite::{BackupError, SqliteStore};
