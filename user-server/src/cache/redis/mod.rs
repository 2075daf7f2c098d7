//! The token cache that nodes share. Every record is under a name of its own, so that a cluster may
//! spread them; every write is conditional or a deletion, so that one which runs late does no harm.

mod link;
mod seal;
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
use link::Link;
use seal::{Seal, SessionBody, UserBody};

pub use link::RedisTimeouts;
pub use server::{Authorities, RedisServer};

/// Puts a value in another's place, if that one is still there.
const EXCHANGE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
                        redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1";
/// What a lease begins with. A sealed value may too, with one chance in 2^64.
const LEASED: &[u8; 8] = b"leased: ";

/// The token cache in Redis. It connects by itself, and ends when it is dropped.
pub struct RedisCache {
    link: Arc<Link>,
    seal: Seal,
    /// Where this node tells the others.
    channel: String,
    life: Duration,
    metrics: Arc<CacheMetrics>,
    keeper: JoinHandle<()>,
}

/// What lies under a name.
enum Found<T> {
    /// A record that counts.
    Record(T),
    /// Somebody else's lease.
    Lease,
    /// Nothing, or what may be replaced: an old record, or one of nobody's.
    Nothing(Option<Vec<u8>>),
}

impl RedisCache {
    /// A cache whose records live so long. Redis may be down now.
    ///
    /// # Errors
    /// Where a key can't be derived.
    pub fn start(
        server: RedisServer,
        keys: &KeyRing,
        life: Duration,
        patience: RedisTimeouts,
        metrics: Arc<CacheMetrics>,
    ) -> Result<Self, Fault> {
        let seal = Seal::new(keys)?;
        let channels = seal.channels();
        let channel = channels.first().cloned().unwrap_or_default();
        let link = Arc::new(Link::new(server, channels, patience, metrics.clone()));
        let keeper = tokio::spawn(link.clone().keep());
        Ok(Self { link, seal, channel, life, metrics, keeper })
    }

    /// Proves that the server can be reached and lets the service do all that it will; its version.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn probe(server: RedisServer) -> Result<String, String> {
        let patience =
            RedisTimeouts { connect: Duration::from_secs(5), ..RedisTimeouts::default() };
        let channels = vec!["user-server:check".to_owned()];
        Arc::new(Link::new(server, channels, patience, Arc::default())).probe().await
    }

    /// A record's own time counts as well, so that nobody else's expiry has to be believed.
    fn is_young(&self, filled_at: i64, now: Timestamp) -> bool {
        Timestamp(filled_at).plus(self.life) > now
    }

    /// Takes the place of what is missing; none where somebody else did.
    async fn lease<T>(&self, name: &str, found: &Found<T>) -> Option<Uuid> {
        let Found::Nothing(old) = found else { return None };
        let lease = Uuid::new_v4();
        let value = leased(lease);
        let taken = match old {
            None => {
                self.link.call::<Option<String>>(&set_new(name, &value, LEASE)).await?.is_some()
            }
            Some(old) => self.link.call::<i64>(&exchange(name, old, &value, LEASE)).await? == 1,
        };
        taken.then_some(lease)
    }
}

impl Drop for RedisCache {
    fn drop(&mut self) {
        self.keeper.abort();
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
        let (session_name, user_name) = (self.seal.name(session_id), self.seal.name(user_id));
        let both = redis::cmd("MGET").arg(&session_name).arg(&user_name).to_owned();
        let Some((session, user)) =
            self.link.call::<(Option<Vec<u8>>, Option<Vec<u8>>)>(&both).await
        else {
            self.metrics.looked_up(false);
            return CacheLookup::Unknown(Leases::default());
        };
        let session = found(session, |value| {
            let body: SessionBody = self.seal.open(&session_name, value)?;
            self.is_young(body.filled_at, now).then_some(())
        });
        let user = found(user, |value| {
            let body: UserBody = self.seal.open(&user_name, value)?;
            let young = self.is_young(body.filled_at, now);
            Some(body.profile(user_id)).filter(|profile| young && profile.version >= min_version)
        });
        self.metrics.looked_up(matches!((&session, &user), (Found::Record(()), Found::Record(_))));
        match (session, user) {
            (Found::Record(()), Found::Record(profile)) => CacheLookup::Known(profile),
            (session, user) => {
                let leases = (self.lease(&session_name, &session), self.lease(&user_name, &user));
                let (session, user) = tokio::join!(leases.0, leases.1);
                CacheLookup::Unknown(Leases { session, user })
            }
        }
    }

    async fn fill(&self, session_id: Uuid, profile: &Profile, leases: Leases, now: Timestamp) {
        let session = async {
            let (name, lease) = (self.seal.name(session_id), leases.session?);
            let value = self.seal.close(&name, &SessionBody { filled_at: now.0 })?;
            self.link.call::<i64>(&exchange(&name, &leased(lease), &value, self.life)).await
        };
        let user = async {
            let (name, lease) = (self.seal.name(profile.id), leases.user?);
            let value = self.seal.close(&name, &UserBody::new(profile, now))?;
            self.link.call::<i64>(&exchange(&name, &leased(lease), &value, self.life)).await
        };
        tokio::join!(session, user);
    }

    async fn forget(&self, subjects: &[Uuid]) {
        if subjects.is_empty() {
            return;
        }
        let mut delete = redis::cmd("DEL");
        for subject in subjects {
            for name in self.seal.names(*subject) {
                delete.arg(name);
            }
        }
        let _: Option<i64> = self.link.call(&delete).await;
    }
}

#[async_trait]
impl Wakeups for RedisCache {
    async fn notify(&self) {
        let _: Option<i64> = self.link.call(redis::cmd("PUBLISH").arg(&self.channel).arg("")).await;
    }

    async fn notified(&self) {
        self.link.notified().await;
    }
}

/// What a value is, where `read` reads a record that counts.
fn found<T>(value: Option<Vec<u8>>, read: impl FnOnce(&[u8]) -> Option<T>) -> Found<T> {
    match value {
        Some(value) if value.starts_with(LEASED) => Found::Lease,
        Some(value) => read(&value).map_or_else(|| Found::Nothing(Some(value)), Found::Record),
        None => Found::Nothing(None),
    }
}

fn leased(lease: Uuid) -> Vec<u8> {
    [LEASED.as_slice(), lease.as_bytes()].concat()
}

/// Puts a value where there is none.
fn set_new(name: &str, value: &[u8], life: Duration) -> Cmd {
    redis::cmd("SET").arg(name).arg(value).arg("NX").arg("PX").arg(millis(life)).to_owned()
}

fn exchange(name: &str, old: &[u8], new: &[u8], life: Duration) -> Cmd {
    redis::cmd("EVAL").arg(EXCHANGE).arg(1).arg(name).arg(old).arg(new).arg(millis(life)).to_owned()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
