//! The outbox: an email is queued as a row in the transaction of its change, and a worker sends it.
//! Every email is sent at least once; duplicates have the same `Message-ID`.

mod templates;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::{
    ClaimedMail, Clock, CodeDelivery, CodeGenerator, FailedAttempt, Fault, Mail, MailClass,
    MailKind, MailPolicy, Mailer, Outbox, OutboxClaim, PendingCode, PendingLimit, Purpose,
    Recipient, ResendPolicy, SendError, Timestamp,
};
use crate::metrics::{EmailMetrics, MailResult};

/// Notification of the worker that an email was queued on this node. Emails queued on other nodes
/// are found by polling.
#[derive(Clone, Default)]
pub struct MailWakeup(Arc<Notify>);

impl MailWakeup {
    /// Notifies one sender task of the worker.
    pub fn notify(&self) {
        self.0.notify_one();
    }
}

/// The worker that sends queued emails.
pub struct Worker {
    pub outbox: Arc<dyn Outbox>,
    pub mailer: Arc<dyn Mailer>,
    pub codes: Arc<dyn CodeGenerator>,
    pub clock: Arc<dyn Clock>,
    pub wakeup: MailWakeup,
    pub metrics: Arc<EmailMetrics>,
    /// Number of claims so far, by which the sender tasks alternate between classes of emails.
    pub turns: AtomicUsize,
}

/// Number of wrong guesses after which a code is no longer valid.
pub const GUESSES: u32 = 5;
/// Minimum interval between two emails of one verification.
pub const RESEND_AFTER: Duration = Duration::from_secs(60);
/// Maximum number of resends of one verification.
const MAX_RESENDS: u32 = 10;
/// Maximum number of pending registrations and resets of one network.
const MAX_PENDING: u32 = 200;
/// Age after which an unsent email is dropped. A verification is deleted after this time plus the
/// lifetime of a code.
const MAX_AGE: Duration = DAY;
/// Time for which a network counts as known to an account after a login from it.
pub const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// Maximum interval between two polls of the outbox, which also contains emails that other nodes
/// have queued.
const POLL: Duration = Duration::from_secs(1);
/// Timeout of sending one email.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// Timeout of claiming an email, so that an unresponsive database does not delay the next attempt.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Wait after the first failure to send an email. It doubles with every attempt, up to
/// [`MAX_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(5);
const MAX_RETRY: Duration = Duration::from_secs(15 * 60);

/// Returns the lifetime of a verification, after which it is deleted. `code_life` is the lifetime
/// of a code.
#[must_use]
pub fn verification_life(code_life: Duration) -> Duration {
    MAX_AGE + code_life
}

/// Returns the limit of pending registrations and resets of one network. All requests without a
/// known network share a larger limit.
#[must_use]
pub fn pending_limit(code_life: Duration, network_known: bool) -> PendingLimit {
    let max = if network_known { MAX_PENDING } else { MAX_PENDING * 20 };
    PendingLimit { max, life: verification_life(code_life) }
}

/// Returns the rules for sending a code again. `code_life` is the lifetime of a code.
#[must_use]
pub fn resend_policy(code_life: Duration) -> ResendPolicy {
    ResendPolicy {
        pause: RESEND_AFTER,
        max_resends: MAX_RESENDS,
        life: verification_life(code_life),
        code_life,
        max_guesses: GUESSES,
        known_for: KNOWN_FOR,
    }
}

/// Returns the rules of the outbox. One address can get ten codes a day for each purpose, with five
/// guesses each, so at most 50 guesses a day are possible. `code_life` is the lifetime of a code.
#[must_use]
pub fn policy(code_life: Duration) -> MailPolicy {
    MailPolicy {
        pause: RESEND_AFTER,
        // A code sent at the end of a day can be guessed at until it expires, so the period of a
        // day of guesses is longer by a code's lifetime.
        windows: [(HOUR, 5), (DAY + code_life, 10)],
        // One network must not use up the budget of an address that another one needs.
        client_window: (DAY + code_life, 3),
        notice_pause: HOUR,
        max_age: MAX_AGE,
        code_life,
        max_guesses: GUESSES,
        first: MailClass::Code,
        lease: SEND_TIMEOUT * 2,
        deliver,
    }
}

/// Decides whether a due code is sent, and to which recipient.
fn deliver(pending: PendingCode) -> CodeDelivery {
    let PendingCode { purpose, address, dead, subject, holder } = pending;
    match (purpose, holder) {
        (Purpose::PasswordReset, _) => subject.map_or(CodeDelivery::Drop, CodeDelivery::Send),
        (Purpose::Registration | Purpose::EmailChange, Some(owner)) => CodeDelivery::Notify(owner),
        // The row of an address that belonged to an account when it was written stays dead: the
        // present holder of the address did not request the code.
        (Purpose::Registration | Purpose::EmailChange, None) if dead => CodeDelivery::Drop,
        // The address belongs to no account, so anyone may have entered it, and the email contains
        // no text that anyone chose, not even a username.
        (Purpose::Registration | Purpose::EmailChange, None) => {
            CodeDelivery::Send(Recipient { mailbox: address, username: String::new() })
        }
    }
}

impl Worker {
    /// Sends queued emails in `tasks` concurrent sender tasks until `stop` is cancelled; then
    /// finishes the emails that are being sent. A slow mail server delays only the task that waits
    /// for it.
    pub async fn run(self, tasks: usize, stop: CancellationToken) {
        let (worker, faulty) = (Arc::new(self), Arc::new(AtomicBool::new(false)));
        let mut senders = JoinSet::new();
        for _ in 0..tasks {
            senders.spawn(worker.clone().send_due(faulty.clone(), stop.clone()));
        }
        while let Some(ended) = senders.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a sender task of the outbox has panicked; the others continue");
            }
        }
    }

    /// Runs one sender task until `stop` is cancelled. The tasks share `faulty`, so that a failure
    /// to read the outbox is logged once.
    async fn send_due(self: Arc<Self>, faulty: Arc<AtomicBool>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wait = match self.step(&stop).await {
                Ok(due) => {
                    faulty.store(false, Ordering::Relaxed);
                    due.map_or(POLL, |due| due.since(self.clock.now()).min(POLL))
                }
                Err(fault) => {
                    if !faulty.swap(true, Ordering::Relaxed) {
                        tracing::warn!(%fault, "cannot read the outbox; emails are delayed");
                    }
                    POLL
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wakeup.0.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Sends all emails that are due. Returns the time at which the next email is due, or `None` if
    /// none is queued.
    ///
    /// # Errors
    /// If the outbox cannot be read or written.
    pub async fn step(&self, stop: &CancellationToken) -> Result<Option<Timestamp>, Fault> {
        while !stop.is_cancelled() {
            let turn = self.turns.fetch_add(1, Ordering::Relaxed) % MailClass::ALL.len();
            let first = MailClass::ALL.get(turn).copied().unwrap_or(MailClass::Code);
            let policy = MailPolicy { first, ..policy(self.codes.life()) };
            let claim =
                tokio::time::timeout(CLAIM_TIMEOUT, self.outbox.claim(&policy, self.clock.now()))
                    .await;
            match claim
                .map_err(|_| Fault::Unavailable("timed out reading the outbox".to_owned()))??
            {
                OutboxClaim::Idle(due) => return Ok(due),
                OutboxClaim::Nothing => {}
                OutboxClaim::Mail(claimed) => self.deliver(claimed).await?,
            }
        }
        Ok(None)
    }

    async fn deliver(&self, claimed: ClaimedMail) -> Result<(), Fault> {
        let Some(mail) = self.compose(&claimed) else {
            self.metrics.count(MailResult::KeyUnknown);
            tracing::warn!(mail = %claimed.id, "the code of this email was derived from an unknown key; the email is dropped");
            return self.outbox.settle(claimed.id, false, self.clock.now()).await;
        };
        let began = Instant::now();
        let sent = tokio::time::timeout(SEND_TIMEOUT, self.mailer.send(&mail)).await;
        self.metrics.duration.observe(began.elapsed().as_secs_f64());
        let now = self.clock.now();
        let (id, attempt) = (claimed.id, claimed.attempt);
        let error = match sent
            .unwrap_or_else(|_| Err(SendError::Service("sending timed out".to_owned())))
        {
            Ok(()) => {
                self.metrics.count(MailResult::Sent);
                tracing::info!(mail = %id, attempt, "email sent");
                return self.outbox.settle(id, true, now).await;
            }
            Err(error) => error,
        };
        let (result, domain) = match &error {
            SendError::Recipient(_) => (MailResult::Refused, None),
            SendError::Unexplained(_) if claimed.unexplained => (MailResult::Refused, None),
            _ if now.since(claimed.created_at) >= MAX_AGE => (MailResult::GivenUp, None),
            SendError::Service(_) => (MailResult::Retried, None),
            SendError::Unexplained(_) | SendError::Undecided(_) => {
                (MailResult::Undecided, claimed.recipient.domain())
            }
        };
        self.metrics.count(result);
        match result {
            MailResult::Retried | MailResult::Undecided => {
                let wait = retry_wait(attempt, id.as_u128());
                tracing::warn!(mail = %id, attempt, %error, retry_in_s = wait.as_secs(), "email not sent");
                let unexplained = matches!(error, SendError::Unexplained(_));
                let retry_at = now.plus(wait);
                let failed = FailedAttempt { at: now, retry_at, unexplained, domain };
                self.outbox.retry(id, &failed).await
            }
            MailResult::GivenUp => {
                tracing::warn!(mail = %id, %error, "email dropped after 24 hours of failed attempts");
                self.outbox.settle(id, false, now).await
            }
            _ => {
                tracing::warn!(mail = %id, %error, "email refused permanently");
                self.outbox.settle(id, false, now).await
            }
        }
    }

    /// Renders a claimed email, or returns `None` if this node does not have the server key that
    /// its code is derived from.
    fn compose(&self, claimed: &ClaimedMail) -> Option<Mail> {
        let code = match &claimed.kind {
            MailKind::Notice(_) => None,
            MailKind::Code { purpose, verification_id, generation, kid } => {
                Some(self.codes.code(*verification_id, *purpose, *generation, kid)?)
            }
        };
        Some(templates::render(claimed, code, self.codes.life()))
    }
}

/// Returns the wait before the next attempt to send an email, by exponential backoff with jitter.
/// The jitter depends on the id of the email, so that many failed emails are not retried at the
/// same time.
fn retry_wait(attempt: u32, id: u128) -> Duration {
    let wait =
        (FIRST_RETRY * 2u32.saturating_pow(attempt.saturating_sub(1).min(16))).min(MAX_RETRY);
    let quarter = u32::try_from((id ^ u128::from(attempt)) % 256).unwrap_or(0);
    wait * 3 / 4 + wait / 4 * quarter / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(name: &str) -> Recipient {
        Recipient { mailbox: format!("{name}@engine.example"), username: name.to_owned() }
    }

    #[test]
    fn a_code_is_sent_only_to_the_address_that_requested_it() {
        let pending = |purpose, dead, subject: Option<&str>, holder: Option<&str>| PendingCode {
            purpose,
            address: recipient("typed").mailbox,
            dead,
            subject: subject.map(recipient),
            holder: holder.map(recipient),
        };
        for purpose in [Purpose::Registration, Purpose::EmailChange] {
            let to_owner = deliver(pending(purpose, false, None, Some("owner")));
            assert_eq!(to_owner, CodeDelivery::Notify(recipient("owner")));
            assert_eq!(deliver(pending(purpose, true, None, None)), CodeDelivery::Drop);
            let sent = deliver(pending(purpose, false, Some("ada"), None));
            let to = Recipient { username: String::new(), ..recipient("typed") };
            assert_eq!(sent, CodeDelivery::Send(to), "no text that anyone chose");
        }
        let reset = |subject| deliver(pending(Purpose::PasswordReset, false, subject, Some("x")));
        assert_eq!(reset(Some("ada")), CodeDelivery::Send(recipient("ada")));
        assert_eq!(reset(None), CodeDelivery::Drop);
    }

    #[test]
    fn retries_back_off_exponentially() {
        assert!(retry_wait(1, 0) >= FIRST_RETRY * 3 / 4 && retry_wait(1, 255) <= FIRST_RETRY);
        assert!(retry_wait(100, 7) <= MAX_RETRY);
        assert!(retry_wait(100, 7) >= MAX_RETRY * 3 / 4);
    }
}
