//! The results of a verifier.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::client::Error;
use crate::error_code::ErrorCode;

/// Content of a valid access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Id of the user.
    pub user_id: Uuid,
    /// Id of the session.
    pub session_id: Uuid,
    /// Time at which the token was issued, in seconds since 1970-01-01T00:00:00Z.
    pub issued_at: u64,
    /// Time at which the token expires, in seconds since 1970-01-01T00:00:00Z.
    pub expires_at: u64,
    /// Claims of the user, as a JSON object. Always `None` with this version of the service.
    pub claims: Option<Arc<str>>,
    /// Age of the revocations that were considered, if it is over one second.
    pub stale: Option<Duration>,
}

/// Reason for which a token was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The token is not an access token of the service.
    #[error("the token is not an access token of this service")]
    Invalid,
    /// The token has expired.
    #[error("the token has expired")]
    Expired,
    /// The session or the user of the token has ended.
    #[error("the session of the token has ended")]
    Revoked,
    /// The token could not be checked: neither in memory nor by the service. It is neither valid
    /// nor invalid.
    #[error("the token could not be checked, because the service is not available")]
    Unavailable,
}

/// Error of a check that states what the service answered, if it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct NotVerified {
    /// Reason for which the token was not accepted.
    pub reason: VerifyError,
    /// Error of the call that asked the service; `None` if it was not asked, did not answer in
    /// time, or this verifier knows better.
    pub source: Option<Error>,
}

impl NotVerified {
    /// Returns the error code of the service, if it refused.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.source.as_ref().and_then(Error::code)
    }

    /// Returns the time after which the service suggests to ask it again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.source {
            Some(Error::Refused(reply)) => {
                reply.retry_after_ms.map(|ms| Duration::from_millis(ms.into()))
            }
            _ => None,
        }
    }
}

impl From<VerifyError> for NotVerified {
    fn from(reason: VerifyError) -> Self {
        Self { reason, source: None }
    }
}

/// State and counters of a verifier. The counters start with 0 when it is created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// `true` if tokens are checked in memory.
    pub ready: bool,
    /// Age of the revocations; `None` before all of them have arrived.
    pub age: Option<Duration>,
    /// Number of public keys. It is 0 if the service signs tokens with HS256.
    pub keys: usize,
    /// Number of revoked sessions and users.
    pub revocations: usize,
    /// Number of cached tokens.
    pub cached_tokens: usize,
    /// Number of checks in memory with the result: valid.
    pub valid: u64,
    /// Number of checks in memory with the result [`VerifyError::Invalid`].
    pub invalid: u64,
    /// Number of checks in memory with the result [`VerifyError::Expired`].
    pub expired: u64,
    /// Number of checks in memory with the result [`VerifyError::Revoked`].
    pub revoked: u64,
    /// Number of checks that found the token in the cache.
    pub cache_hits: u64,
    /// Number of tokens about which the service was asked.
    pub asked: u64,
    /// Number of tokens about which the service was asked without an answer.
    pub unavailable: u64,
    /// Error of the last call for keys or revocations; `None` if it succeeded.
    pub last_error: Option<String>,
}
