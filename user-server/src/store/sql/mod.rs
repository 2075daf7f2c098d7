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

/// What a driver's error is to the services. Its text names no value of a row.
pub(super) fn fault(error: sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Fault::Unavailable(error.to_string()),
        // A full disk, a lock that is not given: it may pass.
        sqlx::Error::Database(ref inner)
            if matches!(inner.code().as_deref(), Some("5" | "6" | "10" | "13" | "261" | "517")) =>
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
