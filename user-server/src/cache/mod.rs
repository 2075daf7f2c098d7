//! The token cache: Redis between nodes, and its twin in one process. It knows no SQL and is never
//! the truth: whatever it loses, forgets or can't be asked costs time and nothing else.
//!
//! Who misses a record takes a lease in its place, reads SQL, and may fill the record in only where
//! that very lease still stands. Who changes or ends something commits first and then deletes
//! record and lease alike. So a reader that was held up for however long can't bring back what it
//! read before the change.

mod local;
mod redis;

use std::time::Duration;

pub use local::{LocalCache, NoWakeups};
pub use redis::{Authorities, RedisCache, RedisServer, RedisTimeouts};

/// How long a lease stands: longer than a statement in SQL may take.
const LEASE: Duration = Duration::from_secs(6);
