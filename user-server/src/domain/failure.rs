//! Failures of use cases: a refusal is expected and reported to the client; a fault is unexpected
//! and goes to the log.

use std::time::Duration;

/// Result of a use case, such as a login. The error is a refusal or a fault.
pub type UseCaseResult<T> = Result<T, Failure>;

/// Failure of a use case, such as a login.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An expected failure, which is reported to the client.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// An unexpected failure. The client is told only that the service failed.
    #[error(transparent)]
    Fault(Fault),
}

/// Time after which a request that was refused because too many waited for the database may
/// succeed.
const BUSY_RETRY_AFTER: Duration = Duration::from_millis(100);

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Busy(_) => Refusal::Busy { retry_after: BUSY_RETRY_AFTER }.into(),
            fault => Self::Fault(fault),
        }
    }
}

/// An expected failure, which is reported to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The username is not valid. The reason is a phrase that follows "username: ".
    InvalidUsername(&'static str),
    /// The email address is not valid. The reason is a phrase that follows "email: ".
    InvalidEmail(&'static str),
    /// The new password is not allowed.
    InvalidPassword {
        /// Name of the invalid field: `password` or `new_password`.
        field: &'static str,
        /// Phrase that follows the name of the field and a colon.
        reason: &'static str,
    },
    /// A value other than a username, email address or password is invalid.
    InvalidValue {
        /// Name of the invalid field.
        field: &'static str,
        reason: &'static str,
    },
    /// The requested update of an account changes nothing.
    NothingToUpdate,
    /// No active account has this login identifier and password.
    InvalidCredentials {
        /// `current_password` if the password was meant to authorise a change, or `None` for a
        /// login.
        field: Option<&'static str>,
    },
    /// The token was not issued by this service.
    InvalidToken,
    /// The token has expired.
    TokenExpired,
    /// The session to which the token belongs has ended.
    SessionRevoked,
    /// The one-time code is wrong.
    InvalidCode,
    /// The verification is unknown, expired, or used.
    CodeExpired,
    /// The password is correct, but the account is disabled.
    AccountDisabled,
    /// Another active account has the username.
    UsernameTaken,
    /// Another active account has the email address.
    EmailTaken,
    /// Too many attempts; nothing was done.
    RateLimited {
        /// Time after which another attempt is allowed.
        retry_after: Duration,
    },
    /// The server is overloaded; nothing was done.
    Busy {
        /// Time after which a retry may succeed.
        retry_after: Duration,
    },
    /// The idempotency key was used for a different request.
    IdempotencyConflict,
    /// The deadline of the request has passed.
    DeadlineExceeded,
    /// This node has not been able to read the revocation log for too long, so it cannot accept a
    /// token.
    Stale,
}

impl Refusal {
    /// Refusal of a change because the current password, which must authorise it, is missing or
    /// wrong.
    pub const CURRENT_PASSWORD: Self = Self::InvalidCredentials { field: Some("current_password") };
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match self {
            Self::InvalidUsername(reason) => return write!(f, "username: {reason}"),
            Self::InvalidEmail(reason) => return write!(f, "email: {reason}"),
            Self::InvalidPassword { field, reason } | Self::InvalidValue { field, reason } => {
                return write!(f, "{field}: {reason}");
            }
            Self::RateLimited { retry_after } => {
                return write!(f, "rate limited for {} s", retry_after.as_secs());
            }
            Self::NothingToUpdate => "nothing to update",
            Self::InvalidCredentials { .. } => "the login or the password is wrong",
            Self::InvalidToken => "the token is not valid",
            Self::TokenExpired => "the token has expired",
            Self::SessionRevoked => "the session has ended",
            Self::InvalidCode => "the code is wrong",
            Self::CodeExpired => "the code is unknown, expired or used",
            Self::AccountDisabled => "the account is disabled",
            Self::UsernameTaken => "another account has the username",
            Self::EmailTaken => "another account has the email address",
            Self::Busy { .. } => "the server is overloaded",
            Self::IdempotencyConflict => "the idempotency key was used for another request",
            Self::DeadlineExceeded => "the deadline has passed",
            Self::Stale => "the revocation log was read too long ago",
        };
        f.write_str(text)
    }
}

impl std::error::Error for Refusal {}

/// An unexpected failure, which is logged. Its text contains no secret and no user data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A dependency of the service, such as the database, cannot be reached, or does not do what
    /// the service needs.
    #[error("{0}")]
    Unavailable(String),
    /// The database rolled back the transaction because of a concurrent one. It can be repeated.
    #[error("{0}")]
    Conflict(String),
    /// The database can be read, but not written: it is read-only, or its disk is full.
    #[error("{0}")]
    ReadOnly(String),
    /// Too many requests wait for the database. Nothing was done.
    #[error("{0}")]
    Busy(String),
    /// A bug in the service, or corrupt data.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Fault {
    /// Creates a [`Fault::Internal`] with the text of its cause.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::Internal(cause.to_string())
    }
}
