//! Retired server keys, as all nodes learn of them.

use super::{Change, Timestamp};

/// A key that was retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredKey {
    /// The name of the key.
    pub kid: String,
    pub at: Timestamp,
}

/// The number of rows that depend on a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The name of the key.
    pub kid: String,
    /// Sessions with refresh tokens that are derived from it.
    pub sessions: i64,
    /// Open codes that are derived from it.
    pub codes: i64,
}

port! {
    ($)
    /// Retired keys, and the rows that depend on each key.
    KeyRecords, key_records_port {
        /// Retires a key for good. Returns false where it was retired already.
        fn retire_key(kid: &str, change: Change) -> bool;
        /// Returns every retired key, the first retired first.
        fn retired_keys() -> Vec<RetiredKey>;
        /// Counts the rows that depend on each key. Too slow for a request.
        fn key_uses() -> Vec<KeyUse>;
    }
}
