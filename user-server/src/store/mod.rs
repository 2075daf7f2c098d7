//! The repository: SQL for the ports of `domain`, and nothing else.
//!
//! The statements are written once, in `sql/`, in the common tongue of SQLite and PostgreSQL. A
//! database's module names its driver, opens it, begins its write transactions and compiles the
//! statements for itself.

pub mod folder;
pub mod postgres;
pub mod sqlite;

pub use postgres::{PostgresOptions, PostgresStore, ServerCapacity, Table, TableRow};
pub use sqlite::{BackupError, SqliteStore};
