//! Cached sessions and accounts, and wakeups between nodes. The SQL database is the source of
//! truth, so neither port can fail: a lookup in an unreachable cache finds nothing, and a lost
//! wakeup only delays the next poll.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Profile, Timestamp};

/// Result of [`RecordCache::look_up`].
#[derive(Debug, PartialEq, Eq)]
pub enum CacheLookup {
    /// The session is open, and this is the profile of its account.
    Known(Profile),
    /// The record of the session or of the account is not cached. The leases permit storing the
    /// records that are then read from SQL.
    Unknown(Leases),
}

/// Permissions to store missing records in the cache. A lease is taken before the record is read
/// from SQL, and revoked by every change of the record, so a valid lease proves that the record is
/// current. `None` if the record is cached, or no lease was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leases {
    pub session: Option<Uuid>,
    pub user: Option<Uuid>,
}

/// Cache of open sessions and account profiles.
#[async_trait]
pub trait RecordCache: Send + Sync {
    /// Looks up a session and its account. An account record with a version below `min_version` is
    /// ignored.
    async fn look_up(
        &self,
        session_id: Uuid,
        user_id: Uuid,
        min_version: i64,
        now: Timestamp,
    ) -> CacheLookup;
    /// Stores the session and profile that were read from SQL after the leases were given. A record
    /// without a valid lease is not stored.
    async fn fill(&self, session_id: Uuid, profile: &Profile, leases: Leases, now: Timestamp);
    /// Deletes the cached records of these sessions and accounts, and revokes the leases for them.
    async fn forget(&self, subjects: &[Uuid]);
}

/// Notifications between nodes, so that each reads the revocation log at once instead of at its
/// next poll.
#[async_trait]
pub trait Wakeups: Send + Sync {
    /// Notifies all nodes that the revocation log has grown.
    async fn notify(&self);
    /// Waits for a notification by any node.
    async fn notified(&self);
}
