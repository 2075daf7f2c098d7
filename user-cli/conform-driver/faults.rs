//! Mistakes that clients written from PROTOCOL.md have made. The client of user-proto makes none of
//! them, so they are made around it: in the configuration, in what the driver reports, or by a
//! proxy that changes what the server sends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use user_proto::client::{Config, Error};
use user_proto::{
    ErrorClass, ErrorReply, Keys, Pong, ReplyMessage, Revocations, TokenVerified, frame, limits,
};

/// Mistake of a client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Repeats a request five times after an error of an unknown class.
    RepeatsUnknownClass,
    /// Does not know the outcome after a TLS alert.
    AlertIsUnknown,
    /// Ignores the idle timeout in Pong.
    IgnoresIdleTimeout,
    /// Has no window for requests that hash.
    NoHashingWindow,
    /// Ignores an error with id 0 that it cannot decode.
    IgnoresUnreadableError,
    /// Repeats a request at once against a single address.
    NoBackoff,
    /// Sends no pings, and waits forever for a server.
    SendsNoPings,
    /// Takes a lost request for one that was not executed.
    LostIsNotDone,
    /// Takes a request that the server could not finish for one that was not executed.
    FailedIsNotDone,
    /// Sends secrets in plaintext to any address.
    SendsPlaintext,
    /// Accepts a token with a wrong signature.
    AcceptsAnySignature,
    /// Accepts a token that has expired.
    AcceptsExpired,
    /// Refuses a token that it cannot check in memory, instead of asking the service.
    NeverAsks,
    /// Uses the first part of the revocations as if they were complete.
    IgnoresMore,
    /// Ignores the age of the service's knowledge in TokenVerified.
    IgnoresStaleAnswer,
    /// Ignores the age of the service's knowledge in Revocations.
    IgnoresStaleRevocations,
    /// Ignores `access_life`.
    IgnoresAccessLife,
}

impl Fault {
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        Ok(match name {
            "repeats-unknown-class" => Self::RepeatsUnknownClass,
            "alert-is-unknown" => Self::AlertIsUnknown,
            "ignores-idle-timeout" => Self::IgnoresIdleTimeout,
            "no-hashing-window" => Self::NoHashingWindow,
            "ignores-unreadable-error" => Self::IgnoresUnreadableError,
            "no-backoff" => Self::NoBackoff,
            "sends-no-pings" => Self::SendsNoPings,
            "lost-is-not-done" => Self::LostIsNotDone,
            "failed-is-not-done" => Self::FailedIsNotDone,
            "sends-plaintext" => Self::SendsPlaintext,
            "accepts-any-signature" => Self::AcceptsAnySignature,
            "accepts-expired" => Self::AcceptsExpired,
            "never-asks" => Self::NeverAsks,
            "ignores-more" => Self::IgnoresMore,
            "ignores-stale-answer" => Self::IgnoresStaleAnswer,
            "ignores-stale-revocations" => Self::IgnoresStaleRevocations,
            "ignores-access-life" => Self::IgnoresAccessLife,
            _ => return Err(format!("there is no fault `{name}`")),
        })
    }

    /// Changes the configuration of the client.
    pub(crate) fn change(self, config: &mut Config) {
        match self {
            Self::NoBackoff => {
                config.initial_backoff = Duration::ZERO;
                config.max_backoff = Duration::ZERO;
            }
            Self::SendsNoPings => {
                config.ping_after = Duration::from_secs(3_600);
                config.ping_pending_after = config.ping_after;
            }
            Self::SendsPlaintext => config.allow_plaintext = true,
            _ => {}
        }
    }

    /// Returns `true` if this client takes a call with this error for one that was not executed.
    pub(crate) fn denies(self, error: &Error) -> bool {
        match self {
            Self::LostIsNotDone => matches!(error, Error::Lost { .. }),
            Self::FailedIsNotDone => error.code().is_some_and(|code| code.0 >> 8 == 6),
            _ => false,
        }
    }

    /// Puts a proxy before each address, if the mistake needs one. Returns the addresses for the
    /// client.
    pub(crate) async fn between(self, addresses: Vec<String>) -> std::io::Result<Vec<String>> {
        let proxied = [
            Self::IgnoresIdleTimeout,
            Self::NoHashingWindow,
            Self::IgnoresUnreadableError,
            Self::IgnoresMore,
            Self::IgnoresStaleAnswer,
            Self::IgnoresStaleRevocations,
            Self::IgnoresAccessLife,
        ];
        if !proxied.contains(&self) {
            return Ok(addresses);
        }
        let mut proxies = Vec::new();
        for address in addresses {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            proxies.push(listener.local_addr()?.to_string());
            tokio::spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(relay(client, address.clone(), self));
                }
            });
        }
        Ok(proxies)
    }

    /// Returns the bytes that the client gets for a frame of the server.
    fn rewrite(self, frame: &frame::Frame<'_>, bytes: &[u8]) -> Vec<u8> {
        let rewritten = match self {
            Self::IgnoresIdleTimeout => {
                changed(frame, |pong: Pong| Pong { idle_timeout: None, ..pong })
            }
            Self::NoHashingWindow => {
                changed(frame, |pong: Pong| Pong { max_hashing: Some(65_536), ..pong })
            }
            Self::IgnoresMore => {
                changed(frame, |answer: Revocations<'static>| Revocations { more: 0, ..answer })
            }
            Self::IgnoresStaleRevocations => {
                changed(frame, |answer: Revocations<'static>| Revocations { stale_ms: 0, ..answer })
            }
            Self::IgnoresStaleAnswer => {
                changed(frame, |answer: TokenVerified| TokenVerified { stale_ms: None, ..answer })
            }
            Self::IgnoresAccessLife => {
                changed(frame, |keys: Keys<'static>| Keys { access_life: 3_600, ..keys })
            }
            Self::IgnoresUnreadableError => {
                let is_error = frame.id == limits::CONNECTION_ID;
                (is_error && ErrorReply::decode_owned(frame.body).is_err()).then(Vec::new)
            }
            _ => None,
        };
        rewritten.unwrap_or_else(|| bytes.to_vec())
    }
}

/// Returns the frame after a change of its message, if it contains one of this type.
fn changed<M: ReplyMessage>(
    frame: &frame::Frame<'_>,
    change: impl FnOnce(M) -> M,
) -> Option<Vec<u8>> {
    let message = (frame.kind == M::TYPE).then(|| M::decode_owned(frame.body).ok()).flatten()?;
    let mut out = bytes::BytesMut::new();
    // The changes make no message longer.
    let _ = user_proto::encode(frame.id, &change(message), &mut out);
    Some(out.to_vec())
}

/// Passes bytes to the server unchanged, and frames to the client as the fault rewrites them.
async fn relay(client: TcpStream, address: String, fault: Fault) {
    let Ok(server) = TcpStream::connect(address).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    let down = async {
        let mut input = bytes::BytesMut::new();
        loop {
            while let Ok(Some((frame, size))) = frame::split(&input) {
                let out = fault.rewrite(&frame, input.get(..size).unwrap_or_default());
                let _ = to_client.write_all(&out).await;
                let _ = input.split_to(size);
            }
            if !matches!(from_server.read_buf(&mut input).await, Ok(count) if count > 0) {
                let _ = to_client.write_all(&input).await;
                let _ = to_client.shutdown().await;
                return;
            }
        }
    };
    tokio::join!(up, down);
}

pub(crate) fn is_of_unknown_class(error: &Error) -> bool {
    error.code().is_some_and(|code| code.class() == ErrorClass::Unknown)
}

pub(crate) fn is_alert(error: &Error) -> bool {
    matches!(error, Error::Handshake(_))
}
