//! Redis killed, stopped and cut off: the time that a call takes meanwhile, and the recovery.

use std::sync::Arc;
use std::time::{Duration, Instant};

use user_server::cache::{RedisCache, RedisServer, RedisTimeouts};
use user_server::domain::{CacheLookup, Leases, RecordCache, Timestamp, Wakeups};
use user_server::metrics;
use uuid::Uuid;

use super::{LIFE, key_ring};
use crate::support::{Proxy, Redis};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(30), "not {what} in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_circuit_breaker_opens_and_closes_by_itself() {
    let Some(mut redis) = Redis::start() else { return };
    let proxy = Proxy::before(redis.port).await;
    let cache_metrics: Arc<metrics::CacheMetrics> = Arc::default();
    let server = RedisServer::parse(&format!("redis://127.0.0.1:{}", proxy.port)).unwrap();
    let cache = RedisCache::start(
        server,
        &key_ring(1),
        LIFE,
        RedisTimeouts::default(),
        cache_metrics.clone(),
    )
    .unwrap();
    let look_up = async || cache.look_up(Uuid::new_v4(), Uuid::new_v4(), 0, NOW).await;
    // A call ends in time however Redis fails, and at once while the breaker is open.
    let assert_opens = async |fault: &str| {
        let began = Instant::now();
        let mut calls = 0;
        while cache_metrics.reachable() {
            look_up().await;
            calls += 1;
            assert!(began.elapsed() < Duration::from_secs(30), "{fault}: the breaker stays closed");
        }
        let opened = began.elapsed();
        let began = Instant::now();
        assert_eq!(look_up().await, CacheLookup::Unknown(Leases::default()));
        eprintln!(
            "{fault}: open after {opened:?} and {calls} calls; a call takes {:?} then",
            began.elapsed()
        );
        assert!(began.elapsed() < Duration::from_secs(2), "{fault}");
    };
    wait_until("connected", || cache_metrics.reachable()).await;
    assert_ne!(look_up().await, CacheLookup::Unknown(Leases::default()));

    redis.kill();
    assert_opens("killed").await;
    redis.run();
    wait_until("reconnected after the restart", || cache_metrics.reachable()).await;

    redis.signal("STOP");
    assert_opens("stopped").await;
    redis.signal("CONT");
    wait_until("reconnected after SIGCONT", || cache_metrics.reachable()).await;

    proxy.cut(true);
    assert_opens("cut off").await;
    proxy.cut(false);
    wait_until("reconnected after the cut", || cache_metrics.reachable()).await;
    // A wakeup may have been lost during the cut, so reconnecting counts as one.
    tokio::time::timeout(Duration::from_secs(10), cache.notified()).await.unwrap();
    cache.notify().await;
    tokio::time::timeout(Duration::from_secs(10), cache.notified()).await.unwrap();
}
