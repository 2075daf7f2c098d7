//! Rows of the audit on their way into the chain.

use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::gauge;
use super::vitals::Seconds;

/// Rows of the audit on their way into the chain.
#[derive(Debug, Default)]
pub struct AuditMetrics {
    unsealed: Gauge,
    oldest: Seconds,
}

impl AuditMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let help = "Rows of the audit that are not in its chain yet";
        let audit = Self {
            unsealed: gauge(registry, "user_server_audit_unsealed", help),
            oldest: Gauge::default(),
        };
        registry.register_with_unit(
            "user_server_audit_unsealed_oldest",
            "How long the oldest of them has waited",
            Unit::Seconds,
            audit.oldest.clone(),
        );
        audit
    }

    /// So many rows wait, the oldest for so long.
    pub fn unsealed(&self, rows: i64, oldest: Duration) {
        self.unsealed.set(rows);
        self.oldest.set(oldest.as_secs_f64());
    }
}
