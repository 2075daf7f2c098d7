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
//! A [`Client`] is a handle: clones share the connection, which is made by the first call and made
//! again, with back-off, by a call that finds it gone. What happens to a call when a connection
//! ends follows one question, whether the server can have executed it:
//!
//! | the request | then |
//! |---|---|
//! | was never written whole, or was answered SHUTTING_DOWN | it was not executed: sent again, unseen, while its deadline lasts |
//! | was written, and may be repeated | sent again: [`RequestMessage::SAFE`] (a refresh within 30 s), or with an idempotency key |
//! | was written, and may not be repeated | [`Error::Lost`]: the outcome is unknown |
//!
//! With the feature `tls`, `Config::tls` makes the connection a secret one; all else is the same.
//!
//! It knows frames and messages, no users: nothing here keeps a token.

mod buffer;
mod config;
mod connection;
mod drive;
mod error;
mod link;
mod state;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod trail;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::DecodeError;
use crate::error_code::ErrorCode;
use crate::limits;
use crate::message::{Message, ReplyMessage, RequestMessage};
use crate::table::{Common, ErrorReply, RefreshToken};
use link::{Link, NoConnection};
use state::Answer;
use trail::Trail;

pub use config::{Config, Direction, Tap};
pub use error::{Cause, Error, NoHandshake, NoStream};
pub use stream::Stream;
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsFault, TlsOptions, TlsPart};

/// How long after it was first sent a `RefreshToken` is sent again: the server's 30 s, less what
/// the way may take. Later it would look like a stolen token and end the session.
const REFRESH_AGAIN_WITHIN: Duration = Duration::from_secs(25);
/// How long [`Client::close`] waits for the replies to what is in flight.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// A handle to one server. Cloning it is cheap, and clones share its connection.
#[derive(Clone)]
pub struct Client {
    link: Arc<Link>,
}

impl Client {
    /// A client of the server at `addr`, which is `host:port`. Nothing is sent before the first
    /// call.
    #[must_use]
    pub fn new(addr: impl Into<String>) -> Self {
        Self::with_config(addr, Config::default())
    }

    /// A client that is not like the others.
    #[must_use]
    pub fn with_config(addr: impl Into<String>, config: Config) -> Self {
        Self { link: Arc::new(Link::new(addr.into(), config)) }
    }

    /// Sends `request` and waits for its reply.
    ///
    /// Dropping the future is safe at any point. A request that was sent is then executed all the
    /// same, and its id and its place among those in flight are free again when its reply comes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn call<M: RequestMessage>(&self, request: M) -> Result<M::Reply, Error> {
        self.call_with(request, Common::default()).await
    }

    /// As [`Client::call`], with common tags. `deadline_ms` is this call's deadline, here and at
    /// the server: what is left of it goes out with the request.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn call_with<M: RequestMessage>(
        &self,
        request: M,
        common: Common<'_>,
    ) -> Result<M::Reply, Error> {
        let begun = Instant::now();
        let told = common
            .deadline_ms
            .map(|ms| Duration::from_millis(ms.into()))
            .or(self.link.config().deadline);
        let patience = told.unwrap_or(Duration::from_millis(limits::DEFAULT_DEADLINE_MS.into()));
        if patience.is_zero() {
            return Err(Error::DeadlineExceeded { sent: false });
        }
        // A deadline too far away to be an instant is none.
        let deadline = begun.checked_add(patience);
        let mut trail = Trail::default();
        let attempts = self.attempts(&request, common, told.and(deadline), &mut trail);
        let ended = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, attempts).await.ok(),
            None => Some(attempts.await),
        };
        ended.unwrap_or_else(|| Err(trail.at_deadline()))
    }

    /// Sends nothing new, waits up to 10 s for the replies to what is in flight, and closes the
    /// connection. Calls on any clone fail with [`Error::Closed`] from now on.
    pub async fn close(&self) {
        if let Some(connection) = self.link.close() {
            connection.retire();
            if tokio::time::timeout(CLOSE_WITHIN, connection.ended()).await.is_err() {
                connection.cut();
                connection.ended().await;
            }
        }
    }

    /// Asks until there is an answer, or a failure after which asking again could do something
    /// twice.
    async fn attempts<M: RequestMessage>(
        &self,
        request: &M,
        mut common: Common<'_>,
        told: Option<Instant>,
        trail: &mut Trail,
    ) -> Result<M::Reply, Error> {
        let has_key = common.idempotency_key.is_some();
        loop {
            let connection = match self.link.connection().await {
                Ok(connection) => connection,
                Err(NoConnection::Closed) => return Err(trail.end(Error::Closed)),
                Err(NoConnection::Failed(error)) => {
                    trail.failed(error.into());
                    if self.link.config().wait_for_server {
                        continue;
                    }
                    return Err(trail.give_up());
                }
            };
            let would_be_theft =
                M::TYPE == RefreshToken::TYPE && trail.since_first_sent() > REFRESH_AGAIN_WITHIN;
            if would_be_theft && trail.is_lost() && !has_key {
                return Err(trail.give_up());
            }
            let Some(sent) = connection.send(request, &mut common, told).await? else { continue };
            trail.sent(&connection, sent.end);
            match sent.answer().await {
                Answer::Reply { kind, body } if kind == ErrorReply::TYPE => {
                    let reply = ErrorReply::decode_owned(&body)
                        .map_err(|error| Error::BadReply { kind, error })?;
                    if reply.code != ErrorCode::SHUTTING_DOWN {
                        return Err(Error::Refused(reply));
                    }
                    connection.retire_unsent();
                    trail.failed(Error::Refused(reply));
                }
                Answer::Reply { kind, body } => return read::<M>(kind, &body),
                Answer::NotSent => trail.not_sent(),
                Answer::KeptOut(why) => {
                    trail.failed(Error::Handshake(why));
                    if !self.link.config().wait_for_server {
                        return Err(trail.give_up());
                    }
                }
                Answer::Told(reply) => return Err(Error::Refused(reply)),
                Answer::Lost(cause) => {
                    trail.lost(cause);
                    if !M::SAFE && !has_key {
                        return Err(trail.give_up());
                    }
                }
            }
        }
    }
}

/// Reads the reply that `M` has to get.
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
