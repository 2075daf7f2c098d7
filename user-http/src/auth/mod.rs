//! The endpoints that gateways ask about each request of an end user: `/auth/check` and
//! `/auth/page`, and every path below them. They answer with a status and headers only, without a
//! body, because a proxy then keeps its connection to this program open.

mod page;
mod reply;
pub(crate) mod same_origin;
pub(crate) mod token;

use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::HttpBody;
use axum::http::header::CONNECTION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request};
use axum::response::Response;
use axum::routing::any;
use user_proto::verifier::{NotVerified, Verified, VerifyError};
use user_proto::{Common, ErrorClass, ErrorCode};

use crate::cookies::Cookies;
use crate::forwarded::{Peer, TrustedProxies, traceparent};
use crate::metrics::{CheckMetrics, CheckResult};
use crate::return_to::LoginUrl;
use crate::upstream::Upstream;
use reply::Identity;
use token::{Source, Token};

/// State of these endpoints.
#[derive(Debug)]
pub struct AuthCheck {
    pub upstream: Arc<Upstream>,
    pub trusted_proxies: TrustedProxies,
    /// Maximum duration of a check.
    pub timeout: Duration,
    pub cookies: Cookies,
    pub login: LoginUrl,
    pub metrics: Arc<CheckMetrics>,
    /// Guard that limits the warning about untrusted proxies to one per process.
    pub warned: Once,
}

/// Outcome of checking the token of a request.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed(Identity),
    /// The request carries no token.
    NoToken,
    /// The token is malformed, or the service rejected it with this error code.
    Invalid(ErrorCode),
    /// The token is a cookie, and the request may come from another site.
    CrossOrigin,
    /// The service did not say whether the token is valid. A client may retry after this many
    /// seconds.
    Unavailable {
        retry_after: u64,
    },
}

/// Returns true for `/auth/check` and every path below it.
pub(crate) fn is_check(path: &str) -> bool {
    path.strip_prefix("/auth/check").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the routes of `/auth/page` and of every path below it.
pub fn router(state: Arc<AuthCheck>) -> Router {
    Router::new()
        .route("/auth/page", any(page::check))
        .route("/auth/page/", any(page::check))
        .route("/auth/page/{*path}", any(page::check))
        .with_state(state)
}

impl AuthCheck {
    /// Answers the check of one request. Method, query, body and Upgrade of the check itself are
    /// ignored.
    pub(crate) async fn answer(&self, request: Request<impl HttpBody>, peer: Peer) -> Response {
        let (head, body) = request.into_parts();
        self.answer_head(&head, peer, !body.is_end_stream()).await
    }

    /// Answers a check. The connection is closed if the request has a body, which is not read.
    async fn answer_head(&self, head: &Parts, peer: Peer, has_body: bool) -> Response {
        let started = Instant::now();
        let outcome = self.outcome(head, peer).await;
        let (result, mut response) = reply::response(outcome);
        self.metrics.record(result, started.elapsed());
        if has_body {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn outcome(&self, head: &Parts, peer: Peer) -> Outcome {
        let headers = &head.headers;
        peer.warn_if_ignored(headers, &self.warned);
        let Token { value, source } = match token::find(headers, &self.cookies) {
            Ok(Some(token)) => token,
            Ok(None) => return Outcome::NoToken,
            Err(token::Malformed) => return Outcome::Invalid(ErrorCode::INVALID_TOKEN),
        };
        if source == Source::Cookie
            && !same_origin::is_safe(&head.method, headers, &peer)
            && !same_origin::is_same_origin(headers, &peer)
        {
            return Outcome::CrossOrigin;
        }
        let Some(verifier) = self.upstream.verifier() else {
            return Outcome::Unavailable { retry_after: reply::DEFAULT_RETRY_AFTER };
        };
        if let Some(verdict) = verifier.verify_local(value) {
            self.metrics.verified_in_memory();
            return of_verdict(verdict.map_err(NotVerified::from));
        }
        of_verdict(verifier.ask(value, self.common(headers, peer)).await)
    }

    /// Returns what the user service gets to know about a request when it is asked about its token.
    fn common<'a>(&self, headers: &'a HeaderMap, peer: Peer) -> Common<'a> {
        let stated = peer.timeout(headers).unwrap_or(self.timeout);
        let deadline = stated.min(self.timeout).as_millis();
        Common {
            client_address: Some(peer.client_address(headers, &self.trusted_proxies).into()),
            deadline_ms: Some(u32::try_from(deadline).unwrap_or(u32::MAX)),
            traceparent: traceparent(headers).map(Into::into),
            ..Common::default()
        }
    }
}

/// Returns the outcome that a verdict means. Only a verdict about the token says that it is
/// invalid, with the error code of the service if that was asked.
fn of_verdict(verdict: Result<Verified, NotVerified>) -> Outcome {
    let error = match verdict {
        Ok(verified) => {
            return Outcome::Passed(Identity {
                user_id: verified.user_id,
                session_id: verified.session_id,
                claims: verified.claims.map(|claims| claims.as_ref().to_owned()),
            });
        }
        Err(error) => error,
    };
    let code = match error.reason {
        VerifyError::Invalid => ErrorCode::INVALID_TOKEN,
        VerifyError::Expired => ErrorCode::TOKEN_EXPIRED,
        VerifyError::Revoked => ErrorCode::SESSION_REVOKED,
        VerifyError::Unavailable => return unavailable(&error),
    };
    Outcome::Invalid(error.code().unwrap_or(code))
}

/// Returns the outcome of a check without a verdict.
fn unavailable(error: &NotVerified) -> Outcome {
    if let Some(cause) = &error.source {
        let class = error.code().map(ErrorCode::class);
        if matches!(class, Some(ErrorClass::Protocol | ErrorClass::Input)) {
            tracing::error!(error = %cause, "the service does not accept the request of a check");
        }
        tracing::debug!(error = %cause, "no verdict from the service");
    }
    let retry_after = error.retry_after().map_or(reply::DEFAULT_RETRY_AFTER, |time| {
        u64::try_from(time.as_millis().div_ceil(1000))
            .unwrap_or(reply::MAX_RETRY_AFTER)
            .clamp(1, reply::MAX_RETRY_AFTER)
    });
    Outcome::Unavailable { retry_after }
}

impl Outcome {
    fn result(&self) -> CheckResult {
        match self {
            Self::Passed(_) => CheckResult::Passed,
            Self::NoToken => CheckResult::NoToken,
            Self::Invalid(ErrorCode::TOKEN_EXPIRED) => CheckResult::Expired,
            Self::Invalid(ErrorCode::SESSION_REVOKED) => CheckResult::Revoked,
            Self::Invalid(_) => CheckResult::Invalid,
            Self::CrossOrigin => CheckResult::CrossOrigin,
            Self::Unavailable { .. } => CheckResult::Unavailable,
        }
    }
}
