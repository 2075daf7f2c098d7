//! The set of revocations.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use papaya::HashSet;
use tokio::time::Instant;
use uuid::Uuid;

use super::hash::Seed;
use super::token::Claims;
use crate::limits;

/// The revocations that have been received and have not expired. Readers do not wait for the
/// writer.
pub(super) struct Revocations {
    /// Ids of sessions and users.
    ids: HashSet<u128, Seed>,
    /// 0, or one more than the latest `iat` of the tokens that are all revoked.
    first_valid: AtomicU64,
}

/// The part of the state that only the follower uses.
pub(super) struct Writer {
    /// Ids with the time at which they expire, in this order.
    expiries: VecDeque<(Instant, u128)>,
    all_until: Option<Instant>,
    max: usize,
}

impl Revocations {
    pub(super) fn new() -> Self {
        Self { ids: HashSet::with_hasher(Seed::random()), first_valid: AtomicU64::new(0) }
    }

    /// Returns `true` if a token with these claims is revoked.
    pub(super) fn contain(&self, claims: &Claims) -> bool {
        if claims.issued_at < self.first_valid.load(Ordering::Acquire) {
            return true;
        }
        let ids = self.ids.pin();
        ids.contains(&claims.session_id.as_u128()) || ids.contains(&claims.user_id.as_u128())
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }
}

impl Writer {
    pub(super) fn new(max: usize) -> Self {
        Self { expiries: VecDeque::new(), all_until: None, max }
    }

    /// Adds a session or user until `expiry`. Returns `false` if there are too many. An id that is
    /// already in the set does not stay longer: the tokens that it concerns were issued before it
    /// arrived for the first time.
    pub(super) fn add(&mut self, set: &Revocations, id: Uuid, expiry: Instant) -> bool {
        let ids = set.ids.pin();
        let id = id.as_u128();
        if ids.contains(&id) {
            return true;
        }
        if self.expiries.len() >= self.max {
            return false;
        }
        ids.insert(id);
        self.expiries.push_back((expiry, id));
        true
    }

    /// Revokes every token that was issued at `before` (in seconds) or earlier, until `expiry`.
    pub(super) fn add_all(&mut self, set: &Revocations, before: u64, expiry: Instant) {
        set.first_valid.fetch_max(before.saturating_add(1), Ordering::AcqRel);
        // The expiry is always extended: an earlier `before` may arrive last, and is then covered
        // by the later one.
        self.all_until = self.all_until.max(Some(expiry));
    }

    /// Removes the entries that have expired. Returns `true` if there is space for more.
    ///
    /// A reader never misses an entry because of this: it reads the clock after the set, and by
    /// that reading the tokens that the entry concerns have expired.
    pub(super) fn expire(&mut self, set: &Revocations, now: Instant) -> bool {
        let ids = set.ids.pin();
        while let Some((_, id)) = self.expiries.pop_front_if(|(expiry, _)| *expiry <= now) {
            ids.remove(&id);
        }
        if self.all_until.is_some_and(|until| until <= now) {
            self.all_until = None;
            set.first_valid.store(0, Ordering::Release);
        }
        self.expiries.len() < self.max
    }
}

/// Time for which an entry is kept: the longest lifetime that a token can have, and the time by
/// which the clock of the node that issued it may have been ahead. The lifetime of the tokens that
/// the service issues now does not matter, since older ones may have another one.
pub(super) const RETENTION: Duration = Duration::from_secs(limits::MAX_ACCESS_LIFE as u64 + 60);
