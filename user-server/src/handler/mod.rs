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
mod get_keys;
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
mod watch_revocations;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use user_proto::limits::{DEFAULT_DEADLINE_MS, MAX_DEADLINE_MS};
use user_proto::{Common, ErrorReply, Reply, Request, RequestMessage};

use crate::domain::{
    ClientNetwork, Fault, Refusal, RequestContext, Requester, Timestamp, UseCaseResult,
};
use crate::idempotency::Idempotency;
use crate::tokens::Tokens;
use crate::users::Users;
use replay::Replay;

pub use replies::{
    busy, frame_error, malformed_id, needs_tls, no_slot, not_permitted, undecodable,
};
pub use watch_revocations::PendingWatch;

/// Services that execute requests.
pub struct Services {
    pub users: Users,
    pub tokens: Arc<Tokens>,
    pub idempotency: Idempotency,
    pub limits: AdvertisedLimits,
}

/// Limits of a connection that Pong advertises to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdvertisedLimits {
    /// Maximum number of requests in flight on one connection.
    pub max_in_flight: u32,
    /// The time without a frame after which a connection is closed.
    pub idle_timeout: Duration,
    pub max_hashing: u32,
}

/// One reading of the wall clock and the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct ClockReading {
    /// Time of the clock that all nodes share.
    pub time: Timestamp,
    /// Time of this process's monotonic clock.
    pub instant: Instant,
}

/// The remote peer of a connection: a client or a gateway.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The remote address of the socket.
    pub ip: std::net::IpAddr,
    /// Set if the `client_address` that the peer sends is trusted.
    pub trusted: bool,
}

impl Peer {
    /// Returns the network of the end user of a request: the network of the `client_address` that a
    /// trusted peer sends, or that of an untrusted peer itself. Returns `None` if a trusted peer
    /// sends no `client_address`.
    #[must_use]
    pub fn client_network(&self, common: &Common<'_>) -> Option<ClientNetwork> {
        match self.trusted {
            true => common.client_address.as_ref().map(|address| address.ip().into()),
            false => Some(self.ip.into()),
        }
    }
}

/// Execution of one type of request, implemented by its message.
trait Handle: RequestMessage {
    /// `true` if the task that reads the connection answers the message itself, without waiting for
    /// anything.
    const IMMEDIATE: bool = false;
    /// `true` if the message issues a new token or code, and so needs a signing key. Other messages
    /// carry a token or code, which is refused if every key is retired.
    const NEEDS_KEY: bool = false;

    /// Checks the sizes of the fields, before any part of the request is copied.
    ///
    /// # Errors
    /// A refusal of class 02 if a new value is too large, or, for a value that is compared with a
    /// stored one, the refusal of a wrong value.
    fn check_sizes(&self) -> Result<(), Refusal>;

    /// Answers a message with [`Self::IMMEDIATE`]. Returns `None` if the request must be executed.
    fn answer_now(&self, _: &Services, _: ClockReading) -> Option<UseCaseResult<Self::Reply>> {
        None
    }

    /// Checks, without writing anything, whether the request can only fail. Called before an
    /// idempotency key is claimed for it, which writes.
    ///
    /// # Errors
    /// The refusal with which the request would fail.
    fn precheck(
        &self,
        _: &Services,
        _: &RequestContext,
    ) -> impl Future<Output = UseCaseResult<()>> + Send {
        async { Ok(()) }
    }

    /// Begins to wait for what the request, which arrived at `arrived`, asks for. Returns `None` if
    /// the message does not wait for an event, but is executed.
    fn watch(&self, _: &Services, _arrived: Instant) -> Option<PendingWatch> {
        None
    }

    /// Executes the request and returns its reply.
    fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> impl Future<Output = UseCaseResult<Self::Reply>> + Send;

    /// Rebuilds the reply to a request that was completed before, from its recorded outcome.
    fn replay(
        self,
        _: &Services,
        _: Replay<'_>,
    ) -> impl Future<Output = UseCaseResult<Self::Reply>> + Send {
        async { Err(Fault::internal("the message has no outcome to repeat").into()) }
    }
}

/// Handler of the requests of all connections.
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

    /// Reads the wall clock and the monotonic clock.
    #[must_use]
    pub fn read_clocks(&self) -> ClockReading {
        ClockReading { time: self.services.tokens.time(), instant: Instant::now() }
    }

    /// Answers a request that needs no waiting, and returns `None` for any other. Requests that
    /// arrive in one read share `clocks`, one reading of the clocks.
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
        let answer = dispatch::answer_now(request, &self.services, clocks)?;
        Some(answer.unwrap_or_else(|failure| replies::error(failure).into()))
    }

    /// Begins to wait for the event that a request, which arrived at `arrived`, asks for. Returns
    /// `None` for a request that has to be executed instead.
    #[must_use]
    pub fn watch(
        &self,
        request: &Request<'_>,
        common: &Common<'_>,
        arrived: Instant,
    ) -> Option<PendingWatch> {
        // After its deadline, a request is refused where requests are executed.
        let deadline = arrived + deadline(common);
        let watch = dispatch::watch(request, &self.services, arrived)?;
        (deadline > arrived).then(|| watch.until(deadline))
    }

    /// Answers a request that waits for an event, with the events that there are.
    #[must_use]
    pub fn answer_watch(&self, watch: &PendingWatch) -> Reply<'static> {
        watch.reply(&self.services).into()
    }

    /// Returns the reply to a request with a field that is too large, or `None` if all fields are
    /// within their limits.
    #[must_use]
    pub fn refuse_too_large(request: &Request<'_>) -> Option<ErrorReply<'static>> {
        dispatch::check_sizes(request).err().map(|refusal| replies::error(refusal.into()))
    }

    /// Returns true if a request hashes a password. The number of such requests in flight has a
    /// limit per connection.
    #[must_use]
    pub fn hashes(request: &Request<'_>) -> bool {
        dispatch::hashes(request)
    }

    /// Answers a request that arrived at `arrived`. `gone` is cancelled when the connection of the
    /// request closes.
    pub async fn answer(
        &self,
        request: Request<'_>,
        common: &Common<'_>,
        peer: &Peer,
        arrived: Instant,
        gone: CancellationToken,
    ) -> Reply<'static> {
        let deadline = arrived + deadline(common);
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
        let answer = Requester::of(network).run(answer);
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(failure)) => replies::error(failure).into(),
            Err(_) => replies::error(Refusal::DeadlineExceeded.into()).into(),
        }
    }
}

/// Returns the time from the arrival of a request to its deadline.
fn deadline(common: &Common<'_>) -> Duration {
    let millis = common.deadline_ms.unwrap_or(DEFAULT_DEADLINE_MS).min(MAX_DEADLINE_MS);
    Duration::from_millis(millis.into())
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
