//! Gauges of states rather than events: ages, queue lengths, memory. They are sampled at scrape
//! time or periodically.

use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::series::{Label, Seconds, gauge};
use crate::domain::{PoolUse, Timestamp};

/// Gauges that are sampled at scrape time or periodically.
#[derive(Debug)]
pub struct SampledGauges {
    /// 1 while the database answers, otherwise 0.
    pub store_up: Gauge,
    /// 1 while the database accepts changes, otherwise 0.
    pub store_writable: Gauge,
    /// Number of lines that the log has dropped.
    log_lines_dropped: Counter,
    /// Number of emails that are due or being retried.
    pub outbox_unsent: Gauge,
    /// Number of emails that wait until the rate limit of their address allows another one.
    pub outbox_waiting: Gauge,
    /// Time in seconds that the oldest due email has waited.
    pub outbox_oldest: Seconds,
    /// Number of recipients' domains that refused emails since the last delivery.
    pub undecided_domains: Gauge,
    /// Number of networks that requested the emails refused by the domains in `undecided_domains`.
    pub undecided_networks: Gauge,
    /// Time in seconds since the revocation log was last read.
    pub revocation_age: Seconds,
    /// Number of entries of the revocation log in memory.
    pub revocation_entries: Gauge,
    /// Number of clients that wait for further revocations.
    pub revocation_watchers: Gauge,
    /// Number of revocations that were sent to clients.
    revocations_sent: Counter,
    /// Number of this node's keys that are not retired.
    pub keys_left: Gauge,
    pool_open: Family<Label, Gauge>,
    pool_idle: Family<Label, Gauge>,
    pool_max: Family<Label, Gauge>,
    resident: Gauge,
}

impl SampledGauges {
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
            "Start time of the process, in seconds since 1970",
            Unit::Seconds,
            started,
        );
        let resident = Gauge::default();
        registry.register_with_unit(
            "process_resident_memory",
            "Resident memory of the process",
            Unit::Bytes,
            resident.clone(),
        );
        let log_lines_dropped = Counter::default();
        registry.register(
            "user_server_log_lines_dropped",
            "Lines of the log that were dropped because stderr was not read fast enough",
            log_lines_dropped.clone(),
        );
        let revocations_sent = Counter::default();
        registry.register(
            "user_server_revocations_sent",
            "Revocations that were sent to the clients that verify tokens themselves",
            revocations_sent.clone(),
        );
        let gauges = Self {
            store_up: gauge(
                registry,
                "user_server_store_up",
                "1 while the database answers, otherwise 0",
            ),
            store_writable: gauge(
                registry,
                "user_server_store_writable",
                "1 while the database accepts changes, 0 if it is read-only or full",
            ),
            log_lines_dropped,
            outbox_unsent: gauge(
                registry,
                "user_server_outbox_unsent",
                "Emails that are due or being retried",
            ),
            outbox_waiting: gauge(
                registry,
                "user_server_outbox_waiting",
                "Emails that wait until the budget of their address allows another one",
            ),
            outbox_oldest: Gauge::default(),
            undecided_domains: gauge(
                registry,
                "user_server_mail_undecided_domains",
                "Recipients' domains with emails that were refused since the last delivery, for reasons that may concern one recipient or all",
            ),
            undecided_networks: gauge(
                registry,
                "user_server_mail_undecided_networks",
                "Networks that requested these emails",
            ),
            revocation_age: Gauge::default(),
            revocation_entries: gauge(
                registry,
                "user_server_revocation_entries",
                "Sessions, users and keys that this node knows to have ended",
            ),
            revocation_watchers: gauge(
                registry,
                "user_server_revocation_watchers",
                "Clients that verify tokens themselves and wait for further revocations",
            ),
            revocations_sent,
            keys_left: gauge(
                registry,
                "user_server_keys_left",
                "Keys of this node that are not retired; at 0, nobody can register or log in",
            ),
            pool_open: pools(
                registry,
                "user_server_store_connections",
                "Open connections to the database, by pool",
            ),
            pool_idle: pools(
                registry,
                "user_server_store_connections_idle",
                "Unused connections to the database, by pool",
            ),
            pool_max: pools(
                registry,
                "user_server_store_connections_max",
                "Maximum number of connections to the database, by pool",
            ),
            resident,
        };
        registry.register_with_unit(
            "user_server_outbox_oldest",
            "Time that the oldest due email has waited",
            Unit::Seconds,
            gauges.outbox_oldest.clone(),
        );
        registry.register_with_unit(
            "user_server_revocation_age",
            "Age of this node's knowledge of ended sessions",
            Unit::Seconds,
            gauges.revocation_age.clone(),
        );
        gauges
    }

    /// Sets the gauges of the store's connection pools.
    pub fn set_pools(&self, pools: &[PoolUse]) {
        for pool in pools {
            let label = [("pool", pool.name)];
            self.pool_open.get_or_create(&label).set(pool.open.into());
            self.pool_idle.get_or_create(&label).set(pool.idle.into());
            self.pool_max.get_or_create(&label).set(pool.max.into());
        }
    }

    /// Sets the number of lines that the log has dropped since the process started.
    pub fn set_log_lines_dropped(&self, lines: u64) {
        self.log_lines_dropped.inner().store(lines, Ordering::Relaxed);
    }

    /// Sets the number of revocations that were sent since the process started.
    pub fn set_revocations_sent(&self, entries: u64) {
        self.revocations_sent.inner().store(entries, Ordering::Relaxed);
    }

    /// Updates the gauge of resident memory, which stays at zero if the system does not provide it.
    pub fn sample_memory(&self) {
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
