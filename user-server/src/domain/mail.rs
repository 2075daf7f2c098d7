//! Mails as the outbox keeps them and as a mailer sends them.

use uuid::Uuid;

use super::Timestamp;
use super::records::Purpose;

/// A mail that a worker holds a lease on.
#[derive(Debug, Clone)]
pub struct ClaimedMail {
    /// Its id in the outbox; its `Message-ID` is made of it, so that a repeated mail can be known
    /// as one.
    pub id: Uuid,
    /// When the change that it belongs to was made.
    pub created_at: Timestamp,
    /// How often it was claimed, this time included.
    pub attempt: u32,
    /// The recipient's mailbox.
    pub to: String,
    /// The recipient's username.
    pub username: String,
    /// What it says.
    pub letter: Letter,
}

/// What a mail says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Letter {
    /// A code.
    Code {
        /// What it is for.
        purpose: Purpose,
        /// What it verifies.
        verification_id: Uuid,
        /// Which code of that verification.
        generation: u32,
        /// The key that it is made with.
        kid: String,
    },
    /// Something happened that the owner of the address should know.
    Notice(Notice),
}

/// Something that the owner of an address should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Somebody tried to register with the address of an account.
    AlreadyRegistered,
    /// The account's address is another one now; told to the old one.
    EmailChanged,
    /// The password was changed.
    PasswordChanged,
    /// The password was reset.
    PasswordReset,
    /// The account was deleted.
    Deleted,
}

impl Notice {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::AlreadyRegistered,
        Self::EmailChanged,
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::Deleted,
    ];

    /// The name in storage.
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

    /// The notice of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notice| notice.name() == name)
    }
}

/// What looking for work in the outbox gave.
#[derive(Debug, Clone)]
pub enum Claim {
    /// A mail to send before the lease ends.
    Mail(ClaimedMail),
    /// A row that had its turn and for which nothing is to be sent.
    Nothing,
    /// No row is due before then.
    Idle(Option<Timestamp>),
}

/// A mail, ready to go.
pub struct Mail {
    /// Its id in the outbox.
    pub id: Uuid,
    /// When the change that it belongs to was made.
    pub created_at: Timestamp,
    /// The recipient's mailbox.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// The code in it, for a mailer that shows it on a terminal.
    pub code: Option<String>,
}

/// Why a mail was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It may go later.
    #[error("not now: {0}")]
    Temporary(String),
    /// It never will.
    #[error("refused: {0}")]
    Permanent(String),
}
