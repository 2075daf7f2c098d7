//! Emails: the queue in the database, their content, and the ports of queue and transport.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Purpose, Timestamp};

/// An email that a worker holds a lease on.
#[derive(Debug, Clone)]
pub struct ClaimedMail {
    /// The id in the outbox. Its `Message-ID` is derived from it, so duplicates are recognisable.
    pub id: Uuid,
    /// The time of the change that it belongs to.
    pub created_at: Timestamp,
    /// The number of claims, this one included.
    pub attempt: u32,
    /// Set if the previous attempt was refused without a reason.
    pub unexplained: bool,
    pub recipient: Recipient,
    pub kind: MailKind,
}

/// Recipient of an email.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    pub mailbox: String,
    /// The username for the greeting, or empty.
    pub username: String,
}

impl Recipient {
    /// Returns the domain of the mailbox.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.mailbox.rsplit_once('@').map(|(_, domain)| domain)
    }
}

/// Content of an email.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailKind {
    /// A code that verifies `verification_id`.
    Code {
        purpose: Purpose,
        verification_id: Uuid,
        /// The number of the code among those of its verification.
        generation: u32,
        /// The name of the key that the code is derived from.
        kid: String,
    },
    Notice(Notice),
}

/// An event that the owner of an address is notified of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// A registration with the address of an account.
    AlreadyRegistered,
    /// A change of the account's address; sent to the old one.
    EmailChanged,
    PasswordChanged,
    PasswordReset,
    Deleted,
}

impl Notice {
    pub const ALL: [Self; 5] = [
        Self::AlreadyRegistered,
        Self::EmailChanged,
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::Deleted,
    ];

    /// Returns the name in storage, which must never change.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AlreadyRegistered => "already_registered",
            Self::EmailChanged => "email_changed",
            Self::PasswordChanged => "password_changed",
            Self::PasswordReset => "password_reset_done",
            Self::Deleted => "deleted",
        }
    }

    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notice| notice.name() == name)
    }
}

/// Result of [`Outbox::claim`].
#[derive(Debug, Clone)]
pub enum OutboxClaim {
    /// An email to send before the lease ends.
    Mail(ClaimedMail),
    /// A row was completed without an email.
    Nothing,
    /// No row is due before this time, or ever if there is none.
    Idle(Option<Timestamp>),
}

/// An email, ready to send.
pub struct Mail {
    /// The id in the outbox.
    pub id: Uuid,
    /// The time of the change that it belongs to.
    pub created_at: Timestamp,
    /// The recipient's mailbox.
    pub to: String,
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
    /// The code in it, for a mailer that prints it on a terminal.
    pub code: Option<String>,
}

/// Failure to send an email, by the party that is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The recipient's: no later attempt can succeed.
    #[error("refused: {0}")]
    Recipient(String),
    /// Probably the recipient's, but the reply states no reason. Another attempt decides.
    #[error("refused without a reason: {0}")]
    Unexplained(String),
    /// That of this service or its mail server, so that it concerns every email.
    #[error("the mail server cannot be used: {0}")]
    Service(String),
    /// Undecided: it may concern one recipient or every email.
    #[error("refused for now: {0}")]
    Undecided(String),
}

impl SendError {
    /// Returns what failed and why.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Recipient(reason)
            | Self::Unexplained(reason)
            | Self::Service(reason)
            | Self::Undecided(reason) => reason,
        }
    }
}

/// Failed attempt to send an email that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedAttempt<'a> {
    pub at: Timestamp,
    /// The time of the next attempt.
    pub retry_at: Timestamp,
    /// Set if the email was refused without a reason.
    pub unexplained: bool,
    /// The domain of the recipient, where the failure may concern only this recipient.
    pub domain: Option<&'a str>,
}

/// A code email that is due, and the accounts that it concerns at that moment.
#[derive(Debug)]
pub struct PendingCode {
    pub purpose: Purpose,
    /// The mailbox of the address that was entered.
    pub address: String,
    /// Set if no code is correct, because of the account that had the address at the request.
    pub dead: bool,
    /// The account that the code was requested for, if any.
    pub subject: Option<Recipient>,
    /// The account that has the requested address now.
    pub holder: Option<Recipient>,
}

/// Decision about a [`PendingCode`].
#[derive(Debug, PartialEq, Eq)]
pub enum CodeDelivery {
    /// The code is sent to this recipient.
    Send(Recipient),
    /// No code is correct from now on, and the account that has the address is notified.
    Notify(Recipient),
    /// No email is sent.
    Drop,
}

/// Class of emails, among which the worker alternates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailClass {
    Code,
    Notice,
    /// An email of either kind that was attempted before.
    Retry,
}

impl MailClass {
    pub const ALL: [Self; 3] = [Self::Code, Self::Notice, Self::Retry];
}

/// A notice to queue.
#[derive(Debug, Clone, Copy)]
pub struct NoticeRequest<'a> {
    pub notice: Notice,
    /// The pseudonym of the requesting network, by which the email queue is kept fair.
    pub client: &'a str,
}

/// The rules of the outbox: budgets of an address, and who gets a due code.
#[derive(Debug, Clone, Copy)]
pub struct MailPolicy {
    /// The time between two code emails to one address, for one purpose.
    pub pause: Duration,
    /// The largest number of code emails to one address, for one purpose, within each period.
    pub windows: [(Duration, u32); 2],
    /// The largest number of these that one network may request within a period.
    pub client_window: (Duration, u32),
    /// The time between two notices of one kind to one address.
    pub notice_pause: Duration,
    /// The age at which an email that was never sent is dropped.
    pub max_age: Duration,
    /// The lifetime of a code, from the claim of its email.
    pub code_life: Duration,
    /// The number of wrong guesses that end a code.
    pub max_guesses: u32,
    /// The class of emails that is claimed first, so that the worker can alternate.
    pub first: MailClass,
    /// The time for which a worker may hold an email.
    pub lease: Duration,
    /// Decides about a due code, within the transaction that claims it.
    pub deliver: fn(PendingCode) -> CodeDelivery,
}

port! {
    ($)
    /// Queued emails, for the worker that sends them.
    Outbox, outbox_port {
        /// Claims the next email that is due. The first claim of a code starts its lifetime.
        fn claim(policy: &MailPolicy, now: Timestamp) -> OutboxClaim;
        /// Marks an email as completed: delivered, or given up.
        fn settle(id: Uuid, delivered: bool, now: Timestamp) -> ();
        /// Releases an email for another attempt.
        fn retry(id: Uuid, failed: &FailedAttempt<'_>) -> ();
    }
}

/// A transport of emails.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends one email. `Ok` means that the next mail server has accepted responsibility for it.
    async fn send(&self, mail: &Mail) -> Result<(), SendError>;
}

port! {
    ($)
    /// The depth of the email queue, for health checks and metrics.
    OutboxDepth, outbox_depth_port {
        /// Counts the queued emails. Cheap enough to be called every few seconds.
        fn backlog(now: Timestamp) -> Backlog;
    }
}

/// Depth of the email queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Emails that may be sent now or are being retried.
    pub unsent: i64,
    /// Emails that wait for the budget of their address.
    pub waiting: i64,
    /// The time since which the oldest of the unsent emails could have been sent. Emails that were
    /// refused for reasons which may concern only their recipients do not count.
    pub oldest: Option<Timestamp>,
    /// Such refusals since the last delivery.
    pub undecided: UndecidedRefusals,
}

/// Refusals since the last delivery that may concern only their recipients, or every email.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UndecidedRefusals {
    /// Distinct domains of the recipients.
    pub domains: i64,
    /// Distinct networks that requested the emails. A request without a known network counts as
    /// one of its own.
    pub networks: i64,
}

impl UndecidedRefusals {
    /// The number of domains, and of networks, from which refusals are held to concern every
    /// email. One person cannot easily cause them alone.
    const CONCERN_ALL: i64 = 3;

    /// Reports whether the refusals are held to concern every email.
    #[must_use]
    pub fn concern_all(&self) -> bool {
        self.domains >= Self::CONCERN_ALL && self.networks >= Self::CONCERN_ALL
    }
}
