//! The cache of one process: bounded, and gone with it. It is for the embedded database, which has
//! one process; where several nodes share a database, it would show a change of another node late.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use quick_cache::unsync;
use uuid::Uuid;

use super::LEASE;
use crate::domain::{CacheLookup, Leases, Profile, RecordCache, Timestamp, Wakeups};
use crate::metrics::CacheMetrics;

/// The cache of one process.
pub struct LocalCache {
    slots: Option<Mutex<Slots>>,
    life: Duration,
    metrics: Arc<CacheMetrics>,
}

/// Ids of sessions and users are never the same, so one table has both.
type Slots = unsync::Cache<Uuid, Slot>;

#[derive(Clone)]
struct Slot {
    holds: Holds,
    until: Timestamp,
}

#[derive(Clone)]
enum Holds {
    Lease(Uuid),
    Session,
    User(Arc<Profile>),
}

impl LocalCache {
    /// A cache for so many sessions and users, whose records live so long. The longest unused make
    /// room.
    #[must_use]
    pub fn new(most: usize, life: Duration, metrics: Arc<CacheMetrics>) -> Self {
        Self { slots: Some(Mutex::new(Slots::new(most))), life, metrics }
    }

    /// A cache that keeps nothing.
    #[must_use]
    pub fn none(metrics: Arc<CacheMetrics>) -> Self {
        Self { slots: None, life: Duration::ZERO, metrics }
    }

    fn slots(&self) -> Option<MutexGuard<'_, Slots>> {
        // Each change of the table is one step, so a panic elsewhere leaves it whole.
        self.slots.as_ref().map(|slots| slots.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Takes the place of what is missing; none where somebody else holds it.
fn lease(slots: &mut Slots, subject: Uuid, now: Timestamp) -> Option<Uuid> {
    let held = slots
        .peek(&subject)
        .is_some_and(|slot| matches!(slot.holds, Holds::Lease(_)) && slot.until > now);
    if held {
        return None;
    }
    let lease = Uuid::new_v4();
    slots.insert(subject, Slot { holds: Holds::Lease(lease), until: now.plus(LEASE) });
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
        let session = find(session_id).is_some_and(|slot| matches!(slot.holds, Holds::Session));
        let user = match find(user_id).map(|slot| slot.holds) {
            Some(Holds::User(profile)) if profile.version >= min_version => Some(profile),
            _ => None,
        };
        self.metrics.looked_up(session && user.is_some());
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
        let mut put = |subject: Uuid, mine: Option<Uuid>, holds: Holds| {
            let stands = slots.peek(&subject).is_some_and(|slot| {
                matches!(slot.holds, Holds::Lease(lease) if Some(lease) == mine) && slot.until > now
            });
            if stands {
                slots.insert(subject, Slot { holds, until });
            }
        };
        put(session_id, leases.session, Holds::Session);
        put(profile.id, leases.user, Holds::User(Arc::new(profile.clone())));
    }

    async fn forget(&self, subjects: &[Uuid]) {
        let Some(mut slots) = self.slots() else { return };
        for subject in subjects {
            slots.remove(subject);
        }
    }
}

/// Wakeups of a process that shares its database with no other node, or has no Redis to notify
/// through.
pub struct NoWakeups;

#[async_trait]
impl Wakeups for NoWakeups {
    async fn notify(&self) {}

    async fn notified(&self) {
        std::future::pending::<()>().await;
    }
}
