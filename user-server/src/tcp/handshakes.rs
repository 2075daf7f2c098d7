//! TLS handshakes that are not complete yet: bounded in time and number. If there are too many, the
//! oldest is dropped, so that clients that stall do not hold up others.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::metrics::HandshakeFailure;
use crate::tls::{HandshakeError, Tls, TlsStream};

/// Maximum number of handshakes at the same time. Each may use some 100 KiB, for a client's
/// certificate chain.
const MAX_HANDSHAKES: usize = 256;
/// The first byte of every TLS handshake: the content type `handshake`.
const CONTENT_TYPE: u8 = 0x16;

/// The TLS handshakes of one server.
pub(super) struct Handshakes {
    tls: Arc<Tls>,
    ongoing: Mutex<OngoingHandshakes>,
}

#[derive(Default)]
struct OngoingHandshakes {
    next: u64,
    /// One sender per handshake, by its number, so the oldest first. Dropping a sender drops the
    /// handshake.
    senders: BTreeMap<u64, oneshot::Sender<Infallible>>,
}

/// A handshake that did not lead to a connection.
pub(super) enum FailedHandshake {
    Tls(HandshakeError),
    /// The client did not use TLS; its stream can carry an error in plaintext.
    Plaintext(TcpStream),
}

impl Handshakes {
    pub(super) fn new(tls: Arc<Tls>) -> Self {
        Self { tls, ongoing: Mutex::default() }
    }

    /// Returns true if clients must present a certificate, so that every connection is trusted.
    pub(super) fn authenticates_clients(&self) -> bool {
        self.tls.authenticates_clients()
    }

    /// Performs a handshake within `timeout`, and returns the encrypted stream.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        timeout: Duration,
    ) -> Result<TlsStream<TcpStream>, FailedHandshake> {
        let (number, pushed_out) = self.register();
        let result = tokio::select! {
            result = tokio::time::timeout(timeout, self.accept(stream)) => {
                result.unwrap_or_else(|_| Err(failed(HandshakeFailure::Timeout, "timed out")))
            }
            _ = pushed_out => {
                Err(failed(HandshakeFailure::PushedOut, "dropped in favour of newer handshakes"))
            }
        };
        self.ongoing().senders.remove(&number);
        result
    }

    async fn accept(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, FailedHandshake> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(1..) if first != [CONTENT_TYPE] => Err(FailedHandshake::Plaintext(stream)),
            Ok(_) => self.tls.accept(stream).await.map_err(FailedHandshake::Tls),
            Err(error) => Err(failed(HandshakeFailure::Lost, &error.to_string())),
        }
    }

    /// Registers a handshake, and drops the oldest if there are too many. Returns its number, and a
    /// receiver that is closed when the handshake is dropped in turn.
    fn register(&self) -> (u64, oneshot::Receiver<Infallible>) {
        let (sender, pushed_out) = oneshot::channel();
        let mut ongoing = self.ongoing();
        if ongoing.senders.len() >= MAX_HANDSHAKES {
            ongoing.senders.pop_first();
        }
        let number = ongoing.next;
        ongoing.next += 1;
        ongoing.senders.insert(number, sender);
        (number, pushed_out)
    }

    fn ongoing(&self) -> MutexGuard<'_, OngoingHandshakes> {
        self.ongoing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(reason: HandshakeFailure, message: &str) -> FailedHandshake {
    FailedHandshake::Tls(HandshakeError { reason, message: message.to_owned() })
}
