//! The set of revocations.

use std::collections::{HashMap, VecDeque};
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
    /// Later expiries of ids that have arrived again since they were added to `expiries`.
    extended: HashMap<u128, Instant>,
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
        Self { expiries: VecDeque::new(), extended: HashMap::new(), all_until: None, max }
    }

    /// Adds a session or user until `expiry`. Returns `false` if there are too many. An id that is
    /// already in the set stays longer: the service repeats an entry while its tokens, which were
    /// issued while the clock was ahead, may yet become valid.
    pub(super) fn add(&mut self, set: &Revocations, id: Uuid, expiry: Instant) -> bool {
        let ids = set.ids.pin();
        let id = id.as_u128();
        if ids.contains(&id) {
            self.extended.insert(id, expiry);
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
            match self.extended.remove(&id) {
                // At the end, where it stays for at most as long as the latest entry.
                Some(expiry) if expiry > now => self.expiries.push_back((expiry, id)),
                _ => drop(ids.remove(&id)),
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_arrives_again_stays_for_as_long_again() {
        let (set, mut writer, began) = (Revocations::new(), Writer::new(2), Instant::now());
        let at = |minute: u64| began + Duration::from_secs(60 * minute);
        let ids = [1, 2, 3].map(Uuid::from_u128);
        let claims =
            |session_id| Claims { session_id, user_id: Uuid::max(), issued_at: 0, expires_at: 0 };
        assert!(writer.add(&set, ids[0], at(61)) && writer.add(&set, ids[1], at(61)));
        assert!(!writer.add(&set, ids[2], at(61)), "there are too many");
        for minute in [15, 30, 60] {
            assert!(writer.add(&set, ids[0], at(minute + 61)), "a known one is not counted twice");
        }
        for (minute, known) in [(60, [true, true]), (61, [true, false]), (121, [false, false])] {
            writer.expire(&set, at(minute));
            assert_eq!([0, 1].map(|id| set.contain(&claims(ids[id]))), known, "{minute}");
        }
        assert!(writer.expiries.is_empty() && writer.extended.is_empty() && set.len() == 0);
    }
}
