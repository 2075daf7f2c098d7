//! How a use case can end without its result: a refusal, which is expected and told to the client,
//! or a fault, which is not and is told to the log.

use std::time::Duration;

/// What a use case gives.
pub type UseCaseResult<T> = Result<T, Failure>;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Expected; the client learns it.
    #[error("refused: {0:?}")]
    Refused(#[from] Refusal),
    /// Unexpected; the client learns only that something failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The username can't be one, for the reason given.
    InvalidUsername(&'static str),
    /// The e-mail address can't be one, for the reason given.
    InvalidEmail(&'static str),
    /// The password can't be set, for the reason given; the field that held it.
    InvalidPassword {
        /// `password` or `new_password`.
        field: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// Another value is invalid.
    InvalidValue {
        /// The name of the field.
        field: &'static str,
        reason: &'static str,
    },
    /// An update without a change.
    NothingToUpdate,
    /// No active account has this login and password. The field is named where a password confirms
    /// a change.
    InvalidCredentials {
        /// `current_password`, or none for a login.
        field: Option<&'static str>,
    },
    /// Not a token of ours.
    InvalidToken,
    /// Ours, and too old.
    TokenExpired,
    /// Ours, and its session has ended.
    SessionRevoked,
    /// Not the code that was mailed.
    InvalidCode,
    /// No such code, or no more.
    CodeExpired,
    /// The right password of a disabled account.
    AccountDisabled,
    /// Somebody active has the username.
    UsernameTaken,
    /// Somebody active has the address.
    EmailTaken,
    /// Too many attempts; nothing was done.
    RateLimited {
        /// When the next may come.
        retry_after: Duration,
    },
    /// No room; nothing was done.
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// Another request came under this idempotency key.
    IdempotencyConflict,
    /// The context's time ran out.
    DeadlineExceeded,
    /// What is known of ended sessions is too old to say that a token is good.
    Stale,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Refusal {}

/// What the log is told. It holds no secret and no value of a user's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Something that the service needs can't be reached.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The service is wrong, or what it stored is.
    #[error("internal: {0}")]
    Internal(String),
}

impl Fault {
    /// A fault of the service itself.
    pub fn internal(what: impl std::fmt::Display) -> Self {
        Self::Internal(what.to_string())
    }
}
