//! Emails: the queue in the database, their content, and the ports for the queue and for sending.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Purpose, Timestamp};

/// Email that one worker has a lease on, to send it.
#[derive(Debug, Clone)]
pub struct ClaimedMail {
    /// Id in the outbox. The `Message-ID` is derived from it, so duplicates are recognisable.
    pub id: Uuid,
    /// Time at which the email was queued.
    pub created_at: Timestamp,
    /// Number of attempts to send the email, including this one.
    pub attempt: u32,
    /// Set if the mail server refused the previous attempt without a reason.
    pub unexplained: bool,
    pub recipient: Recipient,
    pub kind: MailKind,
}

/// Recipient of an email.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    pub mailbox: String,
    /// Username for the salutation, or empty if the email has none.
    pub username: String,
}

impl Recipient {
    /// Returns the domain of the mailbox, or `None` if the mailbox has no `@`.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.mailbox.rsplit_once('@').map(|(_, domain)| domain)
    }
}

/// Kind of an email, with the values that its text is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailKind {
    /// An email with the one-time code of a verification.
    Code {
        purpose: Purpose,
        verification_id: Uuid,
        /// Sequence number of the code: a resend may have replaced earlier codes of the
        /// verification.
        generation: u32,
        /// Name of the server key that the code is derived from.
        kid: String,
    },
    Notice(Notice),
}

/// Event of which a user is notified by email.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Someone tried to register with the email address of an existing account.
    AlreadyRegistered,
    /// The email address of the account was changed. Sent to the old address.
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

    /// Returns the name of this notice in the database, which must never change.
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
    /// Email to send before the lease on it ends.
    Mail(ClaimedMail),
    /// The queue was changed without an email to send, for example because one was dropped. The
    /// next claim may find an email.
    Nothing,
    /// No email is due before this time, or none is queued if it is `None`.
    Idle(Option<Timestamp>),
}

/// Complete email, ready to send.
pub struct Mail {
    /// Id in the outbox.
    pub id: Uuid,
    /// Time at which the email was queued.
    pub created_at: Timestamp,
    /// Email address of the recipient.
    pub to: String,
    pub subject: String,
    /// Body as plain text.
    pub text: String,
    /// Body as HTML.
    pub html: String,
    /// One-time code in the email, if any, for a mailer that prints the code on a terminal.
    pub code: Option<String>,
}

/// Failure to send an email, classified by its cause: one recipient, or the service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The mail server refused this recipient permanently: no later attempt can succeed.
    #[error("refused: {0}")]
    Recipient(String),
    /// The mail server refused the email without a reason, probably because of the recipient. A
    /// second attempt decides.
    #[error("refused without a reason: {0}")]
    Unexplained(String),
    /// This service or its mail server is at fault, so no email can be sent.
    #[error("the mail server cannot be used: {0}")]
    Service(String),
    /// The mail server refused the email temporarily. The cause may concern this recipient only, or
    /// every email.
    #[error("refused for now: {0}")]
    Undecided(String),
}

impl SendError {
    /// Returns the description of the failure.
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

/// Failed attempt to send an email, which stays queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedAttempt<'a> {
    pub at: Timestamp,
    /// Time of the next attempt to send the email.
    pub retry_at: Timestamp,
    /// Set if the mail server refused the email without a reason.
    pub unexplained: bool,
    /// Domain of the recipient if the failure may concern only this recipient, otherwise `None`.
    pub domain: Option<&'a str>,
}

/// Code email that is due, with the accounts that it concerns at the time of sending.
#[derive(Debug)]
pub struct PendingCode {
    pub purpose: Purpose,
    /// Mailbox of the email address that the client entered.
    pub address: String,
    /// Set if no code is correct: the code was voided, or the address could not be used when the
    /// code was requested.
    pub dead: bool,
    /// Account for which the code was requested, or `None` for a registration or a reset without an
    /// account.
    pub subject: Option<Recipient>,
    /// Account that has the entered address now, if any.
    pub holder: Option<Recipient>,
}

/// Decision about a [`PendingCode`].
#[derive(Debug, PartialEq, Eq)]
pub enum CodeDelivery {
    /// The code is sent to this recipient.
    Send(Recipient),
    /// The code becomes invalid, and this recipient, the user of the account that has the address,
    /// is notified.
    Notify(Recipient),
    /// No email is sent.
    Drop,
}

/// Class of emails. The worker alternates between classes, so that none delays the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailClass {
    Code,
    Notice,
    /// A code or notice that could not be sent at an earlier attempt.
    Retry,
}

impl MailClass {
    pub const ALL: [Self; 3] = [Self::Code, Self::Notice, Self::Retry];
}

/// Notice to queue.
#[derive(Debug, Clone, Copy)]
pub struct NoticeRequest<'a> {
    pub notice: Notice,
    /// Keyed hash of the requesting network, by which the email queue is shared fairly. Empty if
    /// the network is unknown.
    pub client: &'a str,
}

/// Rules of the outbox: rate limits for each address, leases, and the recipient of a due code.
#[derive(Debug, Clone, Copy)]
pub struct MailPolicy {
    /// Minimum time between two code emails with one purpose to one address.
    pub pause: Duration,
    /// Periods, each with the maximum number of code emails with one purpose to one address within
    /// it.
    pub windows: [(Duration, u32); 2],
    /// Period, and the maximum number of code emails with one purpose to one address that one
    /// network may request within it.
    pub client_window: (Duration, u32),
    /// Minimum time between two notices of one kind to one address.
    pub notice_pause: Duration,
    /// Age at which a code email that was never sent is dropped.
    pub max_age: Duration,
    /// Lifetime of a code, counted from the last attempt to send its email.
    pub code_life: Duration,
    /// Number of wrong guesses after which a code is invalid.
    pub max_guesses: u32,
    /// Class of emails to claim from first, so that the worker can alternate between classes.
    pub first: MailClass,
    /// Duration of a worker's lease on an email.
    pub lease: Duration,
    /// Function that decides to whom a due code is sent, within the transaction that claims the
    /// email.
    pub deliver: fn(PendingCode) -> CodeDelivery,
}

port! {
    ($)
    /// The queue of emails, for the worker that sends them.
    Outbox, outbox_port {
        /// Leases the next email that is due to a worker. For a code email, the lifetime of the
        /// code starts now.
        fn claim(policy: &MailPolicy, now: Timestamp) -> OutboxClaim;
        /// Marks an email as completed: delivered if `delivered` is set, otherwise given up.
        fn settle(id: Uuid, delivered: bool, now: Timestamp) -> ();
        /// Ends the lease on an email after a failure, and schedules another attempt.
        fn retry(id: Uuid, failed: &FailedAttempt<'_>) -> ();
    }
}

/// Transport for emails, such as SMTP.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends one email. `Ok` means that the next mail server has accepted responsibility for it.
    async fn send(&self, mail: &Mail) -> Result<(), SendError>;
}

port! {
    ($)
    /// The number of queued emails, for health checks and metrics.
    OutboxDepth, outbox_depth_port {
        /// Counts the queued emails. Cheap enough to be called every few seconds.
        fn backlog(now: Timestamp) -> Backlog;
    }
}

/// Number and age of queued emails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Number of emails that are being sent or retried.
    pub unsent: i64,
    /// Number of emails that wait for the rate limit of their address.
    pub waiting: i64,
    /// Earliest time at which an email could have been sent that still is not, or `None` if there
    /// is no such email. Emails that were refused for reasons that may concern only their
    /// recipients are ignored.
    pub oldest: Option<Timestamp>,
    /// Extent of the inconclusive refusals since the last delivery, which may concern only one
    /// recipient, or every email.
    pub undecided: UndecidedRefusals,
}

/// Extent of the inconclusive refusals since the last delivery, which may concern only their
/// recipients, or every email. Many different domains and networks suggest every email.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UndecidedRefusals {
    /// Number of distinct recipient domains of the refused emails.
    pub domains: i64,
    /// Number of distinct networks that requested the refused emails. Each email without a known
    /// network counts as a network of its own.
    pub networks: i64,
}

impl UndecidedRefusals {
    /// Minimum number both of domains and of networks at which refusals are taken to concern every
    /// email. One person cannot easily cause that many.
    const CONCERN_ALL: i64 = 3;

    /// Reports whether the refusals are so widespread that they are taken to concern every email.
    #[must_use]
    pub fn concern_all(&self) -> bool {
        self.domains >= Self::CONCERN_ALL && self.networks >= Self::CONCERN_ALL
    }
}
