//! Errors of the JSON API: problem documents (RFC 9457), and the HTTP status of each error code.

use std::borrow::Cow;

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use user_proto::client::Error;
use user_proto::{ErrorClass, ErrorCode, ErrorOutcome, ErrorReply};
use utoipa::ToSchema;

/// SECOND_FACTOR_REQUIRED and NOT_FOUND, which a later version of the service may answer.
const SECOND_FACTOR_REQUIRED: ErrorCode = ErrorCode(0x0309);
const NOT_FOUND: ErrorCode = ErrorCode(0x030B);

/// Error of a request to the API.
#[derive(Debug)]
pub(super) struct Problem {
    document: Box<ProblemDocument>,
    challenge: Option<&'static str>,
    closes: bool,
}

/// Problem document (RFC 9457), the body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemDocument {
    /// `urn:user-service:error:` and the error code of the service in four hexadecimal digits, or
    /// `about:blank` if the request did not reach the service.
    #[serde(rename = "type")]
    #[schema(example = "urn:user-service:error:0304")]
    kind: Cow<'static, str>,
    /// Meaning of `code`.
    title: Cow<'static, str>,
    /// HTTP status of the reply.
    status: u16,
    /// Reason for this error, in English.
    detail: Cow<'static, str>,
    /// Name of the error.
    #[schema(example = "TOKEN_EXPIRED")]
    code: Cow<'static, str>,
    /// Field of the request that the error is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<Cow<'static, str>>,
    /// Milliseconds after which the request may be sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    retry_after_ms: Option<u32>,
    outcome: Outcome,
}

/// Result of a request that failed. `refused`: the request was refused, and the same request would
/// be refused again. `not_done`: nothing was done, and the same request may be sent later.
/// `unknown`: the request may have been executed; send it again only with the same
/// Idempotency-Key, or if it is a GET.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Refused,
    NotDone,
    Unknown,
}

impl From<ErrorOutcome> for Outcome {
    fn from(outcome: ErrorOutcome) -> Self {
        match outcome {
            ErrorOutcome::Refused => Self::Refused,
            ErrorOutcome::NotDone => Self::NotDone,
            ErrorOutcome::Unknown => Self::Unknown,
        }
    }
}

/// Kind of request that an error code answers. A login has no token, so its wrong password means
/// the same as a wrong token elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    Login,
    Other,
}

/// Returns the HTTP status of an error code. 401 means only that the request has no usable token,
/// because applications log their users out on 401.
fn status(code: ErrorCode, kind: RequestKind) -> StatusCode {
    match code {
        ErrorCode::INVALID_TOKEN | ErrorCode::TOKEN_EXPIRED | ErrorCode::SESSION_REVOKED => {
            StatusCode::UNAUTHORIZED
        }
        ErrorCode::INVALID_CREDENTIALS | SECOND_FACTOR_REQUIRED if kind == RequestKind::Login => {
            StatusCode::UNAUTHORIZED
        }
        ErrorCode::INVALID_CODE | ErrorCode::CODE_EXPIRED => StatusCode::UNPROCESSABLE_ENTITY,
        NOT_FOUND => StatusCode::NOT_FOUND,
        ErrorCode::RATE_LIMITED => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::UNAVAILABLE | ErrorCode::SHUTTING_DOWN => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::DEADLINE_EXCEEDED => StatusCode::GATEWAY_TIMEOUT,
        _ => match code.class() {
            ErrorClass::Input => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorClass::Identity => StatusCode::FORBIDDEN,
            ErrorClass::Conflict => StatusCode::CONFLICT,
            ErrorClass::SlowDown => StatusCode::SERVICE_UNAVAILABLE,
            ErrorClass::Server => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorClass::Protocol | ErrorClass::Unknown => StatusCode::BAD_GATEWAY,
        },
    }
}

impl Problem {
    /// Returns a problem that this program has found itself.
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let document = ProblemDocument {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.into(),
            field: None,
            retry_after_ms: None,
            outcome: Outcome::Refused,
        };
        let challenge = (status == StatusCode::UNAUTHORIZED).then_some("Bearer");
        Self { document: Box::new(document), challenge, closes: false }
    }

    /// Returns the problem of an error code that this program has determined itself.
    pub(super) fn of_code(code: ErrorCode, outcome: ErrorOutcome) -> Self {
        let reply =
            ErrorReply { code, message: code.meaning().into(), retry_after_ms: None, field: None };
        Self::of_reply(&reply, RequestKind::Other, outcome)
    }

    /// Returns the problem of a call to the service that failed. Errors that only an operator can
    /// correct are logged, and none of their texts reaches the client.
    pub(super) fn of_error(error: &Error, kind: RequestKind) -> Self {
        let outcome = error.outcome();
        match error {
            Error::Refused(reply) => {
                if matches!(reply.code.class(), ErrorClass::Protocol | ErrorClass::Unknown) {
                    tracing::error!(%error, "the service does not accept a request of the API");
                }
                Self::of_reply(reply, kind, outcome)
            }
            Error::DeadlineExceeded { .. } => Self::of_code(ErrorCode::DEADLINE_EXCEEDED, outcome),
            Error::Connect(_) | Error::Handshake(_) | Error::Lost { .. } | Error::Closed => {
                tracing::debug!(%error, "a request of the API did not reach the service");
                Self::of_code(ErrorCode::UNAVAILABLE, outcome)
            }
            Error::BadReply { .. } => {
                tracing::error!(%error, "the service sent an invalid reply to the API");
                let detail = "The user service sent an invalid reply.";
                let mut problem = Self::new(StatusCode::BAD_GATEWAY, "BAD_REPLY", detail);
                problem.document.outcome = outcome.into();
                problem
            }
            Error::PlaintextRefused | Error::TooLong(_) => {
                tracing::error!(%error, "a request of the API cannot be sent to the service");
                Self::of_code(ErrorCode::INTERNAL, outcome)
            }
        }
    }

    fn of_reply(reply: &ErrorReply<'_>, kind: RequestKind, outcome: ErrorOutcome) -> Self {
        let status = status(reply.code, kind);
        let challenge = match status {
            // The credentials of a login are in its body, so there is no token to complain about.
            StatusCode::UNAUTHORIZED if kind == RequestKind::Login => Some("Bearer"),
            StatusCode::UNAUTHORIZED => Some("Bearer error=\"invalid_token\""),
            _ => None,
        };
        let document = ProblemDocument {
            kind: format!("urn:user-service:error:{:04X}", reply.code.0).into(),
            title: reply.code.meaning().into(),
            status: status.as_u16(),
            detail: reply.message.clone().into_owned().into(),
            code: reply.code.name().into(),
            field: reply.field.clone().map(|field| field.into_owned().into()),
            retry_after_ms: reply.retry_after_ms,
            outcome: outcome.into(),
        };
        Self { document: Box::new(document), challenge, closes: false }
    }

    /// Returns the problem of a value in the body that is missing or has the wrong form.
    pub(super) fn invalid_field(
        field: Option<String>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut problem = Self::of_code(ErrorCode::INVALID_VALUE, ErrorOutcome::Refused);
        problem.document.field = field.map(Into::into);
        problem.document.detail = detail.into();
        problem
    }

    pub(super) fn no_token() -> Self {
        let detail =
            "The request needs an access token, in Authorization: Bearer or in the cookie.";
        Self::new(StatusCode::UNAUTHORIZED, "NO_TOKEN", detail)
    }

    pub(super) fn invalid_token() -> Self {
        Self::of_code(ErrorCode::INVALID_TOKEN, ErrorOutcome::Refused)
    }

    pub(super) fn not_same_origin() -> Self {
        let detail = "A request with a cookie must come from a page of the same origin.";
        Self::new(StatusCode::FORBIDDEN, "NOT_SAME_ORIGIN", detail)
    }

    /// Returns true if the user has to log in.
    pub(super) fn is_unauthorized(&self) -> bool {
        self.document.status == 401
    }

    /// Returns true if the token has expired.
    pub(super) fn is_expired(&self) -> bool {
        self.document.code == ErrorCode::TOKEN_EXPIRED.name()
    }

    pub(super) fn not_found() -> Self {
        let detail = "Nothing has this path. GET /openapi.json describes the API.";
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", detail)
    }

    /// Returns the problem of a request that this program failed to answer.
    pub(super) fn internal() -> Self {
        Self::of_code(ErrorCode::INTERNAL, ErrorOutcome::Unknown)
    }

    /// Closes the connection after the reply, because the rest of the body is not read.
    pub(super) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// Returns the name of the error.
    #[cfg(test)]
    pub(super) fn code(&self) -> &str {
        &self.document.code
    }

    /// Returns the value of Retry-After in seconds, rounded up.
    fn retry_after(&self) -> Option<u64> {
        match self.document.retry_after_ms {
            Some(millis) => Some(u64::from(millis).div_ceil(1000).max(1)),
            None => (self.document.status == 503).then_some(1),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Texts and numbers can always be serialised.
        let body = serde_json::to_vec(&self.document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

#[cfg(test)]
mod tests;
