//! The service as a whole: creates its components, starts them and stops them.

mod assembly;
mod background;
mod components;
mod start_error;

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::domain::{Clock, SharedClock, Store};
use crate::http::{Health, HealthSources, Monitor};
use crate::idempotency;
use crate::metrics::Metrics;
use crate::process::raise_open_files;
use crate::tcp::{
    self, ConnectionContext, RefusalLimiter, RequestLimiter, Server, Shutdown, UnnamedRequests,
};
use crate::tls::Tls;
use crate::tokens;
pub use assembly::{CachePorts, ServiceCore};
use background::{follow_clock, set_clock, warn_if_behind};
use components::{cache, keys, kinds, lock_folder, mailer, refuse_new_weak_secrets, store};
pub use start_error::StartError;

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

async fn start_monitor(
    config: &Config,
    health: &Arc<Health>,
    metrics: &Arc<Metrics>,
) -> Result<Option<Monitor>, StartError> {
    let Some(listen) = config.metrics_listen else { return Ok(None) };
    let monitor = Monitor::start(listen, health.clone(), metrics.clone()).await;
    monitor.map(Some).map_err(|error| StartError::ListenMonitor(listen, error))
}
