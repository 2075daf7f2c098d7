//! The in-memory set of ended sessions and changed users. Changes on this node are added at once;
//! changes on other nodes are read from the revocation log in the database. The set reports the
//! time since the last successful read.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use papaya::HashMap;
use tokio::time::Instant;
use uuid::Uuid;

use super::MAX_TOKEN;
use super::clock_history::ClockHistory;
use super::feed::{FeedLog, RevocationFeed};
use crate::domain::{
    Clock, EndedSessions, Fault, RetiredKey, Revocation, RevocationLog, Subject, Timestamp,
    UserVersion, Wakeups,
};

/// Interval between two reads of the revocation log.
const PERIOD: Duration = Duration::from_millis(250);
/// Timeout of one read of the revocation log, so that an unresponsive database does not delay the
/// next attempt.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum age at which the last read of the revocation log counts as fresh: the promised time
/// within which every node rejects a revoked token.
pub const FRESH: Duration = Duration::from_secs(1);
/// Overlap of consecutive reads. An entry has the time at which its request began, so it appears up
/// to the longest deadline (30 s) later; the time of the commit and the difference of the clocks of
/// the nodes add to that. Twice the deadline leaves a margin for both.
const OVERLAP: Duration = Duration::from_secs(60);
/// Maximum age of the entries that are read after a wakeup.
const RECENT: Duration = Duration::from_secs(2);
/// Minimum pause between two reads after wakeups. If many sessions end, one read covers many.
const WAKEUP_PAUSE: Duration = Duration::from_millis(10);

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
    /// Lifetime of an entry of this set: the lifetime of an access token plus [`OVERLAP`].
    retention: Duration,
    stale_limit: Duration,
    origin: Instant,
    /// Start of the last successful read of the revocation log, in milliseconds after `origin`.
    read_at: AtomicU64,
    /// Readings of the wall clock within the last `retention`.
    readings: Mutex<ClockHistory>,
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
    /// Creates an empty set for access tokens with the lifetime `access_life`. Tokens can no longer
    /// be verified if the last successful read of the revocation log is older than `stale_limit`,
    /// or than [`FRESH`] if that is longer.
    #[must_use]
    pub fn new(access_life: Duration, stale_limit: Duration) -> Self {
        Self {
            ended: HashMap::new(),
            feed: RevocationFeed::new(),
            everyone: AtomicI64::new(0),
            changed: HashMap::new(),
            retention: access_life + OVERLAP,
            stale_limit: stale_limit.max(FRESH),
            origin: Instant::now(),
            read_at: AtomicU64::new(0),
            readings: Mutex::new(ClockHistory::new(access_life + OVERLAP)),
        }
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
        let until = self.until(now);
        self.feed.update(|log| {
            for subject in &ended.subjects {
                let extend =
                    || self.ended.pin().update(subject.id(), |known| known.latest(until)).is_some();
                // A known entry may expire before its lifetime is extended.
                while !self.insert(log, *subject, until) && !extend() {}
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
    fn until(&self, at: Timestamp) -> Until {
        Until { wall: at.plus(self.retention), monotonic: Instant::now() + self.retention }
    }

    /// Adds a user that changed at `now`, with the new version of the account.
    pub fn add_update(&self, user_id: Uuid, version: i64, now: Timestamp) {
        let until = self.until(now);
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

    /// Reads all entries of the revocation log that may concern unexpired tokens. The server is not
    /// ready before this read.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn load(&self, log: &dyn RevocationLog, now: Timestamp) -> Result<(), Fault> {
        self.read(log, now, self.retention).await
    }

    /// Returns the minimum age, by the wall clock, of revocation log entries that concern only
    /// expired tokens and can be deleted, or `None` if this node has not run for long enough to
    /// know. After a jump of the wall clock, this age is longer than usual.
    #[must_use]
    pub fn expired_age(&self, now: Timestamp, instant: Instant) -> Option<Duration> {
        let earliest = self.readings().earliest(instant)?;
        Some(now.since(earliest).max(self.retention))
    }

    fn readings(&self) -> MutexGuard<'_, ClockHistory> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the revocation log periodically, and immediately after a wakeup, forever.
    pub async fn follow(
        &self,
        log: Arc<dyn RevocationLog>,
        clock: Arc<dyn Clock>,
        wakeups: Arc<dyn Wakeups>,
    ) {
        let mut failing = false;
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last_wakeup = Instant::now();
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = notified(&*wakeups, last_wakeup) => {
                    // A failure here is logged by the next periodic read. Only a periodic read
                    // counts as fresh.
                    let _ = self.read_recent(&*log, clock.now()).await;
                    last_wakeup = Instant::now();
                    continue;
                }
            }
            let (now, instant) = (clock.now(), Instant::now());
            let jump = self.readings().record(now, instant);
            let read = match jump {
                None => self.catch_up(&*log, now).await,
                Some(jump) => {
                    tracing::warn!(
                        millis = jump.millis,
                        "the wall clock has jumped; reading the whole revocation log"
                    );
                    self.load(&*log, jump.earlier).await
                }
            };
            match &read {
                Ok(()) if failing => tracing::info!("the revocation log is readable again"),
                Err(fault) if !failing => {
                    tracing::warn!(%fault, "cannot read the revocation log")
                }
                _ => {}
            }
            failing = read.is_err();
            self.remove_expired(now, Instant::now());
        }
    }

    /// Removes the entries that concern only expired tokens.
    fn remove_expired(&self, now: Timestamp, instant: Instant) {
        // Not while the log is locked, since it visits every entry.
        self.ended.pin().retain(|_, until| !until.is_past(now, instant));
        self.feed.update(|log| log.remove_expired(|id| self.ended.pin().contains_key(&id)));
        self.changed.pin().retain(|_, (_, until)| !until.is_past(now, instant));
    }

    /// Reads the revocation log from the last successful read, or from the start of `retention` if
    /// that is later.
    async fn catch_up(&self, log: &dyn RevocationLog, now: Timestamp) -> Result<(), Fault> {
        self.read(log, now, OVERLAP.saturating_add(self.age(Instant::now())).min(self.retention))
            .await
    }

    /// Reads the entries of the last two seconds, after a wakeup.
    async fn read_recent(&self, log: &dyn RevocationLog, now: Timestamp) -> Result<(), Fault> {
        let read = tokio::time::timeout(READ_TIMEOUT, log.revocations(now.minus(RECENT))).await;
        self.add(read.map_err(|_| timed_out())??);
        Ok(())
    }

    async fn read(
        &self,
        log: &dyn RevocationLog,
        now: Timestamp,
        max_age: Duration,
    ) -> Result<(), Fault> {
        let started = self.origin.elapsed();
        let since = now.minus(max_age);
        let both = async { Ok((log.revocations(since).await?, log.changes(since).await?)) };
        let (ended, changed) =
            tokio::time::timeout(READ_TIMEOUT, both).await.map_err(|_| timed_out())??;
        self.add(ended);
        for UserVersion { user_id, version } in changed {
            self.add_update(user_id, version, now);
        }
        // After the entries are added, so that nobody takes the set for more recent than it is.
        self.read_at
            .store(u64::try_from(started.as_millis()).unwrap_or(u64::MAX), Ordering::Release);
        Ok(())
    }

    fn add(&self, entries: Vec<Revocation>) {
        self.feed.update(|log| {
            for entry in entries {
                if entry.subject != Subject::Everyone {
                    // An entry is read repeatedly. Its lifetime began when it was read first.
                    self.insert(log, entry.subject, self.until(entry.at));
                } else if self.everyone.fetch_max(entry.at.0, Ordering::Relaxed) < entry.at.0 {
                    log.push_everyone(entry.at.seconds());
                }
            }
        });
    }
}

/// Waits for a wakeup, and then until [`WAKEUP_PAUSE`] after `last`, the previous read, has passed.
async fn notified(wakeups: &dyn Wakeups, last: Instant) {
    wakeups.notified().await;
    tokio::time::sleep_until(last + WAKEUP_PAUSE).await;
}

fn timed_out() -> Fault {
    Fault::Unavailable("timed out reading the revocation log".to_owned())
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use tokio::sync::Notify;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const ACCESS_LIFE: Duration = Duration::from_secs(900);

    /// A log with one entry, or one that cannot be read.
    struct Log(Option<Revocation>);

    #[async_trait]
    impl RevocationLog for Log {
        async fn revocations(&self, since: Timestamp) -> Result<Vec<Revocation>, Fault> {
            let entry = self.0.ok_or_else(|| Fault::Unavailable("gone".to_owned()))?;
            Ok(Some(entry).into_iter().filter(|entry| entry.at >= since).collect())
        }

        async fn changes(&self, _: Timestamp) -> Result<Vec<UserVersion>, Fault> {
            Ok(Vec::new())
        }
    }

    /// Wakeups within one process.
    struct LocalWakeups(Notify);

    #[async_trait]
    impl Wakeups for LocalWakeups {
        async fn notify(&self) {
            self.0.notify_one();
        }

        async fn notified(&self) {
            self.0.notified().await;
        }
    }

    /// Creates a set that was last read `age` ago.
    fn last_read(age: Duration, stale_limit: Duration) -> Revocations {
        Revocations { origin: Instant::now() - age, ..Revocations::new(ACCESS_LIFE, stale_limit) }
    }

    #[test]
    fn it_reports_the_age_of_the_last_read() {
        let limit = Duration::from_secs(30);
        assert_eq!(last_read(Duration::ZERO, limit).staleness(Instant::now()), Ok(None));
        let age =
            last_read(Duration::from_secs(5), limit).staleness(Instant::now()).unwrap().unwrap();
        assert!((Duration::from_secs(5)..Duration::from_secs(6)).contains(&age), "{age:?}");
        assert_eq!(
            last_read(Duration::from_secs(31), limit).staleness(Instant::now()),
            Err(TooStale)
        );
    }

    #[test]
    fn a_strict_limit_is_the_promised_second() {
        assert_eq!(last_read(Duration::ZERO, Duration::ZERO).staleness(Instant::now()), Ok(None));
        assert_eq!(
            last_read(Duration::from_millis(1001), Duration::ZERO).staleness(Instant::now()),
            Err(TooStale)
        );
        let (set, millis) =
            (Revocations::new(ACCESS_LIFE, Duration::from_secs(5)), Duration::from_millis);
        for (age, expected) in
            [(1000, Ok(None)), (1001, Ok(Some(millis(1001)))), (5000, Ok(Some(millis(5000))))]
        {
            assert_eq!(set.staleness(set.origin + millis(age)), expected, "{age} ms");
        }
        assert_eq!(set.staleness(set.origin + millis(5001)), Err(TooStale));
    }

    #[test]
    fn a_local_revocation_applies_at_once_and_stays_until_its_tokens_have_expired() {
        let (set, ids) =
            (Revocations::new(ACCESS_LIFE, Duration::ZERO), [Uuid::new_v4(), Uuid::new_v4()]);
        set.add_ended(
            &EndedSessions { subjects: ids.map(Subject::Session).to_vec(), sessions: 2 },
            NOW,
        );
        assert!(set.contains_any([ids[0]]) && set.contains_any([Uuid::new_v4(), ids[1]]));
        assert!(!set.contains_any([Uuid::new_v4(), Uuid::new_v4()]));
        assert_eq!(set.entries(), 2);
        set.add_update(ids[0], 1, NOW);
        // The overlap of reads is added.
        let life = ACCESS_LIFE + OVERLAP;
        let (until, instant) = (NOW.plus(life), Instant::now() + life);
        let a_moment = Duration::from_secs(5);
        for (wall, monotonic) in [
            (Timestamp(until.0 - 1), instant + a_moment),
            // The wall clock has jumped forward.
            (until.plus(life), instant - a_moment),
        ] {
            set.remove_expired(wall, monotonic);
            assert!(set.contains_any([ids[0]]) && set.contains_any([ids[1]]));
            assert_eq!(set.min_version(ids[0]), 1);
        }
        set.remove_expired(until, instant + a_moment);
        assert_eq!((set.entries(), set.min_version(ids[0])), (0, 0));
    }

    #[test]
    fn a_version_never_goes_back() {
        let (set, id) = (Revocations::new(ACCESS_LIFE, Duration::ZERO), Uuid::new_v4());
        assert_eq!(set.min_version(id), 0);
        for (version, least) in [(3, 3), (2, 3), (4, 4)] {
            set.add_update(id, version, NOW);
            assert_eq!(set.min_version(id), least);
        }
    }

    #[tokio::test]
    async fn only_a_successful_read_makes_it_fresh() {
        let set = last_read(Duration::from_secs(31), Duration::from_secs(30));
        assert!(set.load(&Log(None), NOW).await.is_err());
        assert_eq!(set.staleness(Instant::now()), Err(TooStale));
        let entry =
            Revocation { subject: Subject::Session(Uuid::new_v4()), at: NOW.minus(ACCESS_LIFE) };
        set.load(&Log(Some(entry)), NOW).await.unwrap();
        assert_eq!(set.staleness(Instant::now()), Ok(None));
        assert!(set.contains_any([entry.subject.id()]), "a token of that time may still be valid");
    }

    #[tokio::test]
    async fn sessions_that_ended_in_a_long_outage_are_read_after_it() {
        let entry = Revocation {
            subject: Subject::Session(Uuid::new_v4()),
            at: NOW.minus(Duration::from_secs(80)),
        };
        let cut_off = last_read(Duration::from_secs(90), Duration::from_secs(300));
        cut_off.catch_up(&Log(Some(entry)), NOW).await.unwrap();
        assert!(
            cut_off.contains_any([entry.subject.id()])
                && cut_off.staleness(Instant::now()) == Ok(None)
        );
        let never_read = last_read(10 * ACCESS_LIFE, Duration::from_secs(300));
        let old = Revocation { at: NOW.minus(ACCESS_LIFE), ..entry };
        never_read.catch_up(&Log(Some(old)), NOW).await.unwrap();
        assert!(never_read.contains_any([old.subject.id()]));
    }

    #[tokio::test]
    async fn an_entry_that_is_committed_after_the_longest_deadline_is_read() {
        let longest_deadline = Duration::from_secs(30);
        let late = longest_deadline + crate::domain::CLOCK_SKEW + Duration::from_secs(5);
        let entry = Revocation { subject: Subject::Session(Uuid::new_v4()), at: NOW.minus(late) };
        let set = last_read(Duration::ZERO, Duration::from_secs(30));
        set.catch_up(&Log(Some(entry)), NOW).await.unwrap();
        assert!(set.contains_any([entry.subject.id()]));
    }

    #[tokio::test]
    async fn one_entry_revokes_every_token_issued_until_then() {
        let set = Revocations::new(ACCESS_LIFE, Duration::from_secs(30));
        assert!(!set.all_revoked_since(0));
        set.load(&Log(Some(Revocation { subject: Subject::Everyone, at: NOW })), NOW)
            .await
            .unwrap();
        assert!(set.all_revoked_since(NOW.seconds() - 1) && set.all_revoked_since(NOW.seconds()));
        assert!(!set.all_revoked_since(NOW.seconds() + 1) && !set.contains_any([Uuid::max()]));
    }

    #[tokio::test]
    async fn a_read_after_a_wakeup_covers_recent_entries_and_does_not_count_as_fresh() {
        let set = last_read(Duration::from_secs(31), Duration::from_secs(30));
        assert!(set.read_recent(&Log(None), NOW).await.is_err());
        let entry = Revocation { subject: Subject::Session(Uuid::new_v4()), at: NOW.minus(RECENT) };
        set.read_recent(&Log(Some(entry)), NOW).await.unwrap();
        assert!(set.contains_any([entry.subject.id()]));
        assert_eq!(set.staleness(Instant::now()), Err(TooStale), "it reads only recent entries");
    }

    #[tokio::test]
    async fn constant_wakeups_cause_one_read_per_pause() {
        let (wakeup, last) = (LocalWakeups(Notify::new()), Instant::now());
        wakeup.notify().await;
        notified(&wakeup, last).await;
        assert!(last.elapsed() >= WAKEUP_PAUSE);
        let second = tokio::time::timeout(3 * WAKEUP_PAUSE, notified(&wakeup, last)).await;
        assert!(second.is_err(), "there was no second wakeup");
    }
}
