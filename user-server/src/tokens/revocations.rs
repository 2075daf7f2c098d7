//! The in-memory set of ended sessions and changed users. Changes on this node are added at once;
//! [`RevocationReader`](super::RevocationReader) adds those on other nodes. The set reports the
//! time since the last successful read.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use papaya::HashMap;
use tokio::time::Instant;
use uuid::Uuid;

use super::MAX_TOKEN;
use super::feed::{FeedLog, RevocationFeed};
use super::log_marks::LogMarks;
use crate::domain::{EndedSessions, MAX_ACCESS_LIFE, RetiredKey, Revocation, Subject, Timestamp};

/// Maximum age at which the last read of the revocation log and of the retired keys counts as
/// fresh: the promised time within which every node rejects a revoked token.
pub const FRESH: Duration = Duration::from_secs(1);
/// Overlap of consecutive reads. An entry is numbered before its transaction commits, and has the
/// time at which its request began, so it appears up to the longest deadline (30 s) later; the time
/// of the commit and the difference of the clocks of the nodes add to that. Twice the deadline
/// leaves a margin for both.
pub(super) const OVERLAP: Duration = Duration::from_secs(60);
/// Lifetime of an entry of the set: the longest lifetime of an access token that a node can have,
/// since nodes, and the clients that verify tokens themselves, may know different ones.
pub(super) const RETENTION: Duration = MAX_ACCESS_LIFE.saturating_add(OVERLAP);
/// Interval at which entries are sent to clients again that must outlive their lifetime there.
const REPEAT_PERIOD: Duration = Duration::from_secs(15 * 60);
/// Bound on the entries that are numbered, but not yet committed, when a node starts.
const IN_FLIGHT: i64 = 4_000;

/// Ended sessions and changed users, as far as this node has learned of them.
pub struct Revocations {
    /// Ids of ended sessions and users, each with the time at which all their tokens have expired,
    /// so that the entry can be removed. They are added only together with `feed`.
    ended: HashMap<Uuid, Until>,
    /// The same entries, in the order in which this node learned of them, and the retired keys.
    feed: RevocationFeed,
    /// Time at which all sessions of all users were last ended, in milliseconds since 1970, or zero
    /// if never.
    everyone: AtomicI64,
    /// Latest version of each changed user, with the time at which every older cached record has
    /// expired, so that the entry can be removed.
    changed: HashMap<Uuid, (i64, Until)>,
    stale_limit: Duration,
    origin: Instant,
    /// Start of the last successful read, in milliseconds after `origin`.
    read_at: AtomicU64,
    /// Reads of the revocation log within the last [`RETENTION`].
    reads: Mutex<LogMarks>,
    /// Time until which tokens may have been issued that an entry concerned which was deleted from
    /// the revocation log, in milliseconds since 1970.
    erased: AtomicI64,
    /// Time of the last [`Revocations::repeat`], in milliseconds after `origin`.
    repeated_at: AtomicU64,
}

/// End of a lifetime by the wall clock and by the monotonic clock. It has passed only when both
/// clocks are past it, so that a jump of the wall clock ends no lifetime early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Until {
    wall: Timestamp,
    monotonic: Instant,
}

impl Until {
    fn is_past(self, now: Timestamp, instant: Instant) -> bool {
        now >= self.wall && instant >= self.monotonic
    }

    fn latest(self, other: Self) -> Self {
        Self { wall: self.wall.max(other.wall), monotonic: self.monotonic.max(other.monotonic) }
    }
}

/// Error if the last successful read of the revocation log is too old to verify tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooStale;

impl Revocations {
    /// Creates an empty set. Tokens can no longer be verified if the last successful read of the
    /// revocation log is older than `stale_limit`, or than [`FRESH`] if that is longer.
    #[must_use]
    pub fn new(stale_limit: Duration) -> Self {
        Self {
            ended: HashMap::new(),
            feed: RevocationFeed::new(),
            everyone: AtomicI64::new(0),
            changed: HashMap::new(),
            stale_limit: stale_limit.max(FRESH),
            origin: Instant::now(),
            read_at: AtomicU64::new(0),
            reads: Mutex::new(LogMarks::new(RETENTION)),
            erased: AtomicI64::new(0),
            repeated_at: AtomicU64::new(0),
        }
    }

    /// Creates an empty set that was last read `age` ago.
    #[cfg(test)]
    pub(super) fn with_age(age: Duration, stale_limit: Duration) -> Self {
        Self { origin: Instant::now() - age, ..Self::new(stale_limit) }
    }

    /// Reports whether one of these session or user ids is revoked.
    #[must_use]
    pub fn contains_any<const N: usize>(&self, subjects: [Uuid; N]) -> bool {
        let set = self.ended.pin();
        subjects.iter().any(|subject| set.contains_key(subject))
    }

    /// Reports whether all tokens that were issued at this Unix time, in seconds, or earlier are
    /// revoked.
    #[must_use]
    pub fn all_revoked_since(&self, issued_at: u64) -> bool {
        let everyone = Timestamp(self.everyone.load(Ordering::Relaxed));
        everyone.0 > 0 && issued_at <= everyone.seconds()
    }

    /// Adds the sessions and users that ended at `now`.
    pub fn add_ended(&self, ended: &EndedSessions, now: Timestamp) {
        let until = Self::until(now.max(ended.issued_until));
        self.feed.update(|log| {
            for subject in &ended.subjects {
                self.insert_or_extend(log, *subject, until);
            }
        });
    }

    /// Adds retired keys.
    pub fn add_retired(&self, keys: &[RetiredKey]) {
        self.feed.update(|log| {
            // A token with a longer kid is invalid anyway.
            for key in keys.iter().filter(|key| key.kid.len() <= MAX_TOKEN) {
                log.push_key(&key.kid);
            }
        });
    }

    /// Adds a session or user to the set and to the log, unless it is known. Returns false if it is
    /// known.
    fn insert(&self, log: &mut FeedLog, subject: Subject, until: Until) -> bool {
        let is_new = self.ended.pin().try_insert(subject.id(), until).is_ok();
        if is_new {
            log.push(subject);
        }
        is_new
    }

    /// Adds a session or user. The lifetime of an entry that is read repeatedly began when it was
    /// read first; a later entry of the same subject begins another, also for clients that know the
    /// subject.
    fn insert_or_extend(&self, log: &mut FeedLog, subject: Subject, until: Until) {
        let (ended, id) = (self.ended.pin(), subject.id());
        // A known entry may expire before its lifetime is extended.
        while !self.insert(log, subject, until) {
            match ended.get(&id) {
                Some(known) if known.wall >= until.wall => return,
                Some(_) if ended.update(id, |known| known.latest(until)).is_some() => {
                    log.push(subject);
                    return;
                }
                _ => {}
            }
        }
    }

    pub(super) fn feed(&self) -> &RevocationFeed {
        &self.feed
    }

    /// Returns the number of clients that wait for further revocations.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.feed.waiting()
    }

    /// Returns the number of revocations that were sent to clients.
    #[must_use]
    pub fn sent_entries(&self) -> u64 {
        self.feed.returned()
    }

    /// Returns the end of the lifetime of a revocation that was made at `at` and that this node has
    /// just received.
    fn until(at: Timestamp) -> Until {
        Until { wall: at.plus(RETENTION), monotonic: Instant::now() + RETENTION }
    }

    /// Adds a user that changed at `now`, with the new version of the account.
    pub fn add_update(&self, user_id: Uuid, version: i64, now: Timestamp) {
        let until = Self::until(now);
        let newest = |known: &(i64, Until)| (known.0.max(version), known.1.latest(until));
        self.changed.pin().update_or_insert(user_id, newest, (version, until));
    }

    /// Returns the lowest version of a cached account that is not known to be outdated.
    #[must_use]
    pub fn min_version(&self, user_id: Uuid) -> i64 {
        self.changed.pin().get(&user_id).map_or(0, |(version, _)| *version)
    }

    /// Returns the time since the start of the last successful read of the revocation log.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        let read_at = Duration::from_millis(self.read_at.load(Ordering::Acquire));
        now.saturating_duration_since(self.origin).saturating_sub(read_at)
    }

    /// Returns the number of ended sessions and users in the set.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.ended.len()
    }

    /// Returns the time since the last successful read of the revocation log if it exceeds
    /// [`FRESH`], otherwise `None`.
    ///
    /// # Errors
    /// If it exceeds the limit, so that tokens cannot be verified.
    pub fn staleness(&self, now: Instant) -> Result<Option<Duration>, TooStale> {
        match self.age(now) {
            age if age > self.stale_limit => Err(TooStale),
            age if age > FRESH => Ok(Some(age)),
            _ => Ok(None),
        }
    }

    /// Returns the number of the last entry of the revocation log that concerns only expired tokens
    /// and can be deleted: this node has known it for the longest lifetime of an access token by
    /// the monotonic clock. Returns zero if there is none.
    #[must_use]
    pub fn last_expired(&self, instant: Instant) -> i64 {
        self.reads().last_before(instant, RETENTION).unwrap_or(0)
    }

    /// Returns the number of an entry of the revocation log that was read at least `age` ago, so
    /// that a read of the later ones is complete.
    pub(super) fn last_read(&self, instant: Instant, age: Duration) -> i64 {
        let reads = self.reads();
        let last = reads.last_before(instant, age);
        last.unwrap_or_else(|| reads.first().saturating_sub(IN_FLIGHT))
    }

    /// Sets the time until which tokens may have been issued that an entry concerned which was
    /// deleted from the revocation log.
    pub(super) fn set_erased(&self, until: Timestamp) {
        self.erased.fetch_max(until.0, Ordering::Relaxed);
    }

    /// Reports whether the revocation of a token that was issued at this Unix time, in seconds, may
    /// have been deleted from the log. A token that has not expired is as old only if the clock was
    /// set back.
    #[must_use]
    pub fn may_be_erased(&self, issued_at: u64) -> bool {
        issued_at <= Timestamp(self.erased.load(Ordering::Relaxed)).seconds()
    }

    /// Reports whether the revocation of a token that has not expired at `now` may have been
    /// deleted from the log.
    pub(super) fn may_lack_erased(&self, now: Timestamp) -> bool {
        let erased = Timestamp(self.erased.load(Ordering::Relaxed));
        erased.0 > 0 && now < erased.plus(MAX_ACCESS_LIFE)
    }

    /// Returns the numbers of entries of the revocation log that may yet be committed although
    /// later ones are.
    pub(super) fn missing(&self) -> Vec<i64> {
        self.reads().missing()
    }

    /// Forgets which numbers were read if the log ends below the highest of them. Returns true in
    /// that case: the numbers begin again at a lower one when a standby of the database takes over
    /// that lacks the last transactions, and all of the log has to be read.
    pub(super) fn restart_below(&self, highest: i64) -> bool {
        let mut reads = self.reads();
        let is_restarted = highest < reads.highest();
        if is_restarted {
            *reads = LogMarks::new(RETENTION);
        }
        is_restarted
    }

    /// Declares that the set contains what the database contained at `started`, or more. `found`
    /// are the numbers of the entries that the read found, which include all after the number
    /// `after`.
    pub(super) fn set_read(&self, started: Instant, after: i64, found: &[i64]) {
        let highest = found.iter().copied().max().unwrap_or(0);
        {
            let mut reads = self.reads();
            reads.record(started, highest);
            // A read of the whole log begins with numbers that were deleted long ago.
            let from = if after == 0 { highest.saturating_sub(IN_FLIGHT) } else { after };
            reads.find_missing(started, from.max(0), found);
        }
        self.read_at.store(self.millis(started), Ordering::Release);
    }

    /// Returns an instant in milliseconds after `origin`.
    fn millis(&self, instant: Instant) -> u64 {
        let millis = instant.saturating_duration_since(self.origin).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX)
    }

    fn reads(&self) -> MutexGuard<'_, LogMarks> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends entries again that concern tokens which are valid for longer than a client keeps an
    /// entry, and starts their lifetime by the monotonic clock anew: the tokens were issued while
    /// the clock was ahead, or the clock was set back.
    fn repeat(&self, now: Timestamp, instant: Instant) {
        let (started, last) = (self.millis(instant), self.repeated_at.load(Ordering::Relaxed));
        if Duration::from_millis(started.saturating_sub(last)) < REPEAT_PERIOD {
            return;
        }
        self.repeated_at.store(started, Ordering::Relaxed);
        let ended = self.ended.pin();
        let outlives = |until: &Until| {
            let left = until.monotonic.saturating_duration_since(instant);
            until.wall > now.plus(left + OVERLAP)
        };
        let ids: HashSet<Uuid> =
            ended.iter().filter(|(_, until)| outlives(until)).map(|(id, _)| *id).collect();
        for id in &ids {
            ended.update(*id, |until| Until { monotonic: instant + RETENTION, ..*until });
        }
        if !ids.is_empty() {
            self.feed.update(|log| log.repeat(&ids));
        }
    }

    /// Removes the entries that concern only expired tokens.
    pub(super) fn remove_expired(&self, now: Timestamp, instant: Instant) {
        self.repeat(now, instant);
        // Not while the log is locked, since it visits every entry.
        self.ended.pin().retain(|_, until| !until.is_past(now, instant));
        self.feed.update(|log| log.remove_expired(|id| self.ended.pin().contains_key(&id)));
        self.changed.pin().retain(|_, (_, until)| !until.is_past(now, instant));
    }

    /// Adds entries of the revocation log.
    pub(super) fn add(&self, entries: &[Revocation]) {
        self.feed.update(|log| {
            for entry in entries {
                if entry.subject != Subject::Everyone {
                    self.insert_or_extend(log, entry.subject, Self::until(entry.at));
                } else if self.everyone.fetch_max(entry.at.0, Ordering::Relaxed) < entry.at.0 {
                    log.push_everyone(entry.at.seconds());
                }
            }
        });
    }
}

#[cfg(test)]
mod tests;
