//! Metrics of outgoing emails.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::series::{Label, counters, gauge};

/// Buckets in seconds: a file takes a millisecond, a mail server seconds, and an attempt is
/// abandoned after half a minute.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Result of an attempt to send an email.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailResult {
    Sent,
    /// The attempt failed and will be repeated.
    Retried,
    /// The mail server refused the email permanently.
    Refused,
    /// The attempt failed, and the email was dropped after a day of attempts.
    GivenUp,
    /// The email contains a code of a key that this node does not have.
    KeyUnknown,
}

impl MailResult {
    const ALL: [Self; 5] =
        [Self::Sent, Self::Retried, Self::Refused, Self::GivenUp, Self::KeyUnknown];

    fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Retried => "retried",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
            Self::KeyUnknown => "key_unknown",
        }
    }
}

/// Metrics of outgoing emails.
#[derive(Debug)]
pub struct EmailMetrics {
    attempts: Family<Label, Counter>,
    /// Duration of attempts, in seconds.
    pub duration: Histogram,
    failing: Gauge,
}

impl EmailMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        Self::build(Some(registry))
    }

    fn build(registry: Option<&mut Registry>) -> Self {
        let mut scratch = Registry::default();
        let registry = registry.unwrap_or(&mut scratch);
        let attempts = counters("result", MailResult::ALL.map(MailResult::name));
        let duration = Histogram::new(BUCKETS);
        registry.register(
            "user_server_mails",
            "Attempts to send an email, by result",
            attempts.clone(),
        );
        registry.register_with_unit(
            "user_server_mail_send_duration",
            "Duration of attempts to send an email",
            Unit::Seconds,
            duration.clone(),
        );
        let failing = gauge(
            registry,
            "user_server_mail_failing",
            "1 while the last attempt to send an email failed",
        );
        Self { attempts, duration, failing }
    }

    /// Counts an attempt.
    pub fn count(&self, result: MailResult) {
        self.attempts.get_or_create(&[("result", result.name())]).inc();
        // A permanent refusal concerns one email; the mail server works.
        self.failing.set(i64::from(matches!(result, MailResult::Retried | MailResult::GivenUp)));
    }

    /// Returns true if the last attempt failed.
    #[must_use]
    pub fn failing(&self) -> bool {
        self.failing.get() != 0
    }
}

/// Metrics that are not exposed, for tests and probes.
impl Default for EmailMetrics {
    fn default() -> Self {
        Self::build(None)
    }
}
