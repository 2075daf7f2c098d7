//! TLS: handshakes that failed, and the certificate's life.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Label, counters};
use crate::domain::Timestamp;

/// Why a handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// The client shows no certificate, and has to.
    NoCertificate,
    /// The client's certificate has expired, or is of no authority that counts.
    BadCertificate,
    /// The client names other protocols than ours.
    OtherProtocol,
    /// The client knows no TLS 1.3.
    OldTls,
    /// The client does not trust our certificate.
    RefusedByClient,
    /// What the client sends is no handshake.
    Broken,
    /// The client has gone.
    Lost,
    /// The client speaks without TLS.
    Plaintext,
    /// It took too long.
    Timeout,
    /// It was the oldest of too many.
    PushedOut,
}

impl HandshakeFailure {
    const ALL: [Self; 10] = [
        Self::NoCertificate,
        Self::BadCertificate,
        Self::OtherProtocol,
        Self::OldTls,
        Self::RefusedByClient,
        Self::Broken,
        Self::Lost,
        Self::Plaintext,
        Self::Timeout,
        Self::PushedOut,
    ];

    /// Its name, as a label and in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::OtherProtocol => "other_protocol",
            Self::OldTls => "old_tls",
            Self::RefusedByClient => "refused_by_client",
            Self::Broken => "broken",
            Self::Lost => "lost",
            Self::Plaintext => "plaintext",
            Self::Timeout => "timeout",
            Self::PushedOut => "pushed_out",
        }
    }
}

/// TLS.
#[derive(Debug, Clone)]
pub struct TlsMetrics {
    failures: Family<Label, Counter>,
    expiry: Family<Label, Gauge>,
    /// New certificates that could not be used.
    pub reload_failures: Counter,
}

impl TlsMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let (expiry, reload_failures) = (Family::default(), Counter::default());
        let failures = counters("reason", HandshakeFailure::ALL.map(HandshakeFailure::name));
        registry.register(
            "user_server_tls_handshakes_failed",
            "TLS handshakes that led to no connection, by reason",
            failures.clone(),
        );
        registry.register(
            "user_server_tls_reload_failures",
            "New certificates that could not be used; those from before stay",
            reload_failures.clone(),
        );
        registry.register(
            "user_server_tls_certificate_expiry_timestamp_seconds",
            "When the certificate that new connections get expires; without TLS there is no such series",
            expiry.clone(),
        );
        Self { failures, expiry, reload_failures }
    }

    /// A handshake failed.
    pub fn failed(&self, kind: HandshakeFailure) {
        self.failures.get_or_create(&[("reason", kind.name())]).inc();
    }

    /// Another certificate is shown, which expires then.
    pub fn expires(&self, at: Timestamp) {
        self.expiry
            .get_or_create(&[("certificate", "server")])
            .set(i64::try_from(at.seconds()).unwrap_or(i64::MAX));
    }
}
