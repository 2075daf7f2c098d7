//! Retired server keys, and the use of each key.

use super::{Change, Timestamp};

/// Server key that was retired: nothing that is derived from it is accepted any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredKey {
    /// Name of the server key.
    pub kid: String,
    pub at: Timestamp,
}

/// Numbers of stored rows that depend on a server key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// Name of the server key.
    pub kid: String,
    /// Number of sessions with refresh tokens that are derived from the key.
    pub sessions: i64,
    /// Number of open one-time codes that are derived from the key.
    pub codes: i64,
}

port! {
    ($)
    /// Retired server keys, and the rows that depend on each key.
    KeyRecords, key_records_port {
        /// Retires a key permanently, under all its names. Returns `false` if it was retired
        /// already.
        fn retire_key(kids: &[String], change: Change) -> bool;
        /// Returns all retired keys, in the order in which they were retired.
        fn retired_keys() -> Vec<RetiredKey>;
        /// Counts the rows that depend on each key. Reads whole tables, so it is too slow for a
        /// request.
        fn key_uses() -> Vec<KeyUse>;
    }
}
