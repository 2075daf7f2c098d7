//! Redis killed, stopped and cut off: what a call costs then, and how it comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use user_server::cache::{RedisCache, RedisServer, RedisTimeouts};
use user_server::domain::{CacheLookup, Leases, RecordCache, Timestamp, Wakeups};
use user_server::metrics;
use uuid::Uuid;

use super::{LIFE, ring};
use crate::support::{Proxy, Redis};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_breaker_opens_and_closes_by_itself() {
    let Some(mut redis) = Redis::start() else { return };
    let proxy = Proxy::before(redis.port).await;
    let counted: Arc<metrics::CacheMetrics> = Arc::default();
    let server = RedisServer::parse(&format!("redis://127.0.0.1:{}", proxy.port)).unwrap();
    let cache =
        RedisCache::start(server, &ring(1), LIFE, RedisTimeouts::default(), counted.clone())
            .unwrap();
    let look_up = async || cache.look_up(Uuid::new_v4(), Uuid::new_v4(), 0, NOW).await;
    // It fails in time however Redis does: at once where the breaker is open.
    let lost = async |how: &str| {
        let began = Instant::now();
        let mut calls = 0;
        while counted.reachable() {
            look_up().await;
            calls += 1;
            assert!(began.elapsed() < Duration::from_secs(30), "{how}: it goes on asking");
        }
        let opened = began.elapsed();
        let began = Instant::now();
        assert_eq!(look_up().await, CacheLookup::Unknown(Leases::default()));
        eprintln!(
            "{how}: open after {opened:?} and {calls} calls; a call takes {:?} then",
            began.elapsed()
        );
        assert!(began.elapsed() < Duration::from_secs(2), "{how}");
    };
    until("it connects", || counted.reachable()).await;
    assert_ne!(look_up().await, CacheLookup::Unknown(Leases::default()));

    redis.kill();
    lost("killed").await;
    redis.run();
    until("it comes back", || counted.reachable()).await;

    redis.signal("STOP");
    lost("stopped").await;
    redis.signal("CONT");
    until("it goes on", || counted.reachable()).await;

    proxy.cut(true);
    lost("cut off").await;
    proxy.cut(false);
    until("it is reached again", || counted.reachable()).await;
    // A wakeup that was missed is taken to have arrived.
    tokio::time::timeout(Duration::from_secs(10), cache.notified()).await.unwrap();
    cache.notify().await;
    tokio::time::timeout(Duration::from_secs(10), cache.notified()).await.unwrap();
}
