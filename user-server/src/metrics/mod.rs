//! Metrics. Each module gets the part that it counts in; only `http` reads them. Labels come from
//! tables that are fixed at startup, so no client can create a series, and none contains a name, an
//! address or a secret.

mod audit;
mod cache;
mod connections;
mod emails;
mod hashing;
mod requests;
mod sampled;
mod series;
mod text_format;
mod tls;

use std::sync::Arc;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::domain::Timestamp;
use series::Label;

pub use audit::AuditMetrics;
pub use cache::{Breaker, CacheFailure, CacheMetrics};
pub use connections::{CloseReason, ConnectionMetrics, OpenConnection, RejectReason};
pub use emails::{EmailMetrics, MailResult};
pub use hashing::{HashMetrics, HashRefusal};
pub use requests::{OutcomeLabel, RequestGuard, RequestLabels, RequestMetrics};
pub use sampled::SampledGauges;
pub use tls::{HandshakeFailure, TlsMetrics};

/// All metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    pub requests: Arc<RequestMetrics>,
    pub connections: Arc<ConnectionMetrics>,
    pub tls: TlsMetrics,
    pub hashing: Arc<HashMetrics>,
    pub emails: Arc<EmailMetrics>,
    pub cache: Arc<CacheMetrics>,
    pub audit: Arc<AuditMetrics>,
    /// Gauges that are sampled instead of being updated by events.
    pub sampled: SampledGauges,
    registry: Registry,
}

impl Metrics {
    /// Registers all metrics at zero, in a process that starts at `now`. `labels` are those of the
    /// request metrics.
    #[must_use]
    pub fn new(labels: RequestLabels, now: Timestamp) -> Self {
        let mut registry = Registry::default();
        let build: Family<Label, Gauge> = Family::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        registry.register(
            "user_server_build_info",
            "The running version, as a label; the value is always 1",
            build,
        );
        let requests = Arc::new(RequestMetrics::new(labels));
        requests.register(&mut registry);
        Self {
            requests,
            connections: ConnectionMetrics::registered(&mut registry),
            tls: TlsMetrics::registered(&mut registry),
            hashing: Arc::new(HashMetrics::registered(&mut registry)),
            emails: Arc::new(EmailMetrics::registered(&mut registry)),
            cache: Arc::new(CacheMetrics::registered(&mut registry)),
            audit: Arc::new(AuditMetrics::registered(&mut registry)),
            sampled: SampledGauges::registered(&mut registry, now),
            registry,
        }
    }

    /// Returns all metrics in the text format of OpenMetrics 1.0.
    #[must_use]
    pub fn openmetrics(&self) -> String {
        let mut text = String::with_capacity(64 * 1024);
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    /// Returns all metrics in Prometheus's text format, version 0.0.4.
    #[must_use]
    pub fn text(&self) -> String {
        text_format::from_openmetrics(&self.openmetrics())
    }
}
