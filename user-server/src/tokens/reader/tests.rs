use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use tokio::sync::Notify;
use uuid::Uuid;

use super::super::revocations::TooStale;
use super::*;
use crate::domain::{Change, KeyUse, LogRead, RetiredKey, Revocation, ShiftedClock, Subject};
use crate::keys::Key;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const LIMIT: Duration = Duration::from_secs(30);

/// A database with at most one entry in the revocation log, number 1. A field is `None` if the
/// table cannot be read.
struct Database {
    entry: Option<Option<Revocation>>,
    retired: Mutex<Option<Vec<RetiredKey>>>,
    erased: Mutex<Timestamp>,
    is_down: AtomicBool,
    highest: AtomicI64,
}

impl Database {
    fn new(entry: Revocation) -> Arc<Self> {
        Self::with(Some(Some(entry)))
    }

    fn unreadable() -> Arc<Self> {
        Self::with(None)
    }

    fn with(entry: Option<Option<Revocation>>) -> Arc<Self> {
        let erased = Mutex::new(Timestamp(0));
        Arc::new(Self {
            entry,
            retired: Mutex::new(Some(Vec::new())),
            erased,
            is_down: AtomicBool::new(false),
            highest: AtomicI64::new(i64::MAX),
        })
    }
}

fn gone() -> Fault {
    Fault::Unavailable("gone".to_owned())
}

#[async_trait]
impl RevocationLog for Database {
    async fn revocations(&self, part: &LogPart) -> Result<LogRead, Fault> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(gone());
        }
        let entry = self.entry.ok_or_else(gone)?;
        let is_in = |entry: &Revocation| {
            entry.seq > part.after
                || (part.since..=part.until).contains(&entry.at)
                || part.numbers.contains(&entry.seq)
        };
        let entries = entry.into_iter().filter(is_in).collect();
        let highest = self.highest.load(Ordering::Relaxed).max(entry.map_or(0, |entry| entry.seq));
        Ok(LogRead { entries, erased: *self.erased.lock().unwrap(), highest })
    }

    async fn mark_erased(&self, until: Timestamp) -> Result<(), Fault> {
        *self.erased.lock().unwrap() = until;
        Ok(())
    }

    async fn changes(&self, _: Timestamp) -> Result<Vec<UserVersion>, Fault> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl KeyRecords for Database {
    async fn retire_key(&self, _: &[String], _: Change) -> Result<bool, Fault> {
        Err(gone())
    }

    async fn retired_keys(&self) -> Result<Vec<RetiredKey>, Fault> {
        self.retired.lock().unwrap().clone().ok_or_else(gone)
    }

    async fn key_uses(&self) -> Result<Vec<KeyUse>, Fault> {
        Err(gone())
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

fn reader(revocations: Revocations, database: Arc<Database>) -> RevocationReader {
    let keys = KeyRing::new(Key::new(&[7; 32]).unwrap(), Vec::new());
    RevocationReader::new(Arc::new(revocations), database.clone(), database, Arc::new(keys))
}

/// Returns a set that was last read `age` ago.
fn last_read(age: Duration) -> Revocations {
    Revocations::with_age(age, LIMIT)
}

/// Returns a clock that shows the current time, and moves only when it is told to.
fn frozen_clock() -> Arc<ShiftedClock> {
    let clock = Arc::new(ShiftedClock::default());
    clock.freeze();
    clock
}

/// Polls `work` while a reader follows the log.
async fn following(reader: &RevocationReader, clock: &Arc<ShiftedClock>, work: impl Future) {
    let wakeups = Arc::new(LocalWakeups(Notify::new()));
    tokio::select! {
        () = reader.follow(clock.clone(), wakeups) => {}
        _ = work => {}
    }
}

fn ended(at: Timestamp) -> Revocation {
    Revocation { seq: 1, subject: Subject::Session(Uuid::new_v4()), at }
}

#[tokio::test]
async fn only_a_successful_read_makes_it_fresh() {
    let reader = |database| reader(last_read(LIMIT + Duration::from_secs(1)), database);
    let failed = reader(Database::unreadable());
    assert!(failed.load(NOW).await.is_err());
    assert_eq!(failed.revocations.staleness(Instant::now()), Err(TooStale));
    // The clock of the node that wrote it was a day behind.
    let entry = ended(NOW.minus(Duration::from_secs(86_400)));
    let read = reader(Database::new(entry));
    read.load(NOW).await.unwrap();
    assert_eq!(read.revocations.staleness(Instant::now()), Ok(None));
    assert!(read.revocations.contains_any([entry.subject.id()]));
}

#[tokio::test]
async fn unreadable_retired_keys_are_no_fresh_read_but_do_not_hold_up_the_entries() {
    let database = Database::new(ended(NOW));
    *database.retired.lock().unwrap() = None;
    let reader = reader(last_read(LIMIT + Duration::from_secs(1)), database.clone());
    assert!(reader.load(NOW).await.is_err() && reader.catch_up(NOW).await.is_err());
    assert_eq!(reader.revocations.staleness(Instant::now()), Err(TooStale));
    assert!(reader.revocations.contains_any([database.entry.unwrap().unwrap().subject.id()]));

    let kid = reader.keys.configured().kid.clone();
    *database.retired.lock().unwrap() = Some(vec![RetiredKey { kid, at: NOW }]);
    reader.catch_up(NOW).await.unwrap();
    assert!(reader.keys.signing().is_none(), "the key is retired");
    assert_eq!(reader.revocations.staleness(Instant::now()), Ok(None));
}

#[tokio::test]
async fn sessions_that_ended_in_a_long_outage_are_read_after_it() {
    for (age, at) in [
        (Duration::from_secs(90), NOW.minus(Duration::from_secs(80))),
        (10 * RETENTION, NOW.minus(RETENTION)),
    ] {
        let entry = ended(at);
        let reader = reader(last_read(age), Database::new(entry));
        reader.catch_up(NOW).await.unwrap();
        assert!(reader.revocations.contains_any([entry.subject.id()]), "{age:?}");
        assert_eq!(reader.revocations.staleness(Instant::now()), Ok(None));
    }
}

#[tokio::test]
async fn an_entry_with_a_wrong_time_is_read_by_its_number() {
    for minutes in [-60_000, -5, 5, 60_000_i64] {
        let entry = ended(Timestamp(NOW.0 + minutes * 60_000));
        let catching_up = reader(last_read(Duration::ZERO), Database::new(entry));
        catching_up.catch_up(NOW).await.unwrap();
        assert!(catching_up.revocations.contains_any([entry.subject.id()]), "{minutes} minutes");
        let notified_reader = reader(last_read(Duration::ZERO), Database::new(entry));
        notified_reader.read_recent(NOW).await.unwrap();
        assert!(
            notified_reader.revocations.contains_any([entry.subject.id()]),
            "{minutes} minutes"
        );
    }
}

#[tokio::test]
async fn an_entry_is_read_until_no_earlier_one_can_be_committed() {
    let second = Duration::from_secs(1);
    for (found, is_read) in [(OVERLAP - second, true), (OVERLAP + second, false)] {
        let entry = ended(NOW.minus(Duration::from_secs(3600)));
        let reader = reader(last_read(Duration::ZERO), Database::new(entry));
        let set = reader.revocations.clone();
        let now = Instant::now();
        set.set_read(now - OVERLAP * 2, 0, &[]);
        // Entry 2 was found before entry 1.
        set.set_read(now - found, 2, &[2]);
        reader.catch_up(NOW).await.unwrap();
        assert_eq!(set.contains_any([entry.subject.id()]), is_read, "{found:?}");
        assert_eq!(set.last_expired(now - found + RETENTION), 2);
        assert_eq!(set.last_expired(now - found + RETENTION - second), 0);
    }
}

#[tokio::test]
async fn an_entry_that_committed_in_an_outage_is_read_after_it() {
    let entry = ended(NOW.minus(Duration::from_secs(3600)));
    let outage = Duration::from_secs(600);
    let reader = reader(last_read(outage + 2 * OVERLAP), Database::new(entry));
    let set = reader.revocations.clone();
    let last = Instant::now() - outage;
    set.set_read(last - OVERLAP, 0, &[]);
    // The last read before the outage found entry 2, but not yet entry 1.
    set.set_read(last, 2, &[2]);
    reader.catch_up(NOW).await.unwrap();
    assert!(set.contains_any([entry.subject.id()]));
}

#[tokio::test]
async fn an_entry_that_commits_much_later_than_a_later_one_is_read() {
    let entry = ended(NOW.minus(Duration::from_secs(3600)));
    let reader = reader(last_read(Duration::ZERO), Database::new(entry));
    let set = reader.revocations.clone();
    let began = Instant::now() - Duration::from_secs(600);
    // Entry 2 was found for ten minutes before entry 1 was committed.
    for second in 0..600 {
        set.set_read(began + Duration::from_secs(second), 0, &[2]);
    }
    reader.catch_up(NOW).await.unwrap();
    assert!(set.contains_any([entry.subject.id()]));
}

/// After a failover, an entry has a lower number than known ones, and a time that no other read
/// covers.
#[tokio::test]
async fn the_log_is_read_again_when_its_numbers_begin_again() {
    let entry = ended(NOW.plus(RETENTION));
    let database = Database::new(entry);
    let reader = reader(last_read(Duration::ZERO), database.clone());
    let set = reader.revocations.clone();
    set.set_read(Instant::now() - 2 * OVERLAP, 99, &[100]);
    reader.catch_up(NOW).await.unwrap();
    assert!(!set.contains_any([entry.subject.id()]));
    database.highest.store(0, Ordering::Relaxed);
    reader.catch_up(NOW).await.unwrap();
    assert!(set.contains_any([entry.subject.id()]));
    assert_eq!(
        (set.last_read(Instant::now(), Duration::ZERO), set.last_expired(Instant::now())),
        (1, 0)
    );
}

/// The whole log is read again after a jump of the clock, also if that fails at first.
#[tokio::test]
async fn the_log_is_read_again_after_a_jump_until_that_succeeds() {
    let clock = frozen_clock();
    let entry = ended(clock.now().minus(2 * RETENTION));
    let database = Database::new(entry);
    let reader = reader(last_read(Duration::ZERO), database.clone());
    let set = reader.revocations.clone();
    // Its number was read long ago, and it was removed since.
    set.set_read(Instant::now() - 2 * RETENTION, 0, &[1]);
    let jump = async {
        tokio::time::sleep(4 * PERIOD).await;
        assert!(!set.contains_any([entry.subject.id()]));
        database.is_down.store(true, Ordering::Relaxed);
        clock.set_back(Duration::from_secs(10));
        tokio::time::sleep(4 * PERIOD).await;
        database.is_down.store(false, Ordering::Relaxed);
        tokio::time::sleep(4 * PERIOD).await;
        assert!(set.contains_any([entry.subject.id()]));
    };
    following(&reader, &clock, jump).await;
}

#[tokio::test]
async fn an_entry_from_the_future_is_not_read_again_and_again() {
    let entry = ended(NOW.plus(Duration::from_secs(3600)));
    for (number, is_read) in [(0, true), (1, false)] {
        let reader = reader(last_read(Duration::ZERO), Database::new(entry));
        reader.revocations.set_read(Instant::now() - 2 * OVERLAP, 0, &[number]);
        reader.catch_up(NOW).await.unwrap();
        reader.read_recent(NOW).await.unwrap();
        assert_eq!(reader.revocations.contains_any([entry.subject.id()]), is_read);
    }
}

#[tokio::test]
async fn the_time_of_the_latest_deleted_entry_is_read() {
    let database = Database::new(ended(NOW));
    let reader = reader(last_read(Duration::ZERO), database.clone());
    reader.load(NOW).await.unwrap();
    let set = reader.revocations.clone();
    assert!(!set.may_be_erased(1) && !set.may_lack_erased(Timestamp(0)));
    *database.erased.lock().unwrap() = NOW;
    reader.catch_up(NOW).await.unwrap();
    assert!(set.may_be_erased(NOW.seconds()) && !set.may_be_erased(NOW.seconds() + 1));
    let expired = NOW.plus(RETENTION - OVERLAP);
    assert!(set.may_lack_erased(Timestamp(expired.0 - 1)) && !set.may_lack_erased(expired));
}

#[tokio::test]
async fn an_entry_that_is_committed_after_the_longest_deadline_is_read() {
    let longest_deadline = Duration::from_secs(30);
    let late = longest_deadline + crate::domain::CLOCK_SKEW + Duration::from_secs(5);
    let entry = ended(NOW.minus(late));
    let reader = reader(last_read(Duration::ZERO), Database::new(entry));
    reader.catch_up(NOW).await.unwrap();
    assert!(reader.revocations.contains_any([entry.subject.id()]));
}

#[tokio::test]
async fn one_entry_revokes_every_token_issued_until_then() {
    let everyone = Revocation { seq: 1, subject: Subject::Everyone, at: NOW };
    let reader = reader(Revocations::new(LIMIT), Database::new(everyone));
    let set = reader.revocations.clone();
    assert!(!set.all_revoked_since(0));
    reader.load(NOW).await.unwrap();
    assert!(set.all_revoked_since(NOW.seconds() - 1) && set.all_revoked_since(NOW.seconds()));
    assert!(!set.all_revoked_since(NOW.seconds() + 1) && !set.contains_any([Uuid::max()]));
}

#[tokio::test]
async fn a_read_after_a_wakeup_covers_recent_entries_and_does_not_count_as_fresh() {
    let late = LIMIT + Duration::from_secs(1);
    assert!(reader(last_read(late), Database::unreadable()).read_recent(NOW).await.is_err());
    let entry = ended(NOW.minus(RECENT));
    let reader = reader(last_read(late), Database::new(entry));
    reader.read_recent(NOW).await.unwrap();
    assert!(reader.revocations.contains_any([entry.subject.id()]));
    let staleness = reader.revocations.staleness(Instant::now());
    assert_eq!(staleness, Err(TooStale), "it reads only recent entries");
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
