//! The services on top of a store and a cache, without sockets: assembled for a node, and for tests
//! and benchmarks that call them directly.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::background::{learn_classes, sweep};
use crate::audit::{AuditLog, Sealer};
use crate::cache::NoWakeups;
use crate::config::Config;
use crate::domain::{Clock, Fault, Mailer, RecordCache, Retention, Store, Wakeups};
use crate::handler::{AdvertisedLimits, Handler, Services};
use crate::idempotency::{self, Idempotency};
use crate::keys::{KeyRing, Pseudonyms};
use crate::metrics::Metrics;
use crate::otp::Otp;
use crate::outbox::{self, MailWakeup, Worker};
use crate::password::{HashPool, Passwords};
use crate::throttle::Throttle;
use crate::tokens::{RevocationReader, Revocations, TokenStores, Tokens};
use crate::users::Users;

/// The cache of a node, and the wakeups that it exchanges with other nodes.
#[derive(Clone)]
pub struct CachePorts {
    pub records: Arc<dyn RecordCache>,
    pub wakeups: Arc<dyn Wakeups>,
}

impl CachePorts {
    /// Returns a cache without wakeups, for a node that shares its database with no other.
    #[must_use]
    pub fn single_node(records: Arc<dyn RecordCache>) -> Self {
        Self { records, wakeups: Arc::new(NoWakeups) }
    }
}

/// The services on top of a store, without sockets and background tasks.
pub struct ServiceCore {
    pub handler: Arc<Handler>,
    /// Id of this node, under which it claims idempotency keys.
    pub(super) node: Uuid,
    pub revocations: Arc<Revocations>,
    pub(super) tokens: Arc<Tokens>,
    otp: Arc<Otp>,
    pub(super) passwords: Passwords,
    wakeup: MailWakeup,
    keys: Arc<KeyRing>,
    metrics: Arc<Metrics>,
}

impl ServiceCore {
    /// Creates the services on top of `store`.
    ///
    /// # Errors
    /// If the system provides no threads or random bytes.
    pub fn assemble(
        config: &Config,
        clock: &Arc<dyn Clock>,
        keys: &Arc<KeyRing>,
        store: &Arc<dyn Store>,
        cache: &CachePorts,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Fault> {
        let pseudonyms = Pseudonyms::new(keys.configured())
            .ok_or_else(|| Fault::internal("cannot derive a subkey"))?;
        let passwords = Passwords::new(
            Arc::new(HashPool::start(config.hash_pool, metrics.hashing.clone())?),
            config.hash_cost,
        )?;
        let revocations = Arc::new(Revocations::new(config.stale_limit));
        let stores = TokenStores {
            sessions: store.clone(),
            claims: store.clone(),
            cache: cache.records.clone(),
            wakeups: cache.wakeups.clone(),
        };
        let throttle = Arc::new(Throttle::new(store.clone(), clock.clone(), pseudonyms.clone()));
        let tokens = Arc::new(Tokens::new(
            keys.clone(),
            stores,
            throttle.clone(),
            clock.clone(),
            config.tokens.clone(),
            revocations.clone(),
        )?);
        let otp = Arc::new(Otp::new(
            store.clone(),
            throttle.clone(),
            clock.clone(),
            keys.clone(),
            config.code_life,
        ));
        let wakeup = MailWakeup::default();
        let users = Users {
            accounts: store.clone(),
            tokens: tokens.clone(),
            otp: otp.clone(),
            passwords: passwords.clone(),
            throttle,
            audit_log: AuditLog::new(store.clone(), pseudonyms),
            wakeup: wakeup.clone(),
            clock: clock.clone(),
            code_life: config.code_life,
        };
        let idempotency = Idempotency {
            claims: store.clone(),
            node: Uuid::new_v4(),
            keys: keys.clone(),
            clock: clock.clone(),
            late_releases: Arc::new(tokio::sync::Semaphore::new(idempotency::MAX_LATE_RELEASES)),
        };
        let node = idempotency.node;
        let limits = AdvertisedLimits {
            max_in_flight: u32::try_from(config.limits.in_flight).unwrap_or(u32::MAX),
            idle_timeout: config.limits.idle,
            max_hashing: u32::try_from(config.limits.hashing).unwrap_or(u32::MAX),
        };
        let services = Services { users, tokens: tokens.clone(), idempotency, limits };
        let handler = Arc::new(Handler::new(services));
        let (keys, metrics) = (keys.clone(), metrics.clone());
        Ok(Self { handler, node, revocations, tokens, otp, passwords, wakeup, keys, metrics })
    }

    /// Returns a reader of the revocations and retired keys in this store.
    pub fn revocation_reader(&self, store: &Arc<dyn Store>) -> RevocationReader {
        let (log, records) = (store.clone(), store.clone());
        RevocationReader::new(self.revocations.clone(), log, records, self.keys.clone())
    }

    pub(super) fn spawn_workers(
        &self,
        config: &Config,
        store: &Arc<dyn Store>,
        mailer: Arc<dyn Mailer>,
        clock: &Arc<dyn Clock>,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) {
        let (outbox, codes) = (store.clone(), self.otp.clone());
        let (wakeup, metrics) = (self.wakeup.clone(), self.metrics.emails.clone());
        let (clock, turns) = (clock.clone(), AtomicUsize::new(0));
        let worker = Worker { outbox, mailer, codes, clock: clock.clone(), wakeup, metrics, turns };
        tasks.spawn(worker.run(config.mail_concurrency, stop.clone()));
        let sealer = Sealer {
            log: store.clone(),
            keys: self.keys.clone(),
            clock: clock.clone(),
            retention: config.audit_retention,
            metrics: self.metrics.audit.clone(),
        };
        tasks.spawn(stop.clone().run_until_cancelled_owned(sealer.run()));
        let retention = Retention {
            verifications: outbox::verification_life(config.code_life),
            mails: Duration::from_secs(24 * 3600) + config.code_life,
            // An hour is the longest lifetime that another node of the same database may have.
            revocations: config.tokens.access_life * 2 + Duration::from_secs(3600),
            last_revocation: 0,
            session_idle: config.tokens.session_idle,
            session_life: config.tokens.session_life,
            known_networks: outbox::KNOWN_FOR,
        };
        let learn = learn_classes(store.clone(), self.passwords.clone());
        tasks.spawn(stop.clone().run_until_cancelled_owned(learn));
        tasks.spawn(stop.clone().run_until_cancelled_owned(sweep(
            store.clone(),
            retention,
            clock.clone(),
            self.revocations.clone(),
        )));
    }
}
