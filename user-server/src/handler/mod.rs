//! The message handler: a request, its use case, its reply. The only room that knows both messages
//! and services.

mod once;
mod replies;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use user_proto::limits::{DEFAULT_DEADLINE_MS, MAX_DEADLINE_MS};
use user_proto::{Common, ErrorReply, Pong, Reply, Request};

use crate::domain::{Caller, Failure, Refusal, Timestamp};
use crate::idempotency::Idempotency;
use crate::tokens::Tokens;
use crate::users::{Change, Users};

/// Requests to replies.
pub struct Handler {
    users: Users,
    tokens: Arc<Tokens>,
    idempotency: Idempotency,
    limits: Limits,
}

/// What a pong tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests in flight on one connection.
    pub max_in_flight: u32,
    /// How long a connection may be silent.
    pub idle_timeout: Duration,
}

/// What the clocks said.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// That of the service.
    pub time: Timestamp,
    /// That of the process.
    pub instant: Instant,
}

/// Where a request comes from.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The socket's address.
    pub ip: std::net::IpAddr,
    /// Whether it is believed who the end user is.
    pub trusted: bool,
}

impl Handler {
    /// A handler over the services.
    #[must_use]
    pub fn new(
        users: Users,
        tokens: Arc<Tokens>,
        idempotency: Idempotency,
        limits: Limits,
    ) -> Self {
        Self { users, tokens, idempotency, limits }
    }

    /// The limits that a pong tells.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Looks at the clocks.
    #[must_use]
    pub fn look(&self) -> Look {
        Look { time: self.tokens.time(), instant: Instant::now() }
    }

    /// Answers what needs no waiting: token checks and pings. All that came with one read share a
    /// look at the clocks.
    #[must_use]
    pub fn answer_now(
        &self,
        request: &Request<'_>,
        common: &Common<'_>,
        look: Look,
    ) -> Option<Reply<'static>> {
        match request {
            Request::VerifyToken(_) | Request::Ping(_) => {}
            _ => return None,
        }
        if common.deadline_ms == Some(0) {
            return Some(replies::error(Refusal::DeadlineExceeded.into()).into());
        }
        match request {
            Request::VerifyToken(request) => Some(
                match self.tokens.verify_at(request.access_token.expose(), look.time, look.instant)
                {
                    Ok(verified) => replies::verified(&verified).into(),
                    Err(failure) => replies::error(failure).into(),
                },
            ),
            Request::Ping(_) => Some(self.pong().into()),
            _ => None,
        }
    }

    fn pong(&self) -> Pong {
        Pong {
            max_in_flight: Some(self.limits.max_in_flight),
            idle_timeout: Some(replies::seconds(self.limits.idle_timeout)),
        }
    }

    /// Whether a request hashes a password, which has a limit of its own on each connection.
    #[must_use]
    pub fn hashes(request: &Request<'_>) -> bool {
        match request {
            Request::Register(_)
            | Request::Login(_)
            | Request::DeleteUser(_)
            | Request::ResetPassword(_) => true,
            Request::UpdateUser(update) => update.email.is_some() || update.new_password.is_some(),
            Request::VerifyToken(_)
            | Request::VerifyEmail(_)
            | Request::ResendCode(_)
            | Request::RefreshToken(_)
            | Request::Logout(_)
            | Request::GetUser(_)
            | Request::RequestPasswordReset(_)
            | Request::ConfirmEmail(_)
            | Request::Ping(_) => false,
        }
    }

    /// Whether a request is made for a new token or code. All others bring one along, and are
    /// refused for it where no key is left.
    fn needs_key(request: &Request<'_>) -> bool {
        match request {
            Request::Register(_)
            | Request::Login(_)
            | Request::ResendCode(_)
            | Request::RequestPasswordReset(_) => true,
            Request::VerifyToken(_)
            | Request::UpdateUser(_)
            | Request::DeleteUser(_)
            | Request::VerifyEmail(_)
            | Request::RefreshToken(_)
            | Request::Logout(_)
            | Request::GetUser(_)
            | Request::ResetPassword(_)
            | Request::ConfirmEmail(_)
            | Request::Ping(_) => false,
        }
    }

    /// Answers a request that arrived at `arrived`. `gone` is cancelled when its connection has
    /// gone.
    pub async fn answer(
        &self,
        request: Request<'_>,
        common: &Common<'_>,
        peer: &Peer,
        arrived: Instant,
        gone: CancellationToken,
    ) -> Reply<'static> {
        let patience = common.deadline_ms.unwrap_or(DEFAULT_DEADLINE_MS).min(MAX_DEADLINE_MS);
        let deadline = arrived + Duration::from_millis(patience.into());
        let network = match &common.client_address {
            Some(address) if peer.trusted => Some(address.ip().into()),
            None if peer.trusted => None,
            _ => Some(peer.ip.into()),
        };
        let caller = Caller { network, deadline, gone, claim: None };
        let answer = async {
            if Instant::now() >= deadline {
                return Err(Refusal::DeadlineExceeded.into());
            }
            if Self::needs_key(&request) {
                // Before it costs a hash, or leaves a row whose code nobody can make.
                self.tokens.can_issue()?;
            }
            match common.idempotency_key {
                // What changes nothing may be repeated anyway.
                Some(key) if once::changes(&request) => self.once(key, request, caller).await,
                _ => self.dispatch(request, &caller).await,
            }
        };
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(failure)) => replies::error(failure).into(),
            Err(_) => replies::error(Refusal::DeadlineExceeded.into()).into(),
        }
    }

    async fn dispatch(
        &self,
        request: Request<'_>,
        caller: &Caller,
    ) -> Result<Reply<'static>, Failure> {
        let users = &self.users;
        Ok(match request {
            Request::Register(r) => replies::registered(
                users.register(&r.username, &r.email, r.password.expose(), caller).await?,
            )
            .into(),
            Request::Login(r) => {
                replies::logged_in(&users.login(&r.login, r.password.expose(), caller).await?)
                    .into()
            }
            Request::VerifyToken(r) => {
                replies::verified(&self.tokens.verify(r.access_token.expose())?).into()
            }
            Request::UpdateUser(r) => {
                let change = Change {
                    username: r.username.as_deref(),
                    email: r.email.as_deref(),
                    new_password: r.new_password.as_ref().map(user_proto::Secret::expose),
                    current_password: r.current_password.as_ref().map(user_proto::Secret::expose),
                };
                replies::updated(users.update(r.access_token.expose(), change, caller).await?)
                    .into()
            }
            Request::DeleteUser(r) => {
                let id = users
                    .delete(r.access_token.expose(), r.current_password.expose(), caller)
                    .await?;
                user_proto::UserDeleted { user_id: id }.into()
            }
            Request::VerifyEmail(r) => {
                let grant = users
                    .verify_email(r.verification_id, r.code.expose(), r.username.as_deref(), caller)
                    .await?;
                replies::email_verified(&grant).into()
            }
            Request::ResendCode(r) => {
                replies::resent(users.resend_code(r.verification_id, caller).await?).into()
            }
            Request::RefreshToken(r) => {
                replies::refreshed(&self.tokens.refresh(r.refresh_token.expose(), caller).await?)
                    .into()
            }
            Request::Logout(r) => {
                let sessions_ended =
                    self.tokens.logout(r.token.expose(), r.all_sessions.is_some(), caller).await?;
                user_proto::LoggedOut { sessions_ended }.into()
            }
            Request::GetUser(r) => replies::user(users.get(r.access_token.expose()).await?).into(),
            Request::RequestPasswordReset(r) => {
                replies::reset_requested(users.request_password_reset(&r.email, caller).await?)
                    .into()
            }
            Request::ResetPassword(r) => {
                let (code, password) = (r.code.expose(), r.new_password.expose());
                let sessions_ended =
                    users.reset_password(r.verification_id, code, password, caller).await?;
                user_proto::PasswordReset { sessions_ended }.into()
            }
            Request::ConfirmEmail(r) => {
                let (token, code) = (r.access_token.expose(), r.code.expose());
                replies::email_confirmed(
                    users.confirm_email(token, r.verification_id, code, caller).await?,
                )
                .into()
            }
            Request::Ping(_) => self.pong().into(),
        })
    }
}

/// The reply to a request that came after the server had said that it is going down.
#[must_use]
pub fn shutting_down() -> ErrorReply<'static> {
    replies::plain(user_proto::ErrorCode::SHUTTING_DOWN, None)
}

/// The reply where the server itself has failed.
#[must_use]
pub fn internal() -> ErrorReply<'static> {
    replies::plain(user_proto::ErrorCode::INTERNAL, None)
}

pub use replies::{busy, frame_error, malformed_id, needs_tls, no_place, undecodable};
