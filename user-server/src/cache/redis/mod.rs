//! The cache of sessions and accounts in Redis, which all nodes share. Every record has its own
//! Redis key, so that a Redis cluster can distribute them. Every write is conditional or a
//! deletion, so it is harmless even if it is executed late.

mod cipher;
mod connection;
mod server;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Cmd;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::LEASE;
use crate::domain::{CacheLookup, Fault, Leases, Profile, RecordCache, Timestamp, Wakeups};
use crate::keys::KeyRing;
use crate::metrics::CacheMetrics;
use cipher::{CachedSession, CachedUser, RecordCipher};
use connection::ManagedConnection;

pub use connection::RedisTimeouts;
pub use server::{RedisAuthorities, RedisServer};

/// Lua script that replaces the value of a Redis key if it is still the expected one. Returns 1 if
/// it was replaced, otherwise 0.
const EXCHANGE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
                        redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1";
/// Prefix of a stored lease. An encrypted record starts with it by chance only once in 2^64.
const LEASED: &[u8; 8] = b"leased: ";

/// Cache of sessions and accounts in Redis. It connects in the background until it is dropped.
pub struct RedisCache {
    connection: Arc<ManagedConnection>,
    cipher: RecordCipher,
    /// Pub/sub channel on which this node notifies the others.
    channel: String,
    /// Lifetime of a record.
    life: Duration,
    metrics: Arc<CacheMetrics>,
    task: JoinHandle<()>,
}

/// Result of a lookup of one Redis key.
enum Lookup<T> {
    /// The record is cached and not outdated.
    Record(T),
    /// Another request has a lease for the record.
    Lease,
    /// There is no usable record. If there is a value that may be replaced, because it is outdated
    /// or cannot be decrypted, it is contained.
    Missing(Option<Vec<u8>>),
}

impl RedisCache {
    /// Starts a cache in which records expire after `life`. Redis need not be reachable yet.
    ///
    /// # Errors
    /// Fails if a subkey for the cache cannot be derived.
    pub fn start(
        server: RedisServer,
        keys: &KeyRing,
        life: Duration,
        timeouts: RedisTimeouts,
        metrics: Arc<CacheMetrics>,
    ) -> Result<Self, Fault> {
        let cipher = RecordCipher::new(keys)?;
        let channels = cipher.channels();
        let channel = channels.first().cloned().unwrap_or_default();
        let connection =
            Arc::new(ManagedConnection::new(server, channels, timeouts, metrics.clone()));
        let task = tokio::spawn(connection.clone().run());
        Ok(Self { connection, cipher, channel, life, metrics, task })
    }

    /// Checks that a Redis server can be reached and permits the commands that the service needs.
    /// Returns the version of the server.
    ///
    /// # Errors
    /// Describes the failure.
    pub async fn probe(server: RedisServer) -> Result<String, String> {
        let timeouts =
            RedisTimeouts { connect: Duration::from_secs(5), ..RedisTimeouts::default() };
        let channels = vec!["user-server:check".to_owned()];
        Arc::new(ManagedConnection::new(server, channels, timeouts, Arc::default())).probe().await
    }

    /// Reports whether a record that was stored at `filled_at`, in milliseconds since 1970, is
    /// within its lifetime. Does not rely on expiry in Redis.
    fn is_fresh(&self, filled_at: i64, now: Timestamp) -> bool {
        Timestamp(filled_at).plus(self.life) > now
    }

    /// Stores a lease for a missing record and returns it. Returns `None` if there is a record or
    /// another lease, or if Redis fails.
    async fn lease<T>(&self, key: &str, lookup: &Lookup<T>) -> Option<Uuid> {
        let Lookup::Missing(old) = lookup else { return None };
        let lease = Uuid::new_v4();
        let value = leased(lease);
        let taken = match old {
            None => self
                .connection
                .call::<Option<String>>(&set_new(key, &value, LEASE))
                .await?
                .is_some(),
            Some(old) => {
                self.connection.call::<i64>(&exchange(key, old, &value, LEASE)).await? == 1
            }
        };
        taken.then_some(lease)
    }
}

impl Drop for RedisCache {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl RecordCache for RedisCache {
    async fn look_up(
        &self,
        session_id: Uuid,
        user_id: Uuid,
        min_version: i64,
        now: Timestamp,
    ) -> CacheLookup {
        let session_key = self.cipher.record_key(session_id);
        let user_key = self.cipher.record_key(user_id);
        let both = redis::cmd("MGET").arg(&session_key).arg(&user_key).to_owned();
        let Some((session, user)) =
            self.connection.call::<(Option<Vec<u8>>, Option<Vec<u8>>)>(&both).await
        else {
            self.metrics.record_lookup(false);
            return CacheLookup::Unknown(Leases::default());
        };
        let session = classify(session, |value| {
            let record: CachedSession = self.cipher.decrypt(&session_key, value)?;
            self.is_fresh(record.filled_at, now).then_some(())
        });
        let user = classify(user, |value| {
            let record: CachedUser = self.cipher.decrypt(&user_key, value)?;
            let fresh = self.is_fresh(record.filled_at, now);
            Some(record.profile(user_id)).filter(|profile| fresh && profile.version >= min_version)
        });
        self.metrics
            .record_lookup(matches!((&session, &user), (Lookup::Record(()), Lookup::Record(_))));
        match (session, user) {
            (Lookup::Record(()), Lookup::Record(profile)) => CacheLookup::Known(profile),
            (session, user) => {
                let leases = (self.lease(&session_key, &session), self.lease(&user_key, &user));
                let (session, user) = tokio::join!(leases.0, leases.1);
                CacheLookup::Unknown(Leases { session, user })
            }
        }
    }

    async fn fill(&self, session_id: Uuid, profile: &Profile, leases: Leases, now: Timestamp) {
        let session = async {
            let (key, lease) = (self.cipher.record_key(session_id), leases.session?);
            let value = self.cipher.encrypt(&key, &CachedSession { filled_at: now.0 })?;
            self.connection.call::<i64>(&exchange(&key, &leased(lease), &value, self.life)).await
        };
        let user = async {
            let (key, lease) = (self.cipher.record_key(profile.id), leases.user?);
            let value = self.cipher.encrypt(&key, &CachedUser::new(profile, now))?;
            self.connection.call::<i64>(&exchange(&key, &leased(lease), &value, self.life)).await
        };
        tokio::join!(session, user);
    }

    async fn forget(&self, subjects: &[Uuid]) {
        if subjects.is_empty() {
            return;
        }
        let mut delete = redis::cmd("DEL");
        for subject in subjects {
            for key in self.cipher.record_keys(*subject) {
                delete.arg(key);
            }
        }
        let _: Option<i64> = self.connection.call(&delete).await;
    }
}

#[async_trait]
impl Wakeups for RedisCache {
    async fn notify(&self) {
        let _: Option<i64> =
            self.connection.call(redis::cmd("PUBLISH").arg(&self.channel).arg("")).await;
    }

    async fn notified(&self) {
        self.connection.notified().await;
    }
}

/// Classifies the value of a Redis key. `read` decrypts a record, and returns `None` if it is
/// outdated or cannot be decrypted.
fn classify<T>(value: Option<Vec<u8>>, read: impl FnOnce(&[u8]) -> Option<T>) -> Lookup<T> {
    match value {
        Some(value) if value.starts_with(LEASED) => Lookup::Lease,
        Some(value) => read(&value).map_or_else(|| Lookup::Missing(Some(value)), Lookup::Record),
        None => Lookup::Missing(None),
    }
}

fn leased(lease: Uuid) -> Vec<u8> {
    [LEASED.as_slice(), lease.as_bytes()].concat()
}

/// Returns the command that stores a value, which expires after `life`, if the Redis key has none.
fn set_new(key: &str, value: &[u8], life: Duration) -> Cmd {
    redis::cmd("SET").arg(key).arg(value).arg("NX").arg("PX").arg(millis(life)).to_owned()
}

/// Returns the command that replaces the value of a Redis key with `new`, which expires after
/// `life`, if it is still `old`.
fn exchange(key: &str, old: &[u8], new: &[u8], life: Duration) -> Cmd {
    redis::cmd("EVAL").arg(EXCHANGE).arg(1).arg(key).arg(old).arg(new).arg(millis(life)).to_owned()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
