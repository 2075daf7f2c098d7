//! What every request to the API has in common: its token, its ids, and the call to the service.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, Path};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use user_proto::verifier::{NotVerified, Verified, VerifyError};
use user_proto::{
    Common, ErrorCode, ErrorOutcome, Login, Logout, Message, RequestMessage, TokenReply,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Api;
use super::body::{Reply, uuid};
use super::idempotency::{self, Caller};
use super::problem::{Problem, RequestKind};
use super::replies::OpenedSession;
use crate::auth::same_origin;
use crate::auth::token::{self, Source, Token};
use crate::cookies::{Cookies, SetCookies};
use crate::forwarded::{Peer, traceparent};

/// Context of a request to the API, from which the service is called.
pub(super) struct Call {
    api: Arc<Api>,
    peer: Peer,
    client: IpAddr,
    /// True if the request has a cookie of a session, and no Authorization beside it.
    has_cookies: bool,
    /// True if the request says that it comes from a page of another origin.
    is_foreign: bool,
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
            has_cookies: api.cookies.are_present(headers) && !headers.contains_key(AUTHORIZATION),
            is_foreign: same_origin::states_origin(headers)
                && !same_origin::is_own_page(headers, &peer, api.scheme),
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

    pub(super) fn cookies(&self) -> &Cookies {
        &self.api.cookies
    }

    /// Returns true if the request has cookies that count.
    pub(super) fn has_cookies(&self) -> bool {
        self.has_cookies
    }

    /// Returns the cookies that delete those of a session, if its token was in one of them.
    pub(super) fn cleared(&self, token: &AccessToken) -> SetCookies {
        match token.source {
            Source::Cookie => self.cookies().clear(),
            Source::Authorization => SetCookies::default(),
        }
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

    /// Returns the scheme and host to which the browser has sent the request, if they are known.
    pub(super) fn own_origin<'a>(&'a self, headers: &'a HeaderMap) -> Option<(&'a str, &'a str)> {
        self.peer.own_origin(headers, self.api.scheme)
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

/// Way in which a caller gets the tokens of a session that it opens.
pub(super) enum Delivery {
    Body,
    /// Cookies, which replace those of the previous sessions, if there were any.
    Cookies(Vec<AccessToken>),
}

impl Delivery {
    /// Returns the way that a request asks for.
    ///
    /// # Errors
    /// If that is cookies, and the request comes from a page of another origin.
    pub(super) fn of(
        call: &Call,
        previous: Result<AccessTokens, Problem>,
        return_tokens: bool,
    ) -> Result<Self, Problem> {
        if return_tokens {
            return Ok(Self::Body);
        }
        if call.is_foreign {
            let detail = "Only a page of the same origin gets cookies. Set return_tokens to true to \
                          get the tokens.";
            return Err(Problem::new(StatusCode::FORBIDDEN, "NOT_SAME_ORIGIN", detail));
        }
        let mut previous = previous.map_or_else(|_| Vec::new(), |tokens| tokens.0);
        previous.retain(|token| token.source == Source::Cookie);
        Ok(Self::Cookies(previous))
    }

    /// Returns the reply with the tokens of a session. Ends the sessions that the cookies belonged
    /// to before, as far as that is possible: nothing else could end them on this device.
    pub(super) async fn deliver<const TYPE: u8>(
        self,
        call: &Call,
        tokens: TokenReply<'static, TYPE>,
    ) -> (SetCookies, Reply<OpenedSession>) {
        // It may be the reply to an earlier request, so it only shows the least age.
        if let Some(at) = tokens.access_token.expose_str().and_then(idempotency::issued_at) {
            call.api.token_ages.age(at);
        }
        let (cookies, body) = match self {
            Self::Body => (SetCookies::default(), OpenedSession::with_tokens(tokens)),
            Self::Cookies(previous) => {
                // The reply to a repeated request is that of the first one.
                let is_other = |old: &&AccessToken| {
                    idempotency::session_id(old.text()) != Some(tokens.session_id)
                };
                for old in previous.iter().filter(is_other) {
                    let logout = Logout { token: old.text().into(), all_sessions: None };
                    let common =
                        Common { client_address: Some(call.client.into()), ..call.common() };
                    if let Err(error) = call.api.upstream.pool().call_with(logout, common).await {
                        tracing::debug!(%error, "the previous session of a browser was not ended");
                    }
                }
                (call.cookies().set(&tokens), OpenedSession::in_cookies(&tokens))
            }
        };
        (cookies, Reply(StatusCode::CREATED, body))
    }
}

/// Access token of a request, from `Authorization: Bearer`, or else from the cookie.
pub(super) struct AccessToken {
    value: Zeroizing<String>,
    source: Source,
}

impl AccessToken {
    pub(super) fn text(&self) -> &str {
        &self.value
    }

    /// Returns the caller that holds the token.
    pub(super) fn caller(&self) -> Caller<'_> {
        Caller::AccessToken(&self.value)
    }
}

impl FromRequestParts<Arc<Api>> for AccessToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        match token::find(&parts.headers, &api.cookies) {
            Ok(Some(Token { value, source })) => {
                Ok(Self { value: Zeroizing::new(value.to_owned()), source })
            }
            Ok(None) => Err(Problem::no_token()),
            Err(token::Malformed) => Err(Problem::invalid_token()),
        }
    }
}

/// The access tokens of a request that ends their sessions: normally one. If another host of the
/// domain has added a cookie of the same name, all of them, since one is that of the browser's
/// session.
pub(super) struct AccessTokens(pub(super) Vec<AccessToken>);

impl FromRequestParts<Arc<Api>> for AccessTokens {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let problem = match AccessToken::from_request_parts(parts, api).await {
            Ok(token) => return Ok(Self(vec![token])),
            Err(problem) => problem,
        };
        if parts.headers.contains_key(AUTHORIZATION) {
            return Err(problem);
        }
        let of_cookie = |value: &str| AccessToken {
            value: Zeroizing::new(value.to_owned()),
            source: Source::Cookie,
        };
        let found = token::in_cookies(&parts.headers, &api.cookies);
        let tokens: Vec<AccessToken> = found.into_iter().map(of_cookie).collect();
        if tokens.is_empty() { Err(problem) } else { Ok(Self(tokens)) }
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
