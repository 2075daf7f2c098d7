//! Whether clients should come here. Not while the service starts or goes down; otherwise yes, even
//! where a part fails, since every node would fail alike and token checks go on. What is degraded
//! stands in the body.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;

use crate::domain::{Clock, Fault, Store};
use crate::metrics::Metrics;
use crate::tokens::{FRESH, Revocations, Tokens};

/// Between two looks at the outbox. Nobody who scrapes waits for the database, and many who scrape
/// cost it nothing more.
const PERIOD: Duration = Duration::from_secs(2);
/// How late a look may be before the store counts as gone.
const PATIENCE: Duration = Duration::from_secs(1);
/// The wait from which on mail is late: a first retry is not.
const LATE_SECONDS: f64 = 60.0;

/// The state of the service.
#[derive(Default)]
pub struct Health {
    ready: OnceLock<Probe>,
    draining: AtomicBool,
}

/// Who is asked how things are.
pub struct Probe {
    /// The database.
    pub store: Arc<dyn Store>,
    /// Who makes tokens.
    pub tokens: Arc<Tokens>,
    /// What has ended.
    pub revocations: Arc<Revocations>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What /readyz says.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    status: &'static str,
    #[serde(flatten)]
    parts: Option<Parts>,
    version: &'static str,
}

#[derive(Debug, Serialize)]
struct Parts {
    degraded: Vec<&'static str>,
    store: StorePart,
    revocation_log: LogPart,
    keys: KeysPart,
    cache: CachePart,
    outbox: OutboxPart,
    mail: MailPart,
}

#[derive(Debug, Serialize)]
struct StorePart {
    reachable: bool,
}

#[derive(Debug, Serialize)]
struct LogPart {
    age_seconds: f64,
}

#[derive(Debug, Serialize)]
struct KeysPart {
    left: i64,
}

#[derive(Debug, Serialize)]
struct CachePart {
    reachable: bool,
}

#[derive(Debug, Serialize)]
struct OutboxPart {
    unsent: i64,
    waiting: i64,
    oldest_seconds: f64,
}

#[derive(Debug, Serialize)]
struct MailPart {
    last_attempt_failed: bool,
}

impl Health {
    /// The service is configured and migrated, and knows what has ended.
    pub fn ready(&self, probe: Probe) {
        // It starts once.
        let _ = self.ready.set(probe);
    }

    /// The service goes down soon: nobody new should come.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Looks at the outbox again and again.
    pub async fn follow(self: Arc<Self>, metrics: Arc<Metrics>) {
        let mut tick = tokio::time::interval(PERIOD);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let Some(probe) = self.ready.get() else { continue };
            let now = probe.clock.now();
            let look = tokio::time::timeout(PATIENCE, probe.store.backlog(now)).await;
            let backlog = look.unwrap_or_else(|_| Err(Fault::Unavailable("no answer".to_owned())));
            let vitals = &metrics.vitals;
            vitals.store_up.set(backlog.is_ok().into());
            if let Ok(backlog) = backlog {
                vitals.outbox_unsent.set(backlog.unsent);
                vitals.outbox_waiting.set(backlog.waiting);
                let age = backlog.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
                vitals.outbox_oldest.set(age.as_secs_f64());
            }
        }
    }

    /// Brings up to date what costs nothing to look up.
    pub(super) fn look(&self, metrics: &Metrics) {
        metrics.vitals.look_at_memory();
        let Some(probe) = self.ready.get() else { return };
        metrics
            .vitals
            .revocation_age
            .set(probe.revocations.age(tokio::time::Instant::now()).as_secs_f64());
        metrics
            .vitals
            .revocation_entries
            .set(i64::try_from(probe.revocations.entries()).unwrap_or(i64::MAX));
        metrics.vitals.keys_left.set(i64::try_from(probe.tokens.keys_left()).unwrap_or(i64::MAX));
        metrics.vitals.set_pools(&probe.store.pools());
    }

    /// Whether clients should come, and what is to be said about it.
    pub(super) fn report(&self, metrics: &Metrics) -> (bool, Report) {
        self.look(metrics);
        let started = self.ready.get().is_some();
        let status = match (self.draining.load(Ordering::Relaxed), started) {
            (true, _) => "draining",
            (false, false) => "starting",
            (false, true) => "ready",
        };
        let parts = started.then(|| Parts::of(metrics));
        (status == "ready", Report { status, parts, version: env!("CARGO_PKG_VERSION") })
    }
}

impl Parts {
    fn of(metrics: &Metrics) -> Self {
        let vitals = &metrics.vitals;
        let store = StorePart { reachable: vitals.store_up.get() != 0 };
        let revocation_log = LogPart { age_seconds: vitals.revocation_age.get() };
        let keys = KeysPart { left: vitals.keys_left.get() };
        let cache = CachePart { reachable: metrics.cache.reachable() };
        let outbox = OutboxPart {
            unsent: vitals.outbox_unsent.get(),
            waiting: vitals.outbox_waiting.get(),
            oldest_seconds: vitals.outbox_oldest.get(),
        };
        let mail = MailPart { last_attempt_failed: metrics.mails.failing() };
        let parts = [
            ("store", !store.reachable),
            ("revocation_log", revocation_log.age_seconds > FRESH.as_secs_f64()),
            ("keys", keys.left == 0),
            ("cache", !cache.reachable),
            ("outbox", outbox.oldest_seconds > LATE_SECONDS),
            ("mail", mail.last_attempt_failed),
        ];
        let degraded =
            parts.into_iter().filter_map(|(name, degraded)| degraded.then_some(name)).collect();
        Self { degraded, store, revocation_log, keys, cache, outbox, mail }
    }
}
