//! The token cache: what it owes the services, how it shares Redis, and what becomes of them when
//! Redis fails.

#[cfg(feature = "redis-cluster")]
mod cluster;
mod contract;
mod faults;
mod load;
mod news;
mod nodes;
mod races;
mod redis;

use std::sync::Arc;
use std::time::Duration;

use user_server::cache::{LocalCache, RedisCache, RedisServer, RedisTimeouts};
use user_server::domain::RecordCache;
use user_server::keys::{Key, KeyRing};
use user_server::metrics;

const LIFE: Duration = Duration::from_secs(900);

fn ring(secret: u8) -> KeyRing {
    KeyRing::new(Key::new(&[secret; 32]).unwrap(), Vec::new())
}

/// A cache in one process.
fn local() -> Arc<dyn RecordCache> {
    Arc::new(LocalCache::new(100, LIFE, Arc::default()))
}

/// A cache on a server, once it has a connection. It waits long, since what is asked here is not
/// how fast it is.
async fn shared(url: &str, secret: u8) -> Arc<RedisCache> {
    let timeouts =
        RedisTimeouts { call: Duration::from_secs(20), connect: Duration::from_secs(20) };
    let counted: Arc<metrics::CacheMetrics> = Arc::default();
    let server = RedisServer::parse(url).unwrap();
    let cache = RedisCache::start(server, &ring(secret), LIFE, timeouts, counted.clone()).unwrap();
    while !counted.reachable() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Arc::new(cache)
}
