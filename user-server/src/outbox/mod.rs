//! The outbox: mails are rows of the transaction that they belong to, and a worker sends them. A
//! mail is sent at least once, and repeated mails can be known by their `Message-ID`.

mod templates;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::{
    ClaimedMail, Clock, CodeDelivery, CodeGenerator, Fault, Mail, MailKind, MailPolicy, Mailer,
    Outbox, OutboxClaim, PendingCode, Purpose, Recipient, SendError, Timestamp,
};
use crate::metrics::{EmailMetrics, MailResult};

/// Wakes the worker when a mail was queued here. Mails queued elsewhere are found by polling.
#[derive(Clone, Default)]
pub struct MailWakeup(Arc<Notify>);

impl MailWakeup {
    /// There is a mail.
    pub fn notify(&self) {
        self.0.notify_one();
    }
}

/// What sends the mails.
pub struct Worker {
    /// Where they are.
    pub outbox: Arc<dyn Outbox>,
    /// How they go.
    pub mailer: Arc<dyn Mailer>,
    /// Who makes the codes in them.
    pub codes: Arc<dyn CodeGenerator>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What wakes it.
    pub wakeup: MailWakeup,
    /// What is counted.
    pub metrics: Arc<EmailMetrics>,
}

/// Wrong guesses that end a code.
pub const GUESSES: u32 = 5;
/// Between two mails of one verification.
pub const RESEND_AFTER: Duration = Duration::from_secs(60);
/// How long the worker sleeps at most, since other nodes queue mails too.
const POLL: Duration = Duration::from_secs(1);
/// How long one mail may take to send.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one look into the outbox may take: a silent database must not hold up the next.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(10);
/// The age at which an email that could not be sent is dropped.
const MAX_AGE: Duration = DAY;
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The wait after the first failure; it doubles to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(15 * 60);

/// Returns the rules of the outbox. The budget of one address and purpose is ten emails a day with
/// five guesses each, so 50 guesses a day.
#[must_use]
pub fn policy(code_life: Duration) -> MailPolicy {
    MailPolicy {
        pause: RESEND_AFTER,
        // A code sent at the end of a day can be guessed at until it expires, so the period of a
        // day of guesses is longer by a code's lifetime.
        windows: [(HOUR, 5), (DAY + code_life, 10)],
        notice_pause: HOUR,
        max_age: MAX_AGE,
        code_life,
        max_guesses: GUESSES,
        lease: SEND_TIMEOUT * 2,
        deliver,
    }
}

/// Decides who gets a due code.
fn deliver(pending: PendingCode) -> CodeDelivery {
    let PendingCode { purpose, requested, dead, subject, holder } = pending;
    match (purpose, holder) {
        (Purpose::PasswordReset, _) => subject.map_or(CodeDelivery::Drop, CodeDelivery::Send),
        (Purpose::Registration | Purpose::EmailChange, Some(owner)) => CodeDelivery::Notify(owner),
        // An address that belonged to an account when the row was written stays dead: whoever has
        // it now did not request the code.
        (Purpose::Registration | Purpose::EmailChange, None) if dead => CodeDelivery::Drop,
        (Purpose::Registration | Purpose::EmailChange, None) => {
            let username = match subject {
                Some(account) if requested.username.is_empty() => account.username,
                _ => requested.username,
            };
            CodeDelivery::Send(Recipient { username, ..requested })
        }
    }
}

impl Worker {
    /// Sends up to `count` emails at once, each in a task of its own, until `stop` is cancelled. An
    /// email that is being sent is finished first. A task that meets a slow server delays no other.
    pub async fn run(self, at_once: usize, stop: CancellationToken) {
        let (worker, faulty) = (Arc::new(self), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for _ in 0..at_once {
            tasks.spawn(worker.clone().send_until(faulty.clone(), stop.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the outbox has panicked; the others go on");
            }
        }
    }

    /// `faulty` is shared by all tasks, so that the log says once that the outbox cannot be read.
    async fn send_until(self: Arc<Self>, faulty: Arc<AtomicBool>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wait = match self.step(&stop).await {
                Ok(due) => {
                    faulty.store(false, Ordering::Relaxed);
                    due.map_or(POLL, |due| due.since(self.clock.now()).min(POLL))
                }
                Err(fault) => {
                    if !faulty.swap(true, Ordering::Relaxed) {
                        tracing::warn!(%fault, "the outbox cannot be read; mails wait");
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

    /// Sends all that is due; when the next one will be.
    ///
    /// # Errors
    /// Where the outbox cannot be read or written.
    pub async fn step(&self, stop: &CancellationToken) -> Result<Option<Timestamp>, Fault> {
        let policy = policy(self.codes.life());
        while !stop.is_cancelled() {
            let claim =
                tokio::time::timeout(CLAIM_TIMEOUT, self.outbox.claim(&policy, self.clock.now()))
                    .await;
            match claim
                .map_err(|_| Fault::Unavailable("the outbox does not answer".to_owned()))??
            {
                OutboxClaim::Idle(due) => return Ok(due),
                OutboxClaim::Nothing => {}
                OutboxClaim::Mail(claimed) => self.deliver(claimed).await?,
            }
        }
        Ok(None)
    }

    async fn deliver(&self, claimed: ClaimedMail) -> Result<(), Fault> {
        let Some(mail) = self.write(&claimed) else {
            self.metrics.count(MailResult::KeyUnknown);
            tracing::warn!(mail = %claimed.id, "the key of this mail's code is not known here; the mail is dropped");
            return self.outbox.settle(claimed.id, self.clock.now()).await;
        };
        let began = Instant::now();
        let sent = tokio::time::timeout(SEND_TIMEOUT, self.mailer.send(&mail)).await;
        self.metrics.duration.observe(began.elapsed().as_secs_f64());
        let now = self.clock.now();
        match sent.unwrap_or_else(|_| Err(SendError::Temporary("it took too long".to_owned()))) {
            Ok(()) => {
                self.metrics.count(MailResult::Sent);
                tracing::info!(mail = %claimed.id, attempt = claimed.attempt, "mail sent");
                self.outbox.settle(claimed.id, now).await
            }
            Err(SendError::Permanent(why)) => {
                self.metrics.count(MailResult::Refused);
                tracing::warn!(mail = %claimed.id, why, "mail refused for good");
                self.outbox.settle(claimed.id, now).await
            }
            Err(SendError::Temporary(why)) if now.since(claimed.created_at) >= MAX_AGE => {
                self.metrics.count(MailResult::GivenUp);
                tracing::warn!(mail = %claimed.id, why, "mail given up after 24 hours");
                self.outbox.settle(claimed.id, now).await
            }
            Err(SendError::Temporary(why)) => {
                self.metrics.count(MailResult::Retried);
                let wait = retry_wait(claimed.attempt, claimed.id.as_u128());
                tracing::warn!(mail = %claimed.id, attempt = claimed.attempt, why, retry_in = ?wait, "mail not sent");
                self.outbox.retry_at(claimed.id, now.plus(wait)).await
            }
        }
    }

    fn write(&self, claimed: &ClaimedMail) -> Option<Mail> {
        let code = match &claimed.kind {
            MailKind::Notice(_) => None,
            MailKind::Code { purpose, verification_id, generation, kid } => {
                Some(self.codes.code(*verification_id, *purpose, *generation, kid)?)
            }
        };
        Some(templates::render(claimed, code, self.codes.life()))
    }
}

/// Doubles from attempt to attempt; a quarter of it depends on the mail, so that a crowd does not
/// come back at once.
fn retry_wait(attempt: u32, id: u128) -> Duration {
    let wait =
        (FIRST_RETRY * 2u32.saturating_pow(attempt.saturating_sub(1).min(16))).min(LONGEST_RETRY);
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
    fn a_code_goes_only_to_the_address_that_asked_for_it() {
        let pending = |purpose, dead, subject: Option<&str>, holder: Option<&str>| PendingCode {
            purpose,
            requested: Recipient { username: String::new(), ..recipient("typed") },
            dead,
            subject: subject.map(recipient),
            holder: holder.map(recipient),
        };
        for purpose in [Purpose::Registration, Purpose::EmailChange] {
            let to_owner = deliver(pending(purpose, false, None, Some("owner")));
            assert_eq!(to_owner, CodeDelivery::Notify(recipient("owner")));
            assert_eq!(deliver(pending(purpose, true, None, None)), CodeDelivery::Drop);
            let sent = deliver(pending(purpose, false, Some("ada"), None));
            let to = Recipient { username: "ada".to_owned(), ..recipient("typed") };
            assert_eq!(sent, CodeDelivery::Send(to));
        }
        let reset = |subject| deliver(pending(Purpose::PasswordReset, false, subject, Some("x")));
        assert_eq!(reset(Some("ada")), CodeDelivery::Send(recipient("ada")));
        assert_eq!(reset(None), CodeDelivery::Drop);
    }

    #[test]
    fn retries_back_off() {
        assert!(retry_wait(1, 0) >= FIRST_RETRY * 3 / 4 && retry_wait(1, 255) <= FIRST_RETRY);
        assert!(retry_wait(100, 7) <= LONGEST_RETRY);
        assert!(retry_wait(100, 7) >= LONGEST_RETRY * 3 / 4);
    }
}
