//! A bounded cache in the memory of one process, for the SQLite database, which only one process
//! uses. It would not notice the changes of other nodes that share a database.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use quick_cache::unsync;
use uuid::Uuid;

use super::LEASE;
use crate::domain::{CacheLookup, Leases, Profile, RecordCache, Timestamp, Wakeups};
use crate::metrics::CacheMetrics;

/// Cache of sessions and accounts in the memory of one process.
pub struct LocalCache {
    slots: Option<Mutex<Slots>>,
    life: Duration,
    metrics: Arc<CacheMetrics>,
}

/// Cached sessions, accounts and leases by the id of the session or account, since these ids never
/// collide.
type Slots = unsync::Cache<Uuid, CacheSlot>;

#[derive(Clone)]
struct CacheSlot {
    content: Content,
    until: Timestamp,
}

#[derive(Clone)]
enum Content {
    Lease(Uuid),
    Session,
    User(Arc<Profile>),
}

impl LocalCache {
    /// Creates a cache of at most `capacity` records, which expire after `life`. The least recently
    /// used records are evicted.
    #[must_use]
    pub fn new(capacity: usize, life: Duration, metrics: Arc<CacheMetrics>) -> Self {
        Self { slots: Some(Mutex::new(Slots::new(capacity))), life, metrics }
    }

    /// Creates a disabled cache, which stores nothing.
    #[must_use]
    pub fn none(metrics: Arc<CacheMetrics>) -> Self {
        Self { slots: None, life: Duration::ZERO, metrics }
    }

    fn slots(&self) -> Option<MutexGuard<'_, Slots>> {
        // Each change of the map is a single operation, so a panic cannot leave it inconsistent.
        self.slots.as_ref().map(|slots| slots.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Stores a lease for a missing record and returns it. Returns `None` if another request has a
/// lease for the record.
fn lease(slots: &mut Slots, subject: Uuid, now: Timestamp) -> Option<Uuid> {
    let leased = slots
        .peek(&subject)
        .is_some_and(|slot| matches!(slot.content, Content::Lease(_)) && slot.until > now);
    if leased {
        return None;
    }
    let lease = Uuid::new_v4();
    slots.insert(subject, CacheSlot { content: Content::Lease(lease), until: now.plus(LEASE) });
    Some(lease)
}

#[async_trait]
impl RecordCache for LocalCache {
    async fn look_up(
        &self,
        session_id: Uuid,
        user_id: Uuid,
        min_version: i64,
        now: Timestamp,
    ) -> CacheLookup {
        let Some(mut slots) = self.slots() else { return CacheLookup::Unknown(Leases::default()) };
        let find = |subject: Uuid| slots.get(&subject).filter(|slot| slot.until > now).cloned();
        let session = find(session_id).is_some_and(|slot| matches!(slot.content, Content::Session));
        let user = match find(user_id).map(|slot| slot.content) {
            Some(Content::User(profile)) if profile.version >= min_version => Some(profile),
            _ => None,
        };
        self.metrics.record_lookup(session && user.is_some());
        match user {
            Some(profile) if session => CacheLookup::Known(Profile::clone(&profile)),
            user => CacheLookup::Unknown(Leases {
                session: if session { None } else { lease(&mut slots, session_id, now) },
                user: if user.is_some() { None } else { lease(&mut slots, user_id, now) },
            }),
        }
    }

    async fn fill(&self, session_id: Uuid, profile: &Profile, leases: Leases, now: Timestamp) {
        let Some(mut slots) = self.slots() else { return };
        let until = now.plus(self.life);
        let mut put = |subject: Uuid, own: Option<Uuid>, content: Content| {
            let is_valid = slots.peek(&subject).is_some_and(|slot| {
                matches!(slot.content, Content::Lease(lease) if Some(lease) == own)
                    && slot.until > now
            });
            if is_valid {
                slots.insert(subject, CacheSlot { content, until });
            }
        };
        put(session_id, leases.session, Content::Session);
        put(profile.id, leases.user, Content::User(Arc::new(profile.clone())));
    }

    async fn forget(&self, subjects: &[Uuid]) {
        let Some(mut slots) = self.slots() else { return };
        for subject in subjects {
            slots.remove(subject);
        }
    }
}

/// Wakeups that never notify, for a node that does not share its database, or has no Redis.
pub struct NoWakeups;

#[async_trait]
impl Wakeups for NoWakeups {
    async fn notify(&self) {}

    async fn notified(&self) {
        std::future::pending::<()>().await;
    }
}
