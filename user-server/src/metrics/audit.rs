//! Metrics of the audit log: rows that are not sealed yet.

use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::series::{Seconds, gauge};

/// Metrics of the audit log.
#[derive(Debug, Default)]
pub struct AuditMetrics {
    unsealed: Gauge,
    oldest: Seconds,
}

impl AuditMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let help = "Rows of the audit log that are not sealed into its chain yet";
        let audit = Self {
            unsealed: gauge(registry, "user_server_audit_unsealed", help),
            oldest: Gauge::default(),
        };
        registry.register_with_unit(
            "user_server_audit_unsealed_oldest",
            "Time that the oldest row of the audit log has waited to be sealed",
            Unit::Seconds,
            audit.oldest.clone(),
        );
        audit
    }

    /// Sets the number of rows of the audit log that are not sealed, and the time that the oldest
    /// of them has waited.
    pub fn unsealed(&self, rows: i64, oldest: Duration) {
        self.unsealed.set(rows);
        self.oldest.set(oldest.as_secs_f64());
    }
}
