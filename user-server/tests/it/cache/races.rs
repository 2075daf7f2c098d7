//! The race between filling a record and changing or ending its subject, with a pause at every
//! step.
//!
//! One writer commits and then deletes the record; readers miss, read the committed data, and fill
//! the record. Whatever the pauses, a lookup after the deletion has returned must not find older
//! data. A cache without leases runs the same race, to show that these pauses find the fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use user_server::domain::{CacheLookup, Leases, Profile, RecordCache, Timestamp};
use uuid::Uuid;

use super::contract::profile;
use super::{connect, in_process};
use crate::support::Redis;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const READERS: usize = 16;

/// Cache without leases, which stores every fill.
#[derive(Default)]
struct Naive(Mutex<Option<Profile>>);

#[async_trait]
impl RecordCache for Naive {
    async fn look_up(&self, _: Uuid, _: Uuid, _: i64, _: Timestamp) -> CacheLookup {
        self.0
            .lock()
            .await
            .clone()
            .map_or(CacheLookup::Unknown(Leases::default()), CacheLookup::Known)
    }

    async fn fill(&self, _: Uuid, profile: &Profile, _: Leases, _: Timestamp) {
        *self.0.lock().await = Some(profile.clone());
    }

    async fn forget(&self, _: &[Uuid]) {
        *self.0.lock().await = None;
    }
}

/// Pauses for up to 4 ms, and often not at all: any two steps of two tasks may run in either order.
async fn pause() {
    match Uuid::new_v4().as_bytes()[0] {
        byte @ 128.. => tokio::time::sleep(Duration::from_micros(u64::from(byte - 128) * 32)).await,
        byte if byte < 32 => tokio::task::yield_now().await,
        _ => {}
    }
}

/// Returns the number of outdated records found, and the number of cache hits.
async fn race(
    near: Arc<dyn RecordCache>,
    far: Arc<dyn RecordCache>,
    changes: i64,
) -> (usize, usize) {
    let (session, user) = (Uuid::new_v4(), Uuid::new_v4());
    // The committed version, and the version at the last deletion that has returned.
    let (stored, deleted) = (Arc::new(AtomicI64::new(1)), Arc::new(AtomicI64::new(1)));
    let mut readers = Vec::new();
    for reader in 0..READERS {
        let cache = if reader % 2 == 0 { near.clone() } else { far.clone() };
        let (stored, deleted) = (stored.clone(), deleted.clone());
        readers.push(tokio::spawn(async move {
            let (mut wrong, mut hits) = (0, 0);
            while stored.load(Ordering::SeqCst) < changes {
                let least = deleted.load(Ordering::SeqCst);
                match cache.look_up(session, user, 0, NOW).await {
                    CacheLookup::Known(found) => {
                        hits += 1;
                        wrong += usize::from(found.version < least);
                    }
                    CacheLookup::Unknown(leases) => {
                        pause().await;
                        let read = profile(user, stored.load(Ordering::SeqCst));
                        pause().await;
                        cache.fill(session, &read, leases, NOW).await;
                    }
                }
                pause().await;
            }
            (wrong, hits)
        }));
    }
    for version in 2..=changes {
        pause().await;
        stored.store(version, Ordering::SeqCst);
        pause().await;
        near.forget(&[if version % 2 == 0 { user } else { session }, user]).await;
        deleted.store(version, Ordering::SeqCst);
    }
    let mut total = (0, 0);
    for reader in readers {
        let (wrong, hits) = reader.await.unwrap();
        total = (total.0 + wrong, total.1 + hits);
    }
    total
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_reader_restores_no_old_record() {
    let cache = in_process();
    let (wrong, hits) = race(cache.clone(), cache, 400).await;
    assert!(wrong == 0 && hits > 0, "in this process: {wrong} wrong of {hits}");

    let naive: Arc<dyn RecordCache> = Arc::new(Naive::default());
    let (wrong, hits) = race(naive.clone(), naive, 400).await;
    assert!(wrong > 0, "these pauses would not show a fault: {hits} from the cache");

    let Some(server) = Redis::start() else { return };
    let (near, far): (Arc<dyn RecordCache>, Arc<dyn RecordCache>) =
        (connect(&server.url(), 1).await, connect(&server.url(), 1).await);
    let (wrong, hits) = race(near, far, 400).await;
    assert!(wrong == 0 && hits > 0, "on Redis: {wrong} wrong of {hits}");
}
