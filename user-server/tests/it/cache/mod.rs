//! The record cache: its contract, several nodes on one Redis, and faults of Redis.

#[cfg(feature = "redis-cluster")]
mod cluster;
mod contract;
mod faults;
mod load;
mod nodes;
mod races;
mod redis;
mod revocation_delay;

use std::sync::Arc;
use std::time::Duration;

use user_server::cache::{LocalCache, RedisCache, RedisServer, RedisTimeouts};
use user_server::domain::RecordCache;
use user_server::keys::{Key, KeyRing};
use user_server::metrics;

const LIFE: Duration = Duration::from_secs(900);

fn key_ring(secret: u8) -> KeyRing {
    KeyRing::new(Key::new(&[secret; 32]).unwrap(), Vec::new())
}

/// Returns the cache that lives in the process.
fn in_process() -> Arc<dyn RecordCache> {
    Arc::new(LocalCache::new(100, LIFE, Arc::default()))
}

/// Returns a cache that is connected to a Redis server. Its timeouts are long, because these tests
/// do not measure speed.
async fn connect(url: &str, secret: u8) -> Arc<RedisCache> {
    let timeouts =
        RedisTimeouts { call: Duration::from_secs(20), connect: Duration::from_secs(20) };
    let cache_metrics: Arc<metrics::CacheMetrics> = Arc::default();
    let server = RedisServer::parse(url).unwrap();
    let cache = RedisCache::start(server, &key_ring(secret), LIFE, timeouts, cache_metrics.clone())
        .unwrap();
    while !cache_metrics.reachable() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Arc::new(cache)
}
