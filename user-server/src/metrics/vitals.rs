//! What does not happen but is: the age of knowledge, the depth of queues, memory. Whoever watches
//! looks it up first.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::{Label, gauge};
use crate::domain::{PoolUse, Timestamp};

/// A gauge of seconds.
pub(super) type Seconds = Gauge<f64, AtomicU64>;

/// Gauges that are set by whoever looks.
#[derive(Debug)]
pub struct StoreGauges {
    /// 1 while the store answers.
    pub store_up: Gauge,
    /// EmailMetrics that may go now, or are retried.
    pub outbox_unsent: Gauge,
    /// EmailMetrics whose turn, by their address's budget, is still to come.
    pub outbox_waiting: Gauge,
    /// How long the oldest mail that may go has waited.
    pub outbox_oldest: Seconds,
    /// The age of what is known of ended sessions.
    pub revocation_age: Seconds,
    /// Sessions, users and keys that are known to have ended.
    pub revocation_entries: Gauge,
    /// Keys that are not retired.
    pub keys_left: Gauge,
    pool_open: Family<Label, Gauge>,
    pool_idle: Family<Label, Gauge>,
    pool_max: Family<Label, Gauge>,
    resident: Gauge,
}

impl StoreGauges {
    pub(super) fn registered(registry: &mut Registry, now: Timestamp) -> Self {
        let pools = |registry: &mut Registry, name: &str, help: &str| {
            let family: Family<Label, Gauge> = Family::default();
            registry.register(name, help, family.clone());
            family
        };
        let started: Seconds = Gauge::default();
        started.set(now.since(Timestamp(0)).as_secs_f64());
        registry.register_with_unit(
            "process_start_time",
            "When the process started, in seconds since 1970",
            Unit::Seconds,
            started,
        );
        let resident = Gauge::default();
        registry.register_with_unit(
            "process_resident_memory",
            "Memory that the process holds",
            Unit::Bytes,
            resident.clone(),
        );
        let vitals = Self {
            store_up: gauge(registry, "user_server_store_up", "1 while the database answers"),
            outbox_unsent: gauge(
                registry,
                "user_server_outbox_unsent",
                "EmailMetrics that may go now, or are tried again",
            ),
            outbox_waiting: gauge(
                registry,
                "user_server_outbox_waiting",
                "EmailMetrics that wait until their address may get one",
            ),
            outbox_oldest: Gauge::default(),
            revocation_age: Gauge::default(),
            revocation_entries: gauge(
                registry,
                "user_server_revocation_entries",
                "Sessions, users and keys that are known to have ended",
            ),
            keys_left: gauge(
                registry,
                "user_server_keys_left",
                "Keys of this node that are not retired; without one nobody can register or log in",
            ),
            pool_open: pools(
                registry,
                "user_server_store_connections",
                "Open connections to the database, by pool",
            ),
            pool_idle: pools(
                registry,
                "user_server_store_connections_idle",
                "ConnectionMetrics to the database that nobody uses, by pool",
            ),
            pool_max: pools(
                registry,
                "user_server_store_connections_max",
                "ConnectionMetrics to the database that may be open, by pool",
            ),
            resident,
        };
        registry.register_with_unit(
            "user_server_outbox_oldest",
            "How long the oldest mail that may go has waited",
            Unit::Seconds,
            vitals.outbox_oldest.clone(),
        );
        registry.register_with_unit(
            "user_server_revocation_age",
            "Age of what is known of ended sessions",
            Unit::Seconds,
            vitals.revocation_age.clone(),
        );
        vitals
    }

    /// How much the pools of the store are used.
    pub fn set_pools(&self, pools: &[PoolUse]) {
        for pool in pools {
            let label = [("pool", pool.name)];
            self.pool_open.get_or_create(&label).set(pool.open.into());
            self.pool_idle.get_or_create(&label).set(pool.idle.into());
            self.pool_max.get_or_create(&label).set(pool.max.into());
        }
    }

    /// Looks up the memory that the process holds. Where the system does not say, it stays zero.
    pub fn look_at_memory(&self) {
        let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return };
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line
            .and_then(|line| line.trim().strip_suffix("kB"))
            .and_then(|kib| kib.trim().parse::<i64>().ok());
        if let Some(kib) = kib {
            self.resident.set(kib.saturating_mul(1024));
        }
    }
}
