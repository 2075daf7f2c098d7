//! The set of what has ended, and of who has changed: filled by what happens here at once, and by
//! reading SQL for what happens elsewhere. It says how old its knowledge is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use papaya::HashMap;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::{
    Clock, EVERYONE, EndedSessions, Fault, Revocation, RevocationLog, Timestamp, UserVersion,
    Wakeups,
};

/// Between two reads of the log.
const PERIOD: Duration = Duration::from_millis(250);
/// How long one read may take: a silent database must not hold up the next try.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// The bound that is promised: knowledge younger than this is fresh.
pub const FRESH: Duration = Duration::from_secs(1);
/// How far back each read looks again, for entries of transactions that committed late and of
/// clocks that are behind.
const OVERLAP: Duration = Duration::from_secs(30);
/// How far back a reader looks that was notified of what was appended just now.
const GLANCE: Duration = Duration::from_secs(2);
/// The shortest time between two reads that were notified. Where many sessions end, many are seen
/// at once.
const GLANCE_PAUSE: Duration = Duration::from_millis(10);

/// What has ended.
pub struct Revocations {
    /// When each entry may be forgotten, since every token that it concerns has expired.
    ended: HashMap<Uuid, i64>,
    /// When every session there was ended, in milliseconds since 1970.
    everyone: AtomicI64,
    /// The version of each user who has changed, and when it may be forgotten, since no older
    /// record is left then.
    changed: HashMap<Uuid, (i64, i64)>,
    /// An entry's life: an access token's, and the overlap.
    keep: Duration,
    stale_limit: Duration,
    origin: Instant,
    /// The start of the last good read, in milliseconds after `origin`.
    read_at: AtomicU64,
}

/// What is known is older than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooStale;

impl Revocations {
    /// An empty set for access tokens of this life. Knowledge that is older than `stale_limit` is
    /// none; zero is strict.
    #[must_use]
    pub fn new(access_life: Duration, stale_limit: Duration) -> Self {
        Self {
            ended: HashMap::new(),
            everyone: AtomicI64::new(0),
            changed: HashMap::new(),
            keep: access_life + OVERLAP,
            stale_limit: stale_limit.max(FRESH),
            origin: Instant::now(),
            read_at: AtomicU64::new(0),
        }
    }

    /// Whether the tokens of one of these sessions and users have ended.
    #[must_use]
    pub fn contains_any<const N: usize>(&self, subjects: [Uuid; N]) -> bool {
        let set = self.ended.pin();
        subjects.iter().any(|subject| set.contains_key(subject))
    }

    /// Whether a token that was issued in this second, since 1970, ended with all others of its
    /// time.
    #[must_use]
    pub fn all_revoked_since(&self, issued_at: u64) -> bool {
        let everyone = Timestamp(self.everyone.load(Ordering::Relaxed));
        everyone.0 > 0 && issued_at <= everyone.seconds()
    }

    /// Adds what has ended just now.
    pub fn add_ended(&self, ended: &EndedSessions, now: Timestamp) {
        let set = self.ended.pin();
        for subject in &ended.subjects {
            set.insert(*subject, now.plus(self.keep).0);
        }
    }

    /// Knows that a user has changed just now, to this version.
    pub fn add_update(&self, user_id: Uuid, version: i64, now: Timestamp) {
        let until = now.plus(self.keep).0;
        let newest = |known: &(i64, i64)| (known.0.max(version), known.1.max(until));
        self.changed.pin().update_or_insert(user_id, newest, (version, until));
    }

    /// The least version of a user that is not known to be old.
    #[must_use]
    pub fn min_version(&self, user_id: Uuid) -> i64 {
        self.changed.pin().get(&user_id).map_or(0, |(version, _)| *version)
    }

    /// The age of what is known.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        let read_at = Duration::from_millis(self.read_at.load(Ordering::Relaxed));
        now.saturating_duration_since(self.origin).saturating_sub(read_at)
    }

    /// How many entries there are.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.ended.len()
    }

    /// The age of what is known, where it is over the promised second.
    ///
    /// # Errors
    /// Where it is over the limit.
    pub fn staleness(&self, now: Instant) -> Result<Option<Duration>, TooStale> {
        match self.age(now) {
            age if age > self.stale_limit => Err(TooStale),
            age if age > FRESH => Ok(Some(age)),
            _ => Ok(None),
        }
    }

    /// Reads all that can still matter; the server is not ready before this.
    ///
    /// # Errors
    /// Where the log can't be read.
    pub async fn load(&self, log: &dyn RevocationLog, now: Timestamp) -> Result<(), Fault> {
        self.read(log, now, self.keep).await
    }

    /// Reads the log again and again, and at once when the cache's wakeup rings.
    pub async fn follow(
        &self,
        log: Arc<dyn RevocationLog>,
        clock: Arc<dyn Clock>,
        wakeups: Arc<dyn Wakeups>,
    ) {
        let mut failing = false;
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut glanced = Instant::now();
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = notified(&*wakeups, glanced) => {
                    // What fails here is told by the next read in turn, which alone makes knowledge
                    // fresh.
                    let _ = self.glance(&*log, clock.now()).await;
                    glanced = Instant::now();
                    continue;
                }
            }
            let now = clock.now();
            let read = self.catch_up(&*log, now).await;
            match &read {
                Ok(()) if failing => tracing::info!("the revocation log can be read again"),
                Err(fault) if !failing => {
                    tracing::warn!(%fault, "the revocation log cannot be read")
                }
                _ => {}
            }
            failing = read.is_err();
            self.forget(now);
        }
    }

    /// Lets go of what no token can need any more.
    fn forget(&self, now: Timestamp) {
        self.ended.pin().retain(|_, until| *until > now.0);
        self.changed.pin().retain(|_, (_, until)| *until > now.0);
    }

    /// Reads what was appended since the last good read, however long ago that was.
    async fn catch_up(&self, log: &dyn RevocationLog, now: Timestamp) -> Result<(), Fault> {
        self.read(log, now, OVERLAP.saturating_add(self.age(Instant::now())).min(self.keep)).await
    }

    /// Reads what was appended just now.
    async fn glance(&self, log: &dyn RevocationLog, now: Timestamp) -> Result<(), Fault> {
        let read = tokio::time::timeout(READ_TIMEOUT, log.revocations(now.minus(GLANCE))).await;
        self.add(read.map_err(|_| silent())??);
        Ok(())
    }

    async fn read(
        &self,
        log: &dyn RevocationLog,
        now: Timestamp,
        back: Duration,
    ) -> Result<(), Fault> {
        let started = self.origin.elapsed();
        let since = now.minus(back);
        let both = async { Ok((log.revocations(since).await?, log.changes(since).await?)) };
        let (ended, changed) =
            tokio::time::timeout(READ_TIMEOUT, both).await.map_err(|_| silent())??;
        self.add(ended);
        for UserVersion { user_id, version } in changed {
            self.add_update(user_id, version, now);
        }
        self.read_at
            .store(u64::try_from(started.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(())
    }

    fn add(&self, entries: Vec<Revocation>) {
        let ended = self.ended.pin();
        for entry in entries {
            if entry.subject == EVERYONE {
                self.everyone.fetch_max(entry.at.0, Ordering::Relaxed);
            } else {
                ended.insert(entry.subject, entry.at.plus(self.keep).0);
            }
        }
    }
}

/// Waits for the wakeup, and for the end of the pause after the last time that it was followed.
async fn notified(wakeups: &dyn Wakeups, last: Instant) {
    wakeups.notified().await;
    tokio::time::sleep_until(last + GLANCE_PAUSE).await;
}

fn silent() -> Fault {
    Fault::Unavailable("the revocation log does not answer".to_owned())
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use tokio::sync::Notify;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const ACCESS_LIFE: Duration = Duration::from_secs(900);

    /// A log of one entry, or one that can't be read.
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

    /// A set that was last read so long ago.
    fn read_before(age: Duration, stale_limit: Duration) -> Revocations {
        Revocations { origin: Instant::now() - age, ..Revocations::new(ACCESS_LIFE, stale_limit) }
    }

    #[test]
    fn it_says_how_old_its_knowledge_is() {
        let limit = Duration::from_secs(30);
        assert_eq!(read_before(Duration::ZERO, limit).staleness(Instant::now()), Ok(None));
        let age =
            read_before(Duration::from_secs(5), limit).staleness(Instant::now()).unwrap().unwrap();
        assert!((Duration::from_secs(5)..Duration::from_secs(6)).contains(&age), "{age:?}");
        assert_eq!(
            read_before(Duration::from_secs(31), limit).staleness(Instant::now()),
            Err(TooStale)
        );
    }

    #[test]
    fn a_strict_limit_is_the_promised_second() {
        assert_eq!(read_before(Duration::ZERO, Duration::ZERO).staleness(Instant::now()), Ok(None));
        assert_eq!(
            read_before(Duration::from_millis(1001), Duration::ZERO).staleness(Instant::now()),
            Err(TooStale)
        );
        let (set, millis) =
            (Revocations::new(ACCESS_LIFE, Duration::from_secs(5)), Duration::from_millis);
        for (age, said) in
            [(1000, Ok(None)), (1001, Ok(Some(millis(1001)))), (5000, Ok(Some(millis(5000))))]
        {
            assert_eq!(set.staleness(set.origin + millis(age)), said, "{age} ms");
        }
        assert_eq!(set.staleness(set.origin + millis(5001)), Err(TooStale));
    }

    #[test]
    fn what_ends_here_is_known_at_once_and_kept_while_a_token_of_it_may_be_good() {
        let (set, ids) =
            (Revocations::new(ACCESS_LIFE, Duration::ZERO), [Uuid::new_v4(), Uuid::new_v4()]);
        set.add_ended(&EndedSessions { subjects: ids.to_vec(), sessions: 2 }, NOW);
        assert!(set.contains_any([ids[0]]) && set.contains_any([Uuid::new_v4(), ids[1]]));
        assert!(!set.contains_any([Uuid::new_v4(), Uuid::new_v4()]));
        assert_eq!(set.entries(), 2);
        set.add_update(ids[0], 1, NOW);
        let until = NOW.plus(ACCESS_LIFE + Duration::from_secs(30)).0;
        assert!(
            set.ended.pin().values().all(|kept| *kept == until),
            "and as long as clocks may differ"
        );
        assert_eq!(set.changed.pin().get(&ids[0]), Some(&(1, until)));
        set.forget(Timestamp(until - 1));
        assert!(
            set.contains_any([ids[0]])
                && set.contains_any([ids[1]])
                && set.min_version(ids[0]) == 1
        );
        set.forget(Timestamp(until));
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
    async fn only_a_good_read_makes_it_fresh() {
        let set = read_before(Duration::from_secs(31), Duration::from_secs(30));
        assert!(set.load(&Log(None), NOW).await.is_err());
        assert_eq!(set.staleness(Instant::now()), Err(TooStale));
        let entry = Revocation { subject: Uuid::new_v4(), at: NOW.minus(ACCESS_LIFE) };
        set.load(&Log(Some(entry)), NOW).await.unwrap();
        assert_eq!(set.staleness(Instant::now()), Ok(None));
        assert!(set.contains_any([entry.subject]), "a token of that time may still be good");
    }

    #[tokio::test]
    async fn what_ended_in_a_long_outage_is_seen_after_it() {
        let entry = Revocation { subject: Uuid::new_v4(), at: NOW.minus(Duration::from_secs(80)) };
        let cut_off = read_before(Duration::from_secs(90), Duration::from_secs(300));
        cut_off.catch_up(&Log(Some(entry)), NOW).await.unwrap();
        assert!(
            cut_off.contains_any([entry.subject]) && cut_off.staleness(Instant::now()) == Ok(None)
        );
        let never_read = read_before(10 * ACCESS_LIFE, Duration::from_secs(300));
        let old = Revocation { at: NOW.minus(ACCESS_LIFE), ..entry };
        never_read.catch_up(&Log(Some(old)), NOW).await.unwrap();
        assert!(never_read.contains_any([old.subject]));
    }

    #[tokio::test]
    async fn one_entry_ends_every_token_of_its_time() {
        let set = Revocations::new(ACCESS_LIFE, Duration::from_secs(30));
        assert!(!set.all_revoked_since(0));
        set.load(&Log(Some(Revocation { subject: EVERYONE, at: NOW })), NOW).await.unwrap();
        assert!(set.all_revoked_since(NOW.seconds() - 1) && set.all_revoked_since(NOW.seconds()));
        assert!(!set.all_revoked_since(NOW.seconds() + 1) && !set.contains_any([EVERYONE]));
    }

    #[tokio::test]
    async fn a_glance_sees_what_ended_just_now_and_makes_nothing_fresh() {
        let set = read_before(Duration::from_secs(31), Duration::from_secs(30));
        assert!(set.glance(&Log(None), NOW).await.is_err());
        let entry = Revocation { subject: Uuid::new_v4(), at: NOW.minus(GLANCE) };
        set.glance(&Log(Some(entry)), NOW).await.unwrap();
        assert!(set.contains_any([entry.subject]));
        assert_eq!(
            set.staleness(Instant::now()),
            Err(TooStale),
            "it looks a moment back and no further"
        );
    }

    #[tokio::test]
    async fn wakeups_that_never_stop_are_followed_after_a_pause() {
        let (wakeup, last) = (LocalWakeups(Notify::new()), Instant::now());
        wakeup.notify().await;
        notified(&wakeup, last).await;
        assert!(last.elapsed() >= GLANCE_PAUSE);
        let silent = tokio::time::timeout(3 * GLANCE_PAUSE, notified(&wakeup, last)).await;
        assert!(silent.is_err(), "nobody rang again");
    }
}
