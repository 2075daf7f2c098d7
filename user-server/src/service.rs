//! The service as a whole: creates its components, starts them and stops them.

mod background;
mod components;
mod start_error;

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::audit::{AuditLog, Sealer};
use crate::cache::{LocalCache, NoWakeups, RedisCache, RedisTimeouts};
use crate::config::Config;
use crate::domain::{Clock, Fault, Mailer, RecordCache, Retention, SharedClock, Store, Wakeups};
use crate::handler::{AdvertisedLimits, Handler, Services};
use crate::http::{Health, HealthSources, Monitor};
use crate::idempotency::{self, Idempotency};
use crate::keys::{KeyRing, Pseudonyms};
use crate::mail::{FileMailer, SmtpMailer};
use crate::metrics::Metrics;
use crate::otp::Otp;
use crate::outbox::{self, MailWakeup, Worker};
use crate::password::{HashPool, Passwords};
use crate::process::raise_open_files;
use crate::store::folder;
use crate::tcp::{
    self, ConnectionContext, RefusalLimiter, RequestLimiter, Server, Shutdown, UnnamedRequests,
};
use crate::throttle::Throttle;
use crate::tls::Tls;
use crate::tokens::{self, RevocationReader, Revocations, TokenStores, Tokens};
use crate::users::Users;
use background::{follow_clock, learn_classes, set_clock, sweep, warn_if_behind};
use components::{keys, kinds, lock_folder, refuse_new_weak_secrets, store};
pub use start_error::StartError;

/// Maximum number of sessions and users in the cache of one process. Each takes some hundred bytes.
const LOCAL_RECORDS: usize = 20_000;

/// A running service.
pub struct Service {
    address: SocketAddr,
    monitor: Option<Monitor>,
    tls: Option<Arc<Tls>>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
    workers: CancellationToken,
    connections: TaskTracker,
    tasks: TaskTracker,
    store: Arc<dyn Store>,
    grace: Duration,
    /// Lock of the data folder, which prevents a second process from using it; `None` if the
    /// service does not use the embedded database.
    _lock: Option<File>,
}

impl Service {
    /// Starts the service, which listens when this function returns.
    ///
    /// # Errors
    /// If a component cannot be started. Nothing is left running then.
    pub async fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        // First, so that a start on a port in use leaves nothing behind.
        let listener =
            tcp::listen(config.listen).map_err(|error| StartError::Listen(config.listen, error))?;
        let address =
            listener.local_addr().map_err(|error| StartError::Listen(config.listen, error))?;
        if let Some(warning) = raise_open_files(config.max_connections.total).warning() {
            tracing::warn!("{warning}");
        }
        // With a shared database, nothing in the folder belongs to one process alone.
        let lock =
            if config.postgres.is_none() { Some(lock_folder(&config.data_dir)?) } else { None };
        let mailer = mailer(config)?;
        let existing = config.existing_keys()?;
        // Before the store, so that /readyz reports that the service is starting while the schema
        // is being updated.
        let (health, metrics) = (
            Arc::new(Health::default()),
            Arc::new(Metrics::new(tcp::request_labels(), clock.now())),
        );
        let max = i64::try_from(config.max_connections.total).unwrap_or(i64::MAX);
        metrics.connections.max.set(max);
        let start_tls = |files| Tls::start(files, clock.clone(), metrics.tls.clone()).map(Arc::new);
        let tls = config.tls.clone().map(start_tls).transpose()?;
        let monitor = start_monitor(config, &health, &metrics).await?;
        let store = store(config).await?;
        refuse_new_weak_secrets(config, &*store).await?;
        let keys = Arc::new(keys(config, existing, &*store).await?);
        tokens::retire_known(&*store, &keys).await?;
        if keys.signing().is_none() {
            return Err(StartError::Retired);
        }
        let shared = Arc::new(SharedClock::new(clock));
        set_clock(&*store, &shared).await?;
        warn_if_behind(&*store, shared.now()).await?;
        let clock: Arc<dyn Clock> = shared.clone();
        let cache = cache(config, &keys, &metrics)?;
        let core = ServiceCore::assemble(config, &clock, &keys, &store, &cache, &metrics)?;
        let reader = core.revocation_reader(&store);
        reader.load(clock.now()).await?;
        if let Err(fault) = store.start_node(core.node).await {
            // A read-only database has no claims that a request could wait for.
            tracing::warn!(%fault, "cannot release the idempotency keys of an earlier process");
        }
        // Before the first login, so that the time of a refusal does not reveal the class of a
        // hash.
        core.passwords.learn(store.hash_classes().await?).await;

        let (workers, tasks) = (CancellationToken::new(), TaskTracker::new());
        let alive = idempotency::report_alive(store.clone(), core.node);
        tasks.spawn(workers.clone().run_until_cancelled_owned(alive));
        core.spawn_workers(config, &store, mailer, &clock, &workers, &tasks);
        tasks.spawn(workers.clone().run_until_cancelled_owned(follow_clock(store.clone(), shared)));
        let (time, wakeups) = (clock.clone(), cache.wakeups.clone());
        let follow = async move { reader.follow(time, wakeups).await };
        tasks.spawn(workers.clone().run_until_cancelled_owned(follow));
        if monitor.is_some() {
            let follow = health.clone().follow(metrics.clone());
            tasks.spawn(workers.clone().run_until_cancelled_owned(follow));
        }
        let shutdown = Shutdown::default();
        let connections = TaskTracker::new();
        let context = ConnectionContext {
            handler: core.handler,
            limits: config.limits,
            requests: Arc::new(RequestLimiter::new(config.requests)),
            refusals: RefusalLimiter::default(),
            unnamed: UnnamedRequests::default(),
            shutdown: shutdown.clone(),
            tasks: connections.clone(),
            metrics: metrics.clone(),
        };
        let server = Server::new(
            listener,
            Arc::new(context),
            config.max_connections,
            config.trusted.clone(),
            tls.clone(),
        );
        if let Some(tls) = &tls {
            tasks.spawn(workers.clone().run_until_cancelled_owned(tls.clone().follow()));
        }
        connections.spawn(server.run());
        health.set_ready(HealthSources {
            store: store.clone(),
            tokens: core.tokens,
            revocations: core.revocations,
            clock,
            kinds: kinds(config),
        });
        Ok(Self {
            address,
            monitor,
            tls,
            health,
            metrics,
            shutdown,
            workers,
            connections,
            tasks,
            store,
            grace: config.grace,
            _lock: lock,
        })
    }

    /// Returns the address on which the service listens for clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of health checks and metrics, or `None` if they are off.
    #[must_use]
    pub fn monitor_address(&self) -> Option<SocketAddr> {
        self.monitor.as_ref().map(Monitor::address)
    }

    /// Reloads the certificate. Open connections are not affected. Returns false if the service
    /// does not use TLS.
    pub fn reload_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| {
            tls.reload();
            true
        })
    }

    /// Returns a function that returns the status of the service and its degraded components, in
    /// one line. They are sampled even if the health checks are off.
    pub fn status(&self) -> impl Fn() -> String + Send + 'static {
        let (health, metrics) = (self.health.clone(), self.metrics.clone());
        if self.monitor.is_none() {
            let follow = health.clone().follow(metrics.clone());
            self.tasks.spawn(self.workers.clone().run_until_cancelled_owned(follow));
        }
        move || health.readiness(&metrics).1.line()
    }

    /// Reports the service as not ready, so that no new clients are sent to it. It still accepts
    /// connections, because load balancers notice with a delay.
    pub fn set_draining(&self) {
        self.health.set_draining();
    }

    /// Stops the service: drains its connections within the grace period, and closes those that
    /// remain.
    pub async fn stop(self) {
        self.set_draining();
        self.shutdown.drain.cancel();
        self.connections.close();
        if tokio::time::timeout(self.grace, self.connections.wait()).await.is_err() {
            tracing::warn!(
                remaining = self.connections.len(),
                grace = ?self.grace,
                "the grace period is over; closing the remaining connections"
            );
            self.shutdown.kill.cancel();
            let _ = tokio::time::timeout(Duration::from_secs(5), self.connections.wait()).await;
        }
        self.workers.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(5), self.tasks.wait()).await;
        self.store.close().await;
        if let Some(monitor) = self.monitor {
            monitor.stop().await;
        }
    }
}

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
    node: Uuid,
    pub revocations: Arc<Revocations>,
    tokens: Arc<Tokens>,
    otp: Arc<Otp>,
    passwords: Passwords,
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

    fn spawn_workers(
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

async fn start_monitor(
    config: &Config,
    health: &Arc<Health>,
    metrics: &Arc<Metrics>,
) -> Result<Option<Monitor>, StartError> {
    let Some(listen) = config.metrics_listen else { return Ok(None) };
    let monitor = Monitor::start(listen, health.clone(), metrics.clone()).await;
    monitor.map(Some).map_err(|error| StartError::ListenMonitor(listen, error))
}

/// Returns the mailer of the configuration. A mail server is not contacted at startup: if it is
/// down, emails wait for it, but the service starts.
fn mailer(config: &Config) -> Result<Arc<dyn Mailer>, StartError> {
    let sender = config.sender.clone();
    if let Some(server) = &config.smtp {
        return Ok(Arc::new(SmtpMailer::new(server.clone(), sender)));
    }
    make_folder(&config.mail_dir)?;
    Ok(Arc::new(FileMailer::new(config.mail_dir.clone(), sender)))
}

/// Returns the Redis cache if it is configured. Otherwise the process has its own cache, but only
/// without PostgreSQL, because another node could change the same database.
fn cache(config: &Config, keys: &KeyRing, metrics: &Metrics) -> Result<CachePorts, Fault> {
    let (life, metrics) = (config.tokens.access_life, metrics.cache.clone());
    if let Some(server) = &config.cache {
        let timeouts = RedisTimeouts::default();
        let cache = Arc::new(RedisCache::start(server.clone(), keys, life, timeouts, metrics)?);
        return Ok(CachePorts { records: cache.clone(), wakeups: cache });
    }
    let records = match config.postgres {
        Some(_) => LocalCache::none(metrics),
        None => LocalCache::new(LOCAL_RECORDS, life, metrics),
    };
    Ok(CachePorts::single_node(Arc::new(records)))
}

fn make_folder(path: &Path) -> Result<(), StartError> {
    folder::make(path).map_err(|error| StartError::Folder(path.to_owned(), error))
}
