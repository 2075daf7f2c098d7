//! Maintenance of a store: retention, consistency checks, and the state of its connection pools.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{MailPolicy, Timestamp};

/// Retention of each table.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Pending, dead and expired verifications.
    pub verifications: Duration,
    /// Emails: at least a day plus the lifetime of a code, since they count against a budget for
    /// that long.
    pub mails: Duration,
    /// Entries of the revocation log: at least the lifetime of an access token.
    pub revocations: Duration,
    /// Sessions without a refresh.
    pub session_idle: Duration,
    /// Sessions in total.
    pub session_life: Duration,
    /// Networks that opened a session of an account.
    pub known_networks: Duration,
}

/// A condition that every row must satisfy, and the rows that violate it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invariant {
    /// The condition, in words.
    pub condition: &'static str,
    /// The number of rows that violate it, counted up to [`Invariant::MAX_COUNTED`].
    pub violations: usize,
    /// The ids of the first [`Invariant::MAX_IDS`] of them that have one.
    pub ids: Vec<Uuid>,
}

impl Invariant {
    pub const MAX_COUNTED: usize = 1000;
    pub const MAX_IDS: usize = 10;
}

/// Bounds of stored values that only the services know.
#[derive(Clone, Copy)]
pub struct InspectionBounds {
    pub policy: MailPolicy,
    /// Reports whether a stored password hash can be verified.
    pub is_hash: fn(&str) -> bool,
}

port! {
    ($)
    /// Upkeep of the store.
    Housekeeping, housekeeping_port {
        /// Deletes rows that are past their retention. Returns their number.
        fn sweep(retention: &Retention, now: Timestamp) -> u64;
        /// Returns the distinct hash classes (algorithm and cost) of the stored passwords. The
        /// time this takes does not depend on the number of users.
        fn hash_classes() -> Vec<String>;
        /// Checks that the store answers.
        fn ping() -> ();
        /// Checks that the store accepts changes, without making one: it is not read-only, and its
        /// disk is not full as far as that is visible without writing.
        fn check_writable() -> ();
        /// Returns the time by the database's clock, which all nodes share, or `None` if the
        /// database is embedded and uses the clock of this machine.
        fn server_time() -> Option<Timestamp>;
    }
}

port! {
    ($)
    /// The consistency check.
    Inspection, inspection_port {
        /// Checks every row in one snapshot, without blocking writers, and changes nothing. Rows
        /// are read in pages, so memory use does not depend on the size of the store.
        fn inspect(bounds: &InspectionBounds, now: Timestamp) -> Vec<Invariant>;
    }
}

/// The connection pools of a store.
#[async_trait]
pub trait ConnectionPools: Send + Sync {
    fn pools(&self) -> Vec<PoolUse>;
    /// Returns why a change failed within the last half minute because the store was read-only or
    /// full.
    fn recent_write_fault(&self) -> Option<String> {
        None
    }
    /// Finishes the statements that are running and closes every connection.
    async fn close(&self);
}

/// Use of a connection pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    pub name: &'static str,
    /// Open connections.
    pub open: u32,
    /// Open connections that are not in use.
    pub idle: u32,
    /// The largest number of open connections.
    pub max: u32,
}
