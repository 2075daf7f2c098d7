use std::sync::Mutex;

use async_trait::async_trait;
use tokio::sync::Notify;
use uuid::Uuid;

use super::super::revocations::TooStale;
use super::*;
use crate::domain::{Change, KeyUse, RetiredKey, Revocation, Subject};
use crate::keys::Key;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const ACCESS_LIFE: Duration = Duration::from_secs(900);
const LIMIT: Duration = Duration::from_secs(30);

/// A database with at most one entry in the revocation log. A field is `None` if the table cannot
/// be read.
struct Database {
    entry: Option<Option<Revocation>>,
    retired: Mutex<Option<Vec<RetiredKey>>>,
}

impl Database {
    fn new(entry: Revocation) -> Arc<Self> {
        Arc::new(Self { entry: Some(Some(entry)), retired: Mutex::new(Some(Vec::new())) })
    }

    fn unreadable() -> Arc<Self> {
        Arc::new(Self { entry: None, retired: Mutex::new(Some(Vec::new())) })
    }
}

fn gone() -> Fault {
    Fault::Unavailable("gone".to_owned())
}

#[async_trait]
impl RevocationLog for Database {
    async fn revocations(&self, since: Timestamp) -> Result<Vec<Revocation>, Fault> {
        let entry = self.entry.ok_or_else(gone)?;
        Ok(entry.into_iter().filter(|entry| entry.at >= since).collect())
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
    Revocations::last_read(age, ACCESS_LIFE, LIMIT)
}

fn ended(at: Timestamp) -> Revocation {
    Revocation { subject: Subject::Session(Uuid::new_v4()), at }
}

#[tokio::test]
async fn only_a_successful_read_makes_it_fresh() {
    let reader = |database| reader(last_read(LIMIT + Duration::from_secs(1)), database);
    let failed = reader(Database::unreadable());
    assert!(failed.load(NOW).await.is_err());
    assert_eq!(failed.revocations.staleness(Instant::now()), Err(TooStale));
    let entry = ended(NOW.minus(ACCESS_LIFE));
    let read = reader(Database::new(entry));
    read.load(NOW).await.unwrap();
    assert_eq!(read.revocations.staleness(Instant::now()), Ok(None));
    let known = read.revocations.contains_any([entry.subject.id()]);
    assert!(known, "a token of that time may still be valid");
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
        (10 * ACCESS_LIFE, NOW.minus(ACCESS_LIFE)),
    ] {
        let entry = ended(at);
        let reader = reader(last_read(age), Database::new(entry));
        reader.catch_up(NOW).await.unwrap();
        assert!(reader.revocations.contains_any([entry.subject.id()]), "{age:?}");
        assert_eq!(reader.revocations.staleness(Instant::now()), Ok(None));
    }
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
    let everyone = Revocation { subject: Subject::Everyone, at: NOW };
    let reader = reader(Revocations::new(ACCESS_LIFE, LIMIT), Database::new(everyone));
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
