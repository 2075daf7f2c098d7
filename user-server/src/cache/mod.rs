//! The cache of sessions and accounts: in Redis for several nodes, and in memory for one process.
//! It is never the source of truth: a record that is lost or cannot be read only costs time.
//!
//! A request that does not find a record stores a lease in its place, reads the database, and
//! stores the record only if the same lease is still stored. A change is committed first, and then
//! deletes both the record and the lease. So a reader that was delayed, for however long, cannot
//! store an outdated record.

mod local;
mod redis;

use std::time::Duration;

pub use local::{LocalCache, NoWakeups};
pub use redis::{RedisAuthorities, RedisCache, RedisServer, RedisTimeouts};

/// Lifetime of a lease: longer than an SQL statement may take.
const LEASE: Duration = Duration::from_secs(6);
