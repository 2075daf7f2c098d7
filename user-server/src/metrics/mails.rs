//! EmailMetrics on their way out.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{Label, counters, gauge};

/// A file takes a millisecond, a mail server seconds, and after half a minute it is given up.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// What became of an attempt to send a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailResult {
    /// It went.
    Sent,
    /// It did not go, and will be tried again.
    Retried,
    /// It was refused for good.
    Refused,
    /// It was tried for a day and is given up.
    GivenUp,
    /// Its code's key is not known here.
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

/// EmailMetrics on their way out.
#[derive(Debug)]
pub struct EmailMetrics {
    attempts: Family<Label, Counter>,
    /// How long an attempt took, in seconds.
    pub took: Histogram,
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
        let took = Histogram::new(BUCKETS);
        registry.register(
            "user_server_mails",
            "Attempts to send a mail, by result",
            attempts.clone(),
        );
        registry.register_with_unit(
            "user_server_mail_send_duration",
            "How long attempts to send a mail took",
            Unit::Seconds,
            took.clone(),
        );
        let failing = gauge(
            registry,
            "user_server_mail_failing",
            "1 while the last attempt to send a mail did not go",
        );
        Self { attempts, took, failing }
    }

    /// An attempt ended so.
    pub fn count(&self, result: MailResult) {
        self.attempts.get_or_create(&[("result", result.name())]).inc();
        // A mail that was refused for good shows a server that answers.
        self.failing.set(i64::from(matches!(result, MailResult::Retried | MailResult::GivenUp)));
    }

    /// Whether the last attempt did not go.
    #[must_use]
    pub fn failing(&self) -> bool {
        self.failing.get() != 0
    }
}

/// Counters that nobody reads.
impl Default for EmailMetrics {
    fn default() -> Self {
        Self::build(None)
    }
}
