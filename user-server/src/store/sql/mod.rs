//! The statements, one file a port.

mod accounts;
mod codes;
mod counters;
mod housekeeping;
mod outbox;
mod rows;
mod sessions;
mod vitals;

use super::{Db, Pools};
use crate::domain::{Fault, Timestamp};

/// The ports on one database.
#[derive(Clone)]
pub struct SqlStore {
    pools: Pools,
}

impl SqlStore {
    pub(super) fn new(pools: Pools) -> Self {
        Self { pools }
    }
}

/// SQLite's `BUSY`, `LOCKED`, `IOERR`, `FULL` and `CANTOPEN`.
const PASSING: [u32; 5] = [5, 6, 10, 13, 14];

/// What a driver's error is to the services. Its text names no value of a row.
pub(super) fn fault(error: sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Fault::Unavailable(error.to_string()),
        // A lock that is not given, a disk that is full or fails: it may pass. The low byte is SQLite's primary code.
        sqlx::Error::Database(ref inner)
            if inner
                .code()
                .and_then(|code| code.parse::<u32>().ok())
                .is_some_and(|code| PASSING.contains(&(code & 0xFF))) =>
        {
            Fault::Unavailable(error.to_string())
        }
        other => Fault::Internal(other.to_string()),
    }
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// What is stored and can't be.
fn corrupt(what: &str) -> Fault {
    Fault::Internal(format!("the database holds {what} that this version does not know"))
}

impl From<Timestamp> for i64 {
    fn from(at: Timestamp) -> Self {
        at.0
    }
}
