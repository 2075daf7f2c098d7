//! Readiness. A node is not ready while it starts or shuts down. It stays ready while a component
//! fails, because every node would fail in the same way and token checks continue; the body lists
//! what is degraded.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;

use crate::domain::{Clock, Fault, Store};
use crate::metrics::Metrics;
use crate::process::dropped_lines;
use crate::tokens::{FRESH, Revocations, Tokens};

/// Interval at which the outbox is sampled. Scrapes read the sample, so they neither wait for the
/// database nor put load on it.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(2);
/// Time after which an attempt to sample the outbox counts as failed.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(1);
/// Age in seconds from which the oldest unsent email reports the outbox as degraded. A first retry
/// happens earlier.
const OUTBOX_DEGRADED_SECONDS: f64 = 60.0;

/// Health of the service.
#[derive(Default)]
pub struct Health {
    /// Components of the service; set once it is ready.
    sources: OnceLock<HealthSources>,
    draining: AtomicBool,
    /// Set while the store is read-only or full.
    unwritable: AtomicBool,
}

/// Components that the health checks ask for their state.
pub struct HealthSources {
    pub store: Arc<dyn Store>,
    pub tokens: Arc<Tokens>,
    pub revocations: Arc<Revocations>,
    pub clock: Arc<dyn Clock>,
    pub kinds: ComponentKinds,
}

/// Implementation of each component, such as `PostgreSQL`. It contains no name and no address.
pub type ComponentKinds = Vec<(&'static str, &'static str)>;

/// JSON body of /readyz.
#[derive(Debug, Serialize)]
pub struct Readiness {
    status: &'static str,
    #[serde(flatten)]
    states: Option<Components>,
    /// The implementation of each component.
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<BTreeMap<&'static str, &'static str>>,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct Components {
    degraded: Vec<&'static str>,
    store: StoreStatus,
    revocation_log: RevocationLogStatus,
    keys: KeysStatus,
    cache: CacheStatus,
    outbox: OutboxStatus,
    mail: MailStatus,
}

#[derive(Debug, Serialize)]
struct StoreStatus {
    reachable: bool,
    writable: bool,
}

#[derive(Debug, Serialize)]
struct RevocationLogStatus {
    age_seconds: f64,
}

#[derive(Debug, Serialize)]
struct KeysStatus {
    left: i64,
}

#[derive(Debug, Serialize)]
struct CacheStatus {
    reachable: bool,
}

#[derive(Debug, Serialize)]
struct OutboxStatus {
    unsent: i64,
    waiting: i64,
    oldest_seconds: f64,
}

#[derive(Debug, Serialize)]
struct MailStatus {
    failing: bool,
    undecided_domains: i64,
    undecided_networks: i64,
}

impl Health {
    /// Reports the service as ready: it is configured, its schema is up to date, and the revocation
    /// log is loaded.
    pub fn set_ready(&self, sources: HealthSources) {
        // A service starts once, so nothing is overwritten.
        let _ = self.sources.set(sources);
    }

    /// Reports the service as draining: it shuts down soon, and no new client should connect.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Samples the outbox periodically. Does not return.
    pub async fn follow(self: Arc<Self>, metrics: Arc<Metrics>) {
        let mut tick = tokio::time::interval(SAMPLE_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let Some(sources) = self.sources.get() else { continue };
            let now = sources.clock.now();
            let backlog = tokio::time::timeout(SAMPLE_TIMEOUT, sources.store.backlog(now)).await;
            let backlog =
                backlog.unwrap_or_else(|_| Err(Fault::Unavailable("no answer".to_owned())));
            let gauges = &metrics.sampled;
            gauges.store_up.set(backlog.is_ok().into());
            let writable = backlog.is_ok() && self.is_writable(&*sources.store).await;
            gauges.store_writable.set(writable.into());
            if let Ok(backlog) = backlog {
                gauges.outbox_unsent.set(backlog.unsent);
                gauges.outbox_waiting.set(backlog.waiting);
                let age = backlog.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
                gauges.outbox_oldest.set(age.as_secs_f64());
                gauges.undecided_domains.set(backlog.undecided.domains);
                gauges.undecided_networks.set(backlog.undecided.networks);
                metrics.emails.set_refusing(backlog.undecided.concern_all());
            }
        }
    }

    /// Returns false if the store cannot be written: it is read-only or full, or does not answer.
    /// Logs a change of this state.
    async fn is_writable(&self, store: &dyn Store) -> bool {
        let checked = tokio::time::timeout(SAMPLE_TIMEOUT, store.check_writable()).await;
        let reason = match checked {
            Ok(Err(fault)) => Some(fault.to_string()),
            Err(_) => Some("no answer".to_owned()),
            Ok(Ok(())) => store.recent_write_fault(),
        };
        let unwritable = reason.is_some();
        if self.unwritable.swap(unwritable, Ordering::Relaxed) != unwritable {
            match reason {
                Some(reason) => tracing::error!(reason, "the database cannot be written"),
                None => tracing::info!("the database can be written again"),
            }
        }
        !unwritable
    }

    /// Updates the gauges that need no access to the database.
    pub(super) fn sample(&self, metrics: &Metrics) {
        let gauges = &metrics.sampled;
        gauges.sample_memory();
        gauges.set_log_lines_dropped(dropped_lines());
        let Some(sources) = self.sources.get() else { return };
        let age = sources.revocations.age(tokio::time::Instant::now());
        gauges.revocation_age.set(age.as_secs_f64());
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        gauges.revocation_entries.set(count(sources.revocations.entries()));
        gauges.revocation_watchers.set(count(sources.revocations.watchers()));
        gauges.set_revocations_sent(sources.revocations.sent_entries());
        gauges.keys_left.set(count(sources.tokens.keys_left()));
        gauges.set_pools(&sources.store.pools());
    }

    /// Returns true if clients should connect to this node, and the body of /readyz.
    #[must_use]
    pub fn readiness(&self, metrics: &Metrics) -> (bool, Readiness) {
        self.sample(metrics);
        let started = self.sources.get().is_some();
        let status = match (self.draining.load(Ordering::Relaxed), started) {
            (true, _) => "draining",
            (false, false) => "starting",
            (false, true) => "ready",
        };
        let states = started.then(|| Components::from(metrics));
        let components = self.sources.get().map(|sources| sources.kinds.iter().copied().collect());
        let version = env!("CARGO_PKG_VERSION");
        (status == "ready", Readiness { status, states, components, version })
    }
}

impl Readiness {
    /// Returns the status and the degraded components in one line.
    #[must_use]
    pub fn line(&self) -> String {
        match self.states.as_ref().map(|states| states.degraded.join(", ")) {
            Some(degraded) if !degraded.is_empty() => {
                format!("{}; degraded: {degraded}", self.status)
            }
            _ => self.status.to_owned(),
        }
    }
}

impl From<&Metrics> for Components {
    fn from(metrics: &Metrics) -> Self {
        let gauges = &metrics.sampled;
        let store = StoreStatus {
            reachable: gauges.store_up.get() != 0,
            writable: gauges.store_writable.get() != 0,
        };
        let revocation_log = RevocationLogStatus { age_seconds: gauges.revocation_age.get() };
        let keys = KeysStatus { left: gauges.keys_left.get() };
        let cache = CacheStatus { reachable: metrics.cache.reachable() };
        let outbox = OutboxStatus {
            unsent: gauges.outbox_unsent.get(),
            waiting: gauges.outbox_waiting.get(),
            oldest_seconds: gauges.outbox_oldest.get(),
        };
        let mail = MailStatus {
            failing: metrics.emails.failing(),
            undecided_domains: gauges.undecided_domains.get(),
            undecided_networks: gauges.undecided_networks.get(),
        };
        let checks = [
            ("store", !store.reachable || !store.writable),
            ("revocation_log", revocation_log.age_seconds > FRESH.as_secs_f64()),
            ("keys", keys.left == 0),
            ("cache", !cache.reachable),
            ("outbox", outbox.oldest_seconds > OUTBOX_DEGRADED_SECONDS),
            ("mail", mail.failing),
        ];
        let degraded =
            checks.into_iter().filter_map(|(name, degraded)| degraded.then_some(name)).collect();
        Self { degraded, store, revocation_log, keys, cache, outbox, mail }
    }
}
