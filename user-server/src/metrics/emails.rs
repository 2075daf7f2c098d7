//! Metrics of outgoing emails.

use std::sync::atomic::{AtomicBool, Ordering};

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
    /// The attempt failed for a reason that concerns every email, and will be repeated.
    Retried,
    /// The attempt failed for a reason that may concern only the recipient, and will be repeated.
    Undecided,
    /// The email was dropped: the recipient's mail server does not accept it.
    Refused,
    /// The attempt failed, and the email was dropped after a day of attempts.
    GivenUp,
    /// The email contains a code of a key that this node does not have.
    KeyUnknown,
}

impl MailResult {
    const ALL: [Self; 6] = [
        Self::Sent,
        Self::Retried,
        Self::Undecided,
        Self::Refused,
        Self::GivenUp,
        Self::KeyUnknown,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Retried => "retried",
            Self::Undecided => "undecided",
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
    /// Duration in seconds of attempts to send an email.
    pub duration: Histogram,
    /// Set while the last attempt failed for a reason that concerns every email.
    unusable: AtomicBool,
    /// Set while refusals that may concern only their recipients are assumed to concern every
    /// email.
    refusing: AtomicBool,
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
            "1 while emails cannot be sent: the last attempt failed, or the mail server refuses every recipient",
        );
        let (unusable, refusing) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { attempts, duration, unusable, refusing, failing }
    }

    /// Counts an attempt to send an email.
    pub fn count(&self, result: MailResult) {
        self.attempts.get_or_create(&[("result", result.name())]).inc();
        match result {
            MailResult::Sent => self.unusable.store(false, Ordering::Relaxed),
            MailResult::Retried => self.unusable.store(true, Ordering::Relaxed),
            // None of these says whether other emails would be accepted.
            MailResult::Undecided
            | MailResult::Refused
            | MailResult::GivenUp
            | MailResult::KeyUnknown => {}
        }
        self.update();
    }

    /// Sets whether refusals that may concern only their recipients are assumed to concern every
    /// email.
    pub fn set_refusing(&self, refusing: bool) {
        self.refusing.store(refusing, Ordering::Relaxed);
        self.update();
    }

    fn update(&self) {
        self.failing.set(self.failing().into());
    }

    /// Returns true while emails are not expected to be delivered.
    #[must_use]
    pub fn failing(&self) -> bool {
        self.unusable.load(Ordering::Relaxed) || self.refusing.load(Ordering::Relaxed)
    }
}

/// Metrics that are not exposed, for tests and probes.
impl Default for EmailMetrics {
    fn default() -> Self {
        Self::build(None)
    }
}
