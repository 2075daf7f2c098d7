//! The endpoint that gateways ask about each request of an end user: `/auth/check` and every path
//! below it. It answers with a status and headers only; its replies have no body, because a proxy
//! then keeps its connection to this program open.

mod reply;
mod same_origin;
mod token;

use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use axum::routing::any;
use user_proto::client::Error;
use user_proto::verifier::{Verified, VerifyError};
use user_proto::{Common, ErrorClass, ErrorCode, VerifyToken};

use crate::forwarded::{Peer, TrustedProxies, traceparent};
use crate::metrics::{CheckMetrics, CheckResult};
use crate::upstream::Upstream;
use reply::Identity;
use token::{Source, Token};

/// State of the endpoint `/auth/check`.
#[derive(Debug)]
pub struct AuthCheck {
    pub upstream: Arc<Upstream>,
    pub trusted_proxies: TrustedProxies,
    /// Maximum duration of a check.
    pub timeout: Duration,
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

/// Returns the routes of `/auth/check` and of every path below it.
pub fn router(state: Arc<AuthCheck>) -> Router {
    Router::new()
        .route("/auth/check", any(check))
        .route("/auth/check/", any(check))
        .route("/auth/check/{*path}", any(check))
        .with_state(state)
}

/// Answers the check of one request. Method, query, body and Upgrade of the check itself are
/// ignored.
async fn check(State(state): State<Arc<AuthCheck>>, request: Request) -> Response {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let outcome = match head.extensions.get::<Peer>() {
        Some(peer) => state.outcome(&head, *peer).await,
        // The listener adds the peer to every request.
        None => Outcome::Unavailable { retry_after: reply::DEFAULT_RETRY_AFTER },
    };
    let (result, mut response) = reply::response(outcome);
    state.metrics.record(result, started.elapsed());
    if !body.is_end_stream() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

impl AuthCheck {
    async fn outcome(&self, head: &Parts, peer: Peer) -> Outcome {
        let headers = &head.headers;
        if peer.ignores_headers(headers) {
            self.warned.call_once(|| {
                tracing::warn!(
                    peer = %peer.socket.ip(),
                    "ignored X-Forwarded-For of a peer that is not trusted; if it is your proxy, \
                     add it to TRUSTED_PROXIES"
                );
            });
        }
        let Token { value, source } = match token::find(headers) {
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
        let in_memory = self.upstream.verifier().and_then(|verifier| verifier.verify_local(value));
        match in_memory {
            Some(verdict) => {
                self.metrics.verified_in_memory();
                of_verdict(verdict)
            }
            None => self.ask(value, headers, peer).await,
        }
    }

    /// Asks the user service whether a token is valid.
    async fn ask(&self, token: &str, headers: &HeaderMap, peer: Peer) -> Outcome {
        let stated = peer.timeout(headers).unwrap_or(self.timeout);
        let deadline = stated.min(self.timeout).as_millis();
        let common = Common {
            client_address: Some(peer.client_address(headers, &self.trusted_proxies).into()),
            deadline_ms: Some(u32::try_from(deadline).unwrap_or(u32::MAX)),
            traceparent: traceparent(headers).map(Into::into),
            ..Common::default()
        };
        let request = VerifyToken { access_token: token.into() };
        match self.upstream.client().call_with(request, common).await {
            Ok(verified) => Outcome::Passed(Identity {
                user_id: verified.user_id,
                session_id: verified.session_id,
                claims: None,
            }),
            Err(error) => refusal(error),
        }
    }
}

/// Returns the outcome of a check in memory.
fn of_verdict(verdict: Result<Verified, VerifyError>) -> Outcome {
    match verdict {
        Ok(verified) => Outcome::Passed(Identity {
            user_id: verified.user_id,
            session_id: verified.session_id,
            claims: verified.claims.map(|claims| claims.as_ref().to_owned()),
        }),
        Err(VerifyError::Invalid) => Outcome::Invalid(ErrorCode::INVALID_TOKEN),
        Err(VerifyError::Expired) => Outcome::Invalid(ErrorCode::TOKEN_EXPIRED),
        Err(VerifyError::Revoked) => Outcome::Invalid(ErrorCode::SESSION_REVOKED),
        Err(VerifyError::Unavailable) => {
            Outcome::Unavailable { retry_after: reply::DEFAULT_RETRY_AFTER }
        }
    }
}

/// Returns the outcome of a check for which the service returned an error. Only an error of the
/// class `Identity` says that the token is invalid. After any other error, it is unknown whether
/// the token is valid.
fn refusal(error: Error) -> Outcome {
    let retry_after_ms = match &error {
        Error::Refused(reply) if reply.code.class() == ErrorClass::Identity => {
            return Outcome::Invalid(reply.code);
        }
        Error::Refused(reply) => {
            if matches!(reply.code.class(), ErrorClass::Protocol | ErrorClass::Input) {
                tracing::error!(%error, "the service does not accept the request of a check");
            }
            reply.retry_after_ms
        }
        _ => None,
    };
    tracing::debug!(%error, "no verdict from the service");
    let retry_after = retry_after_ms.map_or(reply::DEFAULT_RETRY_AFTER, |ms| {
        u64::from(ms).div_ceil(1000).clamp(1, reply::MAX_RETRY_AFTER)
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
