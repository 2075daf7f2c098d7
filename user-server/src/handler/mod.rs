//! The message handler: executes each request as a use case and converts the result into a reply.
//! It is the only module that uses both messages and services.
//!
//! Each message has one file, with one implementation of `Handle`. Dispatch is generated from the
//! protocol table.

mod dispatch;
mod execute_once;
mod replay;
mod replies;
mod sizes;

mod confirm_email;
mod delete_user;
mod end_session;
mod get_user;
mod list_sessions;
mod login;
mod logout;
mod ping;
mod refresh_token;
mod register;
mod request_password_reset;
mod resend_code;
mod reset_password;
mod update_user;
mod verify_email;
mod verify_token;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use user_proto::limits::{DEFAULT_DEADLINE_MS, MAX_DEADLINE_MS};
use user_proto::{Common, ErrorReply, Reply, Request, RequestMessage};

use crate::domain::{ClientNetwork, Fault, Refusal, RequestContext, Timestamp, UseCaseResult};
use crate::idempotency::Idempotency;
use crate::tokens::Tokens;
use crate::users::Users;
use replay::Replay;

pub use replies::{busy, frame_error, malformed_id, needs_tls, no_slot, undecodable};

/// The services that requests are executed with.
pub struct Services {
    pub users: Users,
    pub tokens: Arc<Tokens>,
    pub idempotency: Idempotency,
    pub limits: AdvertisedLimits,
}

/// Limits that Pong advertises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdvertisedLimits {
    /// The largest number of requests in flight on one connection.
    pub max_in_flight: u32,
    /// The time after which a silent connection is closed.
    pub idle_timeout: Duration,
    pub max_hashing: u32,
}

/// One reading of the wall clock and the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct ClockReading {
    /// The time of the service, which all nodes share.
    pub time: Timestamp,
    /// The time of the process.
    pub instant: Instant,
}

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The remote address of the socket.
    pub ip: std::net::IpAddr,
    /// Set if the `client_address` that it sends is trusted.
    pub trusted: bool,
}

impl Peer {
    /// Returns the network of the end user of a request: the one that a trusted peer names, if it
    /// does, or the peer's own.
    #[must_use]
    pub fn client_network(&self, common: &Common<'_>) -> Option<ClientNetwork> {
        match self.trusted {
            true => common.client_address.as_ref().map(|address| address.ip().into()),
            false => Some(self.ip.into()),
        }
    }
}

/// Execution of one message.
trait Handle: RequestMessage {
    /// Set if the message is answered by the connection's reader, without waiting for anything.
    const IMMEDIATE: bool = false;
    /// Set if the message issues a new token or code, and so needs a signing key. Other messages
    /// carry a token or code, which is refused if every key is retired.
    const NEEDS_KEY: bool = false;

    /// Checks the sizes of the fields, before anything of the request is copied.
    ///
    /// # Errors
    /// A refusal of class 02 where a value that would be set is too large, or that of a wrong value
    /// where it is presented.
    fn check_sizes(&self) -> Result<(), Refusal>;

    /// Answers an immediate message.
    fn answer_now(&self, _: &Services, _: ClockReading) -> UseCaseResult<Self::Reply> {
        Err(Fault::internal("the message is not answered immediately").into())
    }

    /// Executes the request.
    fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> impl Future<Output = UseCaseResult<Self::Reply>> + Send;

    /// Rebuilds the reply to a completed request from its stored outcome.
    fn replay(
        self,
        _: &Services,
        _: Replay<'_>,
    ) -> impl Future<Output = UseCaseResult<Self::Reply>> + Send {
        async { Err(Fault::internal("the message has no outcome to repeat").into()) }
    }
}

/// Executes requests.
pub struct Handler {
    services: Services,
}

impl Handler {
    #[must_use]
    pub fn new(services: Services) -> Self {
        Self { services }
    }

    #[must_use]
    pub fn limits(&self) -> AdvertisedLimits {
        self.services.limits
    }

    /// Reads both clocks.
    #[must_use]
    pub fn read_clocks(&self) -> ClockReading {
        ClockReading { time: self.services.tokens.time(), instant: Instant::now() }
    }

    /// Answers a request that needs no waiting, and returns `None` for any other. Requests that
    /// arrive in one read share a clock reading.
    #[must_use]
    pub fn answer_now(
        &self,
        request: &Request<'_>,
        common: &Common<'_>,
        clocks: ClockReading,
    ) -> Option<Reply<'static>> {
        if !dispatch::is_immediate(request) {
            return None;
        }
        if common.deadline_ms == Some(0) {
            return Some(replies::error(Refusal::DeadlineExceeded.into()).into());
        }
        let answer = dispatch::answer_now(request, &self.services, clocks);
        Some(answer.unwrap_or_else(|failure| replies::error(failure).into()))
    }

    /// Returns the reply to a request with a field that is too large, or `None` where all fields
    /// are within their limits.
    #[must_use]
    pub fn refuse_too_large(request: &Request<'_>) -> Option<ErrorReply<'static>> {
        dispatch::check_sizes(request).err().map(|refusal| replies::error(refusal.into()))
    }

    /// Reports whether a request hashes a password, which has its own limit per connection.
    #[must_use]
    pub fn hashes(request: &Request<'_>) -> bool {
        dispatch::hashes(request)
    }

    /// Answers a request that arrived at `arrived`. `gone` is cancelled when its connection closes.
    pub async fn answer(
        &self,
        request: Request<'_>,
        common: &Common<'_>,
        peer: &Peer,
        arrived: Instant,
        gone: CancellationToken,
    ) -> Reply<'static> {
        let timeout = common.deadline_ms.unwrap_or(DEFAULT_DEADLINE_MS).min(MAX_DEADLINE_MS);
        let deadline = arrived + Duration::from_millis(timeout.into());
        let network = peer.client_network(common);
        let context = RequestContext { network, deadline, gone, claim: None };
        let answer = async {
            if Instant::now() >= deadline {
                return Err(Refusal::DeadlineExceeded.into());
            }
            if dispatch::needs_key(&request) {
                // Checked before a password is hashed, or a row is stored for which no code can be
                // derived.
                self.services.tokens.can_issue()?;
            }
            match common.idempotency_key {
                Some(key) if dispatch::changes(&request) => {
                    execute_once::execute(&self.services, key, request, context).await
                }
                // A request that changes nothing can be repeated without a key.
                _ => dispatch::execute(request, &self.services, &context).await,
            }
        };
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(failure)) => replies::error(failure).into(),
            Err(_) => replies::error(Refusal::DeadlineExceeded.into()).into(),
        }
    }
}

/// Returns the reply to a request that arrived after the server announced its shutdown.
#[must_use]
pub fn shutting_down() -> ErrorReply<'static> {
    replies::plain(user_proto::ErrorCode::SHUTTING_DOWN, None)
}

/// Returns the reply to a request that failed inside the server.
#[must_use]
pub fn internal() -> ErrorReply<'static> {
    replies::plain(user_proto::ErrorCode::INTERNAL, None)
}
