//! What every request to the API has in common: its token, its ids, and the call to the service.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use user_proto::verifier::{NotVerified, Verified, VerifyError};
use user_proto::{Common, ErrorCode, ErrorOutcome, Login, Message, RequestMessage};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Api;
use super::body::uuid;
use super::idempotency::{self, Caller};
use super::problem::{Problem, RequestKind};
use crate::auth::token;
use crate::forwarded::{Peer, traceparent};

/// Context of a request to the API, from which the service is called.
pub(super) struct Call {
    api: Arc<Api>,
    peer: Peer,
    client: IpAddr,
    /// True if the peer is a trusted one that sends the request for itself.
    is_trusted: bool,
    deadline: Instant,
    traceparent: Option<String>,
    idempotency_key: Option<String>,
    route: String,
}

impl FromRequestParts<Arc<Api>> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let headers = &parts.headers;
        // The listener adds the peer to every request.
        let peer = *parts.extensions.get::<Peer>().ok_or_else(Problem::internal)?;
        peer.warn_if_ignored(headers, &api.warned);
        let timeout = peer.timeout(headers).unwrap_or(api.timeout).min(api.timeout);
        Ok(Self {
            client: peer.client_address(headers, &api.trusted_proxies),
            is_trusted: peer.is_trusted_itself(headers, &api.trusted_proxies),
            peer,
            deadline: Instant::now() + timeout,
            traceparent: traceparent(headers).map(ToOwned::to_owned),
            idempotency_key: idempotency::header(headers)?,
            route: format!("{} {}", parts.method, parts.uri.path()),
            api: Arc::clone(api),
        })
    }
}

impl Call {
    /// Sends a request of `caller` to the service, and waits for its reply until the deadline.
    pub(super) async fn send<M: RequestMessage>(
        &self,
        request: M,
        caller: Caller<'_>,
    ) -> Result<M::Reply, Problem> {
        let key = self.idempotency_key.as_ref().filter(|_| M::CHANGES);
        let common = Common {
            client_address: Some(self.client.into()),
            idempotency_key: key.map(|key| idempotency::key(key, &self.route, caller, self.client)),
            ..self.common()
        };
        let kind = if M::TYPE == Login::TYPE { RequestKind::Login } else { RequestKind::Other };
        let reply = self.api.upstream.pool().call_with(request, common).await;
        reply.map_err(|error| Problem::of_error(&error, kind))
    }

    /// Checks an access token for a gateway: in memory, or else by asking the service, which gets
    /// no address of an end user. Returns `None` if the token is not valid.
    pub(super) async fn verify(&self, token: &str) -> Result<Option<Verified>, Problem> {
        let unavailable = || Problem::of_code(ErrorCode::UNAVAILABLE, ErrorOutcome::NotDone);
        let verifier = self.api.upstream.verifier().ok_or_else(unavailable)?;
        let verdict = match verifier.verify_local(token) {
            Some(verdict) => verdict.map_err(NotVerified::from),
            None => verifier.ask(token, self.common()).await,
        };
        match verdict {
            Ok(verified) => Ok(Some(verified)),
            Err(NotVerified { reason: VerifyError::Unavailable, source }) => Err(source
                .map_or_else(unavailable, |error| Problem::of_error(&error, RequestKind::Other))),
            Err(_) => Ok(None),
        }
    }

    /// Returns true if the peer is in TRUSTED_PROXIES, and does not pass on a request of another
    /// program.
    pub(super) fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// Returns the address of the peer.
    pub(super) fn peer_address(&self) -> IpAddr {
        self.peer.socket.ip()
    }

    fn common(&self) -> Common<'_> {
        let left = self.deadline.saturating_duration_since(Instant::now()).as_millis();
        Common {
            deadline_ms: Some(u32::try_from(left).unwrap_or(u32::MAX)),
            traceparent: self.traceparent.as_deref().map(Into::into),
            ..Common::default()
        }
    }
}

/// Access token of a request, from `Authorization: Bearer`. Cookies do not count, so no other site
/// can make a browser send one.
pub(super) struct AccessToken(Zeroizing<String>);

impl AccessToken {
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Returns the caller that holds the token.
    pub(super) fn caller(&self) -> Caller<'_> {
        Caller::AccessToken(&self.0)
    }
}

impl FromRequestParts<Arc<Api>> for AccessToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, Problem> {
        match token::in_authorization(&parts.headers) {
            Ok(Some(token)) => Ok(Self(Zeroizing::new(token.to_owned()))),
            Ok(None) => Err(Problem::no_token()),
            Err(token::Malformed) => Err(Problem::invalid_token()),
        }
    }
}

/// UUID in the path, in its usual form of 36 characters.
pub(super) struct Id(pub(super) Uuid);

impl FromRequestParts<Arc<Api>> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, api).await;
        let text = text.map_err(|_| Problem::not_found())?;
        uuid(&text).map(Self).ok_or_else(Problem::not_found)
    }
}
