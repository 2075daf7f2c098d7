//! Replies that several messages share, and the mapping from refusals to error codes.

use std::borrow::Cow;
use std::time::Duration;

use user_proto::frame::FrameError;
use user_proto::{
    CodeReply, DecodeError, ErrorCode, ErrorReply, Secret, TokenReply, UserChangeReply,
};

use crate::domain::{Failure, Fault, Refusal};
use crate::tokens::TokenPair;
use crate::users::{CodeSent, UpdatedUser};

pub(super) fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

/// Converts a duration to milliseconds, rounded up so that a client that waits for it does not
/// retry too early.
pub(super) fn millis(span: Duration) -> u32 {
    u32::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

impl<const TYPE: u8> From<CodeSent> for CodeReply<TYPE> {
    fn from(sent: CodeSent) -> Self {
        Self {
            verification_id: sent.verification_id,
            code_expires_in: seconds(sent.expires_in),
            resend_after: seconds(sent.resend_after),
        }
    }
}

impl<const TYPE: u8> From<TokenPair> for TokenReply<'_, TYPE> {
    fn from(tokens: TokenPair) -> Self {
        Self {
            user_id: tokens.user_id,
            session_id: tokens.session_id,
            access_token: Secret::from(tokens.access_token.to_string()),
            access_expires_in: seconds(tokens.access_expires_in),
            refresh_token: Secret::from(tokens.refresh_token.to_string()),
            refresh_expires_in: seconds(tokens.refresh_expires_in),
        }
    }
}

impl<const TYPE: u8> From<UpdatedUser> for UserChangeReply<'_, TYPE> {
    fn from(updated: UpdatedUser) -> Self {
        Self {
            user_id: updated.user.id,
            username: Cow::Owned(updated.user.username),
            email: Cow::Owned(updated.user.email),
            verification_id: updated.verification_id,
        }
    }
}

/// Returns an error reply with the standard message of its code.
pub(super) fn plain(code: ErrorCode, field: Option<&'static str>) -> ErrorReply<'static> {
    ErrorReply {
        code,
        message: Cow::Borrowed(code.meaning()),
        retry_after_ms: None,
        field: field.map(Cow::Borrowed),
    }
}

/// Returns the reply to a failed use case. A fault is logged, and the client learns only that the
/// service failed.
pub(super) fn error(failure: Failure) -> ErrorReply<'static> {
    let refusal = match failure {
        Failure::Refused(refusal) => refusal,
        Failure::Fault(fault) => {
            tracing::error!(%fault, "a request failed");
            let code = match fault {
                Fault::Internal(_) => ErrorCode::INTERNAL,
                Fault::Unavailable(_)
                | Fault::Conflict(_)
                | Fault::ReadOnly(_)
                | Fault::Busy(_) => ErrorCode::UNAVAILABLE,
            };
            return plain(code, None);
        }
    };
    let because = |code, field, reason| ErrorReply {
        message: Cow::Borrowed(reason),
        ..plain(code, Some(field))
    };
    let later = |code, wait| ErrorReply { retry_after_ms: Some(millis(wait)), ..plain(code, None) };
    match refusal {
        Refusal::InvalidUsername(reason) => {
            because(ErrorCode::INVALID_USERNAME, "username", reason)
        }
        Refusal::InvalidEmail(reason) => because(ErrorCode::INVALID_EMAIL, "email", reason),
        Refusal::InvalidPassword { field, reason } => {
            because(ErrorCode::INVALID_PASSWORD, field, reason)
        }
        Refusal::InvalidValue { field, reason } => because(ErrorCode::INVALID_VALUE, field, reason),
        Refusal::NothingToUpdate => plain(ErrorCode::NOTHING_TO_UPDATE, None),
        Refusal::InvalidCredentials { field: Some(field) } => {
            because(ErrorCode::INVALID_CREDENTIALS, field, "the current password is wrong")
        }
        Refusal::InvalidCredentials { field: None } => plain(ErrorCode::INVALID_CREDENTIALS, None),
        Refusal::InvalidToken => plain(ErrorCode::INVALID_TOKEN, None),
        Refusal::TokenExpired => plain(ErrorCode::TOKEN_EXPIRED, None),
        Refusal::SessionRevoked => plain(ErrorCode::SESSION_REVOKED, None),
        Refusal::InvalidCode => plain(ErrorCode::INVALID_CODE, None),
        Refusal::CodeExpired => plain(ErrorCode::CODE_EXPIRED, None),
        Refusal::AccountDisabled => plain(ErrorCode::ACCOUNT_DISABLED, None),
        Refusal::UsernameTaken => plain(ErrorCode::USERNAME_TAKEN, Some("username")),
        Refusal::EmailTaken => plain(ErrorCode::EMAIL_TAKEN, Some("email")),
        Refusal::RateLimited { retry_after } => later(ErrorCode::RATE_LIMITED, retry_after),
        Refusal::Busy { retry_after } => later(ErrorCode::BUSY, retry_after),
        Refusal::IdempotencyConflict => plain(ErrorCode::IDEMPOTENCY_CONFLICT, None),
        Refusal::DeadlineExceeded => plain(ErrorCode::DEADLINE_EXCEEDED, None),
        Refusal::Stale => plain(ErrorCode::UNAVAILABLE, None),
    }
}

/// Returns the reply to a message that cannot be decoded.
#[must_use]
pub fn undecodable(error: DecodeError) -> ErrorReply<'static> {
    ErrorReply {
        message: Cow::Owned(error.to_string()),
        field: error.field(),
        ..plain(error.code(), None)
    }
}

/// Returns the reply to a frame with an invalid length. The connection is closed after it.
#[must_use]
pub fn frame_error(error: FrameError) -> ErrorReply<'static> {
    let message = match error.looks_like() {
        Some(protocol) => {
            format!(
                "{error}; this looks like {protocol}, but this port expects the protocol of the user service"
            )
        }
        None => error.to_string(),
    };
    ErrorReply { message: Cow::Owned(message), ..plain(error.code(), None) }
}

/// Returns the reply to a request with an id that is zero or in flight. The connection is closed
/// after it.
#[must_use]
pub fn malformed_id() -> ErrorReply<'static> {
    ErrorReply {
        message: Cow::Borrowed("the request id is 0 or in flight"),
        ..plain(ErrorCode::MALFORMED, Some("request_id"))
    }
}

/// Returns the reply to a request that is answered only to trusted peers.
#[must_use]
pub fn not_permitted() -> ErrorReply<'static> {
    ErrorReply {
        message: Cow::Borrowed(
            "this request is answered only to trusted peers; use a client certificate that the \
             server accepts, or add this client's address to TRUSTED_PEERS on the server",
        ),
        ..plain(ErrorCode::NOT_PERMITTED, None)
    }
}

/// Returns the reply `BUSY` to a request that is refused because too many others are in flight,
/// with the time after which the client may retry.
#[must_use]
pub fn busy(retry_after: Duration) -> ErrorReply<'static> {
    ErrorReply { retry_after_ms: Some(millis(retry_after)), ..plain(ErrorCode::BUSY, None) }
}

/// Returns the reply to a connection that exceeds a limit of connections. The connection is closed
/// after it.
#[must_use]
pub fn no_slot(retry_after: Duration) -> ErrorReply<'static> {
    ErrorReply {
        message: Cow::Borrowed("the server has reached its connection limit"),
        ..busy(retry_after)
    }
}

/// Returns the reply to a client that does not use TLS although it is required. The connection is
/// closed after it.
#[must_use]
pub fn needs_tls() -> ErrorReply<'static> {
    ErrorReply {
        message: Cow::Borrowed("this port requires TLS 1.3, but the connection is not encrypted"),
        ..plain(ErrorCode::FRAME_TOO_LONG, None)
    }
}
