//! The token cache: in Redis for several nodes, and in memory for one process. It is never the
//! source of truth: a record that is lost or cannot be read only costs time.
//!
//! A request that misses a record stores a lease in its place, reads SQL, and may fill in the
//! record only if the same lease is still stored. A change is committed first, and then deletes
//! both the record and the lease. So a reader that was delayed, for however long, cannot store what
//! it read before the change.

mod local;
mod redis;

use std::time::Duration;

pub use local::{LocalCache, NoWakeups};
pub use redis::{RedisAuthorities, RedisCache, RedisServer, RedisTimeouts};

/// The lifetime of a lease: longer than an SQL statement may take.
const LEASE: Duration = Duration::from_secs(6);
