//! Cached sessions and accounts, and wakeups between nodes. SQL is the source of truth, so neither
//! port can fail: a lookup in an unreachable cache finds nothing, and a lost wakeup only delays a
//! poll.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Profile, Timestamp};

/// Result of [`RecordCache::look_up`].
#[derive(Debug, PartialEq, Eq)]
pub enum CacheLookup {
    /// The session is open, and this is its account.
    Known(Profile),
    /// A record is missing. The leases permit filling in the records that are then read from SQL.
    Unknown(Leases),
}

/// Permissions to fill in missing records. A lease that was taken before the read, and that no
/// change has revoked since, proves that what was read is still current.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leases {
    pub session: Option<Uuid>,
    pub user: Option<Uuid>,
}

/// The cache of sessions and accounts.
#[async_trait]
pub trait RecordCache: Send + Sync {
    /// Looks up a session and its account. A record of a version below `min_version` is ignored.
    async fn look_up(
        &self,
        session_id: Uuid,
        user_id: Uuid,
        min_version: i64,
        now: Timestamp,
    ) -> CacheLookup;
    /// Fills in what was read after the leases were given, where they are still valid.
    async fn fill(&self, session_id: Uuid, profile: &Profile, leases: Leases, now: Timestamp);
    /// Deletes the records of these sessions and accounts, and revokes every lease for them.
    async fn forget(&self, subjects: &[Uuid]);
}

/// Wakeups of the readers of the revocation log, on all nodes.
#[async_trait]
pub trait Wakeups: Send + Sync {
    /// Notifies all nodes that the revocation log has grown.
    async fn notify(&self);
    /// Waits for a notification by any node.
    async fn notified(&self);
}
