//! Maintenance of a store: retention, consistency checks, and the state of its connection pools.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{MailPolicy, Timestamp};

/// Maximum ages of stored rows, after which they are deleted.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Maximum age of verifications, whether pending, invalid or expired.
    pub verifications: Duration,
    /// Maximum age of emails that were completed or never sent: at least a day plus the lifetime of
    /// a code, since emails count against the rate limit of their address for that long.
    pub mails: Duration,
    /// Maximum age of entries of the revocation log: at least the lifetime of an access token.
    pub revocations: Duration,
    /// Number of the last entry of the revocation log that may be deleted.
    pub last_revocation: i64,
    /// Maximum age of sessions, counted from the last refresh.
    pub session_idle: Duration,
    /// Maximum age of sessions, counted from the login.
    pub session_life: Duration,
    /// Maximum age of the records from which networks an account has logged in, counted from the
    /// last login.
    pub known_networks: Duration,
}

/// Condition that every row must satisfy, with the violations that a consistency check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invariant {
    /// Condition, in words.
    pub condition: &'static str,
    /// Number of rows that violate the condition, counted up to [`Invariant::MAX_COUNTED`].
    pub violations: usize,
    /// Ids of violating rows, at most [`Invariant::MAX_IDS`]. Rows without an id are missing.
    pub ids: Vec<Uuid>,
}

impl Invariant {
    pub const MAX_COUNTED: usize = 1000;
    pub const MAX_IDS: usize = 10;
}

/// Limits and rules of the service, against which a consistency check compares stored values.
#[derive(Clone, Copy)]
pub struct InspectionBounds {
    pub policy: MailPolicy,
    /// Function that reports whether a password hash has a supported format.
    pub is_hash: fn(&str) -> bool,
}

/// Returns the pause after a batch of a long deletion that took this time. It is nine times as
/// long, so that requests hardly wait for the deletion, but at most 100 ms: a slow database must
/// not make the deletion slower than rows are added.
#[must_use]
pub fn deletion_pause(took: Duration) -> Duration {
    (took * 9).min(Duration::from_millis(100))
}

port! {
    ($)
    /// Maintenance of the store: retention, and checks of its condition.
    Housekeeping, housekeeping_port {
        /// Deletes rows that are past their retention, in short transactions with pauses
        /// ([`deletion_pause`]). Returns the number of deleted rows. If some kind of row cannot be
        /// deleted, the others still are, and the first fault is returned.
        fn sweep(retention: &Retention, now: Timestamp) -> u64;
        /// Returns the distinct hash classes (algorithm and cost) of the stored passwords. Its
        /// duration does not depend on the number of users.
        fn hash_classes() -> Vec<String>;
        /// Checks that the database answers a query.
        fn ping() -> ();
        /// Checks that the database accepts changes, without making one: it is not read-only, and
        /// its disk is not full as far as that is visible without writing.
        fn check_writable() -> ();
        /// Returns the time by the clock of the database server, which all nodes share, or `None`
        /// for SQLite, which uses the clock of this machine.
        fn server_time() -> Option<Timestamp>;
    }
}

port! {
    ($)
    /// The consistency check of the store.
    Inspection, inspection_port {
        /// Checks every row in one snapshot, without blocking writers, and returns all invariants,
        /// including those without violations. Rows are read in pages, so memory use does not
        /// depend on the size of the database.
        fn inspect(bounds: &InspectionBounds, now: Timestamp) -> Vec<Invariant>;
    }
}

/// Connection pools of a database.
#[async_trait]
pub trait ConnectionPools: Send + Sync {
    fn pools(&self) -> Vec<PoolUse>;
    /// Returns the error message if a change failed within the last 30 seconds because the database
    /// was read-only or full, otherwise `None`.
    fn recent_write_fault(&self) -> Option<String> {
        None
    }
    /// Waits for running statements to finish, and closes all connections.
    async fn close(&self);
}

/// Utilisation of a connection pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    pub name: &'static str,
    /// Number of open connections.
    pub open: u32,
    /// Number of open connections that are not in use.
    pub idle: u32,
    /// Maximum number of open connections.
    pub max: u32,
}
