//! Applies the answers to GetKeys and WatchRevocations to the shared state.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::keys::KeySet;
use super::local::Local;
use super::revocations::{RETENTION, Writer};
use super::time::Floor;
use crate::limits;
use crate::table::{Keys, RevocationRow, Revocations};

/// Time after which all revocations are requested again after there were too many.
const RETRY_ALL_AFTER: Duration = Duration::from_secs(60);
/// Longest accepted cursor in bytes.
const MAX_CURSOR: usize = 1_024;
/// Shortest and longest time in seconds after which the keys are read again.
const REFRESH_AFTER: (u32, u32) = (10, 24 * 60 * 60);
/// Time for which the keys are used after they should have been read again.
const KEYS_OVERDUE: Duration = Duration::from_secs(10);

/// The only writer of the shared state.
pub(super) struct Follower {
    pub(super) local: Arc<Local>,
    writer: Writer,
    floor: Floor,
    /// Cursor of the last answer, for the next request.
    pub(super) cursor: Vec<u8>,
    /// Number of times that all revocations were requested again. The answer to a request from
    /// before the last time is not complete.
    pub(super) round: u32,
    /// Time at which an entry was left out because there were too many.
    missed_at: Option<Instant>,
}

/// Consequences of an answer for the next requests.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// `true` if a key was revoked that was not revoked before.
    pub(super) key_revoked: bool,
    /// `true` if the answer contained entries.
    pub(super) brought_entries: bool,
}

impl Follower {
    pub(super) fn new(local: Arc<Local>) -> Self {
        let writer = Writer::new(local.config.max_revocations);
        Self {
            local,
            writer,
            floor: Floor::default(),
            cursor: Vec::new(),
            round: 0,
            missed_at: None,
        }
    }

    /// Applies an answer to GetKeys. Returns the time after which to call it again, or `None` if
    /// the key set is malformed.
    pub(super) fn apply_keys(
        &mut self,
        answer: &Keys<'_>,
        times: (Instant, Instant),
    ) -> Option<Duration> {
        let keys = KeySet::parse(&answer.jwks)?;
        if let Some(now) = answer.now_ms {
            self.local.time.observe(&mut self.floor, now.0, times, RETENTION);
        }
        // The entries are kept for long enough for this lifetime at most.
        let life = answer.access_life.min(limits::MAX_ACCESS_LIFE);
        self.local.access_life.store(life.into(), Ordering::Release);
        self.local.is_left_to_service.store(keys.len() == 0, Ordering::Release);
        if self.local.keys.replace(keys, &answer.jwks) {
            self.local.cache.clear();
        }
        let refresh_after = answer.refresh_after.clamp(REFRESH_AFTER.0, REFRESH_AFTER.1);
        let refresh_after = Duration::from_secs(refresh_after.into());
        // Only after the keys: a reader that finds them current has seen them, or later ones.
        self.local.set_keys_until(times.0 + refresh_after + KEYS_OVERDUE);
        Some(refresh_after)
    }

    /// Applies a refusal of GetKeys to a client that is not trusted.
    pub(super) fn apply_not_permitted(&self) {
        if !self.local.keys.are_loaded() {
            self.local.is_left_to_service.store(true, Ordering::Release);
        }
    }

    /// Applies an answer to the WatchRevocations of this `round`. The age counts from the time of
    /// sending.
    pub(super) fn apply_revocations(
        &mut self,
        answer: Revocations<'_>,
        round: u32,
        (sent, received): (Instant, Instant),
    ) -> Applied {
        self.local.time.observe(&mut self.floor, answer.now_ms.0, (sent, received), RETENTION);
        let mut key_revoked = false;
        for row in &answer.entries {
            match self.apply_row(row, received + RETENTION) {
                Some(revoked) => key_revoked |= revoked,
                None => self.local.has_unknown_entry.store(true, Ordering::Release),
            }
        }
        if key_revoked {
            self.local.cache.clear();
        }
        let staleness = Duration::from_millis(answer.stale_ms.into());
        if answer.more == 0 {
            self.local.set_revoked_keys_complete(sent, staleness);
        }
        let brought_entries = !answer.entries.is_empty();
        let applied = Applied { key_revoked, brought_entries };
        if round != self.round {
            return applied;
        }
        if self.missed_at.is_some() {
            self.local.set_incomplete();
        } else if answer.more == 0 {
            // Only after the entries above: readers rely on this order.
            self.local.set_complete(sent, staleness);
        }
        self.cursor = answer.cursor.into_owned();
        if self.cursor.len() > MAX_CURSOR {
            self.cursor.clear();
        }
        applied
    }

    /// Returns `true` if the row revokes a key that was not revoked before, and `None` if the row
    /// is not understood.
    fn apply_row(&mut self, row: &RevocationRow<'_>, expiry: Instant) -> Option<bool> {
        match row.kind {
            1 | 2 => {
                let id = Uuid::from_slice(&row.id).ok()?;
                if !self.writer.add(&self.local.revocations, id, expiry) {
                    self.missed_at.get_or_insert_with(Instant::now);
                }
                Some(false)
            }
            3 if row.id.is_empty() => {
                self.writer.add_all(&self.local.revocations, row.before.0, expiry);
                Some(false)
            }
            4 if !row.id.is_empty() => {
                // A longer kid names no key that this verifier accepts.
                if row.id.len() > limits::MAX_KID {
                    return Some(false);
                }
                let kid = std::str::from_utf8(&row.id).ok()?;
                self.local.keys.revoke(kid)
            }
            _ => None,
        }
    }

    /// Removes what has expired. Requests all revocations again if some were left out because there
    /// were too many, and there is space now.
    pub(super) fn expire(&mut self, now: Instant) {
        let has_space = self.writer.expire(&self.local.revocations, now);
        let is_due = |missed: Instant| now.duration_since(missed) >= RETRY_ALL_AFTER;
        if has_space && self.missed_at.is_some_and(is_due) {
            self.missed_at = None;
            self.start_over();
        }
    }

    /// Requests all revocations again, and makes them incomplete until they have arrived.
    fn start_over(&mut self) {
        self.local.set_incomplete();
        self.cursor.clear();
        self.round = self.round.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests;
