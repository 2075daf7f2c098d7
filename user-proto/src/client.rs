//! An async client: one connection, many requests in flight, typed replies.
//!
//! ```no_run
//! # async fn example() -> Result<(), user_proto::client::Error> {
//! use user_proto::{VerifyToken, client::Client};
//!
//! let client = Client::new("127.0.0.1:3001");
//! let verified = client.call(VerifyToken { access_token: "eyJ0eXAi".into() }).await?;
//! println!("{}", verified.user_id);
//! client.close().await;
//! # Ok(()) }
//! ```
//!
//! A [`Client`] is a handle: its clones share one connection. The first call establishes it, and a
//! call that finds it closed establishes it again, with backoff. If a connection ends while a
//! request is in flight, the client decides by whether the server can have executed the request:
//!
//! | request | action |
//! |---|---|
//! | not written completely, or SHUTTING_DOWN | not executed: sent again until its deadline |
//! | written, and may be repeated | sent again |
//! | BUSY | not executed: sent again after the time that the server asks for, three times at most |
//! | written, and must not be repeated | fails with [`Error::Lost`]: outcome unknown |
//!
//! A request may be repeated if [`RequestMessage::SAFE`] is `true` (a refresh for 30 s only), or if
//! it has an idempotency key.
//!
//! A [`Pool`] is a client of several nodes. It chooses the node of each request, and moves a
//! request to another node where that is safe.
//!
//! With the feature `tls`, `Config::tls` encrypts the connection. Without TLS, secrets are sent to
//! a loopback address only, unless [`Config::allow_plaintext`] is set. The client stores no tokens.

mod buffer;
mod config;
mod connection;
mod drive;
mod error;
mod history;
mod link;
mod loopback;
mod pool;
mod slots;
mod state;
mod stream;
#[cfg(feature = "tls")]
mod tls;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::DecodeError;
use crate::error_code::{ErrorCode, Retrier};
use crate::frame::FrameError;
use crate::layout::FieldKind;
use crate::limits;
use crate::message::{Message, ReplyMessage, RequestMessage};
use crate::table::{Common, ErrorReply, RefreshToken};
use connection::concerns_protocol;
use history::CallHistory;
use link::{Link, NoConnection, random_fraction};
use state::Outcome;

pub use config::{Config, Direction, Tap};
pub use error::{CloseReason, ConnectError, Error, HandshakeError};
pub use loopback::is_loopback;
#[cfg(feature = "verifier")]
pub(crate) use pool::Source;
pub use pool::{NodeStatus, Pool, PoolConfig};
pub use stream::Stream;
#[cfg(feature = "tls")]
pub use tls::{InvalidTlsOption, Tls, TlsOption, TlsOptions};

/// Time after the first sending of a `RefreshToken` during which the client may send it again: the
/// 30 s that the server allows, less a margin for the network. Later, the server would treat the
/// token as stolen and end the session.
const REPEAT_REFRESH_WITHIN: Duration = Duration::from_secs(25);
/// Time for which [`Client::close`] waits for the replies to requests in flight.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Number of connections that may be lost without any answer, before a call of a client that does
/// not wait for the server ends: the port may belong to another program.
const MAX_WITHOUT_ANSWER: u32 = 3;

/// A client of one server. Cloning it is cheap, and clones share one connection.
#[derive(Clone)]
pub struct Client {
    link: Arc<Link>,
}

impl Client {
    /// Creates a client of the server at `addr` (`host:port`). It connects with the first call.
    #[must_use]
    pub fn new(addr: impl Into<String>) -> Self {
        Self::with_config(addr, Config::default())
    }

    /// Creates a client of the server at `addr` (`host:port`) with this configuration. It connects
    /// with the first call.
    #[must_use]
    pub fn with_config(addr: impl Into<String>, config: Config) -> Self {
        Self { link: Arc::new(Link::new(addr.into(), config)) }
    }

    /// Sends `request` and waits for its reply.
    ///
    /// Dropping the future is safe at any point. The server still executes a request that was
    /// already sent; its request id and its slot are released when the reply arrives.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn call<M: RequestMessage>(&self, request: M) -> Result<M::Reply, Error> {
        self.call_with(request, Common::default()).await
    }

    /// Sends `request` with common tags and waits for its reply. `deadline_ms` is the deadline of
    /// this call; the client sends the remaining time with the request.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn call_with<M: RequestMessage>(
        &self,
        request: M,
        common: Common<'_>,
    ) -> Result<M::Reply, Error> {
        let started = Instant::now();
        let explicit = common
            .deadline_ms
            .map(|ms| Duration::from_millis(ms.into()))
            .or(self.link.config().deadline);
        let timeout = explicit.unwrap_or(Duration::from_millis(limits::DEFAULT_DEADLINE_MS.into()));
        if timeout.is_zero() {
            return Err(Error::DeadlineExceeded { sent: false });
        }
        // A deadline that an `Instant` cannot represent never passes.
        let deadline = started.checked_add(timeout);
        self.call_until(&request, common, explicit.and(deadline), deadline, true).await
    }

    /// Sends `request` and waits for its reply until `deadline`, or without a limit if it is
    /// `None`. `sent` is the deadline that is sent to the server. With `repeat`, the request is
    /// sent again after `SHUTTING_DOWN`, and, if it may be repeated, after a lost connection.
    async fn call_until<M: RequestMessage>(
        &self,
        request: &M,
        common: Common<'_>,
        sent: Option<Instant>,
        deadline: Option<Instant>,
        repeat: bool,
    ) -> Result<M::Reply, Error> {
        if self.link.refuses_secrets() && needs_protection::<M>() {
            return Err(Error::PlaintextRefused);
        }
        let mut history = CallHistory::until(deadline);
        let attempts = self.attempts(request, common, sent, repeat, &mut history);
        let result = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, attempts).await.ok(),
            None => Some(attempts.await),
        };
        result.unwrap_or_else(|| Err(history.at_deadline()))
    }

    /// Waits up to 10 s for the replies to requests in flight, and closes the connection. Further
    /// calls on any clone fail with [`Error::Closed`].
    pub async fn close(&self) {
        if let Some(connection) = self.link.close() {
            connection.retire();
            if tokio::time::timeout(CLOSE_TIMEOUT, connection.closed()).await.is_err() {
                connection.abort();
                connection.closed().await;
            }
        }
    }

    /// Waits until a request may be sent again that the server answered with `reply`.
    ///
    /// # Errors
    /// The error of the call, if the request is not to be sent again.
    async fn wait_or_give_up(
        &self,
        reply: ErrorReply<'static>,
        repeat: bool,
        history: &mut CallHistory,
    ) -> Result<(), Error> {
        let attempts = if repeat { self.link.config().busy_attempts } else { 1 };
        let wait = match reply.code.retrier() {
            Retrier::Client => history.wait_after_busy(&reply, attempts, random_fraction()),
            _ => None,
        };
        let Some(wait) = wait else { return Err(history.end_refused(reply)) };
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Returns `true` if the client has a connection that accepts requests.
    fn is_connected(&self) -> bool {
        self.link.current().is_some()
    }

    /// Returns `true` if the client is connected and as many requests are in flight as the server
    /// accepts.
    fn is_full(&self) -> bool {
        self.link.current().is_some_and(|connection| !connection.has_free_slot())
    }

    /// Sends `request` until there is a reply, or an error after which another attempt could
    /// execute the request twice. `deadline` is sent to the server. Without `repeat`, only one
    /// attempt is sent.
    async fn attempts<M: RequestMessage>(
        &self,
        request: &M,
        mut common: Common<'_>,
        deadline: Option<Instant>,
        repeat: bool,
        history: &mut CallHistory,
    ) -> Result<M::Reply, Error> {
        let has_key = common.idempotency_key.is_some();
        // A client that does not wait for the server reports a mistyped address at once.
        let fails_fast = !self.link.config().wait_for_server;
        let mut without_answer = 0;
        loop {
            let connection = match self.link.connection().await {
                Ok(connection) => connection,
                Err(NoConnection::Closed) => return Err(history.end(Error::Closed)),
                Err(NoConnection::Failed(error)) => {
                    history.failed(error.into());
                    if self.link.config().wait_for_server {
                        continue;
                    }
                    return Err(history.give_up());
                }
                Err(NoConnection::NotAService(error)) => {
                    history.failed(not_a_service(error));
                    return Err(history.give_up());
                }
            };
            let would_be_theft =
                M::TYPE == RefreshToken::TYPE && history.since_first_sent() > REPEAT_REFRESH_WITHIN;
            if would_be_theft && history.is_lost() && !has_key {
                return Err(history.give_up());
            }
            let Some(sent) = connection.send(request, &mut common, deadline).await? else {
                continue;
            };
            history.sent(&connection, sent.end);
            match sent.outcome().await {
                Outcome::Reply { kind, body } if kind == ErrorReply::TYPE => {
                    let reply = ErrorReply::decode_owned(&body)
                        .map_err(|error| Error::BadReply { kind, error })?;
                    if reply.code != ErrorCode::SHUTTING_DOWN {
                        self.wait_or_give_up(reply, repeat, history).await?;
                        continue;
                    }
                    connection.retire_unsent();
                    if !repeat {
                        return Err(history.end(Error::Refused(reply)));
                    }
                    history.failed(Error::Refused(reply));
                }
                Outcome::Reply { kind, body } => return read::<M>(kind, &body),
                Outcome::NotSent => history.not_sent(),
                Outcome::NotAService { error, sent: false } if fails_fast => {
                    history.failed(not_a_service(error));
                    return Err(history.give_up());
                }
                Outcome::NotAService { error, sent: true } if fails_fast => {
                    history.lost(CloseReason::Frame(error));
                    return Err(history.give_up());
                }
                Outcome::NotAService { sent: false, .. } => history.not_sent(),
                Outcome::NotAService { error, sent: true } => {
                    history.lost(CloseReason::Frame(error));
                    if !repeat || (!M::SAFE && !has_key) {
                        return Err(history.give_up());
                    }
                }
                Outcome::Rejected(error) => {
                    history.failed(Error::Handshake(error));
                    if !self.link.config().wait_for_server {
                        return Err(history.give_up());
                    }
                }
                Outcome::ServerError(reply) => {
                    self.wait_or_give_up(reply, repeat, history).await?;
                }
                Outcome::Lost(reason) => {
                    let is_our_bug = matches!(
                        &reason, CloseReason::ServerError(reply) if concerns_protocol(reply)
                    );
                    history.lost(reason);
                    without_answer += u32::from(!connection.has_served());
                    let is_mistyped = fails_fast && without_answer >= MAX_WITHOUT_ANSWER;
                    if !repeat || is_our_bug || is_mistyped || (!M::SAFE && !has_key) {
                        return Err(history.give_up());
                    }
                }
            }
        }
    }
}

/// Returns `true` if requests of type `M` contain a secret, or if their replies decide which tokens
/// are valid.
fn needs_protection<M: Message>() -> bool {
    limits::TRUSTED_TYPES.contains(&M::TYPE)
        || M::FIELDS.iter().any(|field| field.kind == FieldKind::Secret)
}

/// Returns the error of a call that sent nothing, since the peer is no user service: its first
/// bytes were not a frame.
fn not_a_service(error: FrameError) -> Error {
    Error::Connect(io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Decodes the body of a frame with the type byte `kind` as the reply to a request of type `M`.
fn read<M: RequestMessage>(kind: u8, body: &[u8]) -> Result<M::Reply, Error> {
    if kind != M::Reply::TYPE {
        return Err(Error::BadReply { kind, error: DecodeError::UnknownType(kind) });
    }
    M::Reply::decode_owned(body).map_err(|error| Error::BadReply { kind, error })
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("addr", &self.link.addr()).finish_non_exhaustive()
    }
}
