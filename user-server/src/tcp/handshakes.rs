//! Handshakes that are not done yet: bounded in time and in number. Where there are too many the
//! oldest gives way, so that who stalls loses to who is quick.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::metrics::HandshakeFailure;
use crate::tls::{NoHandshake, Tls, TlsStream};

/// The most handshakes at once. Each may hold some 100 KiB, for a client's chain of certificates.
const MOST: usize = 256;
/// The first byte of every handshake.
const HANDSHAKE: u8 = 0x16;

/// The handshakes of one server.
pub(super) struct Handshakes {
    tls: Arc<Tls>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    next: u64,
    /// Those that run, the oldest first. Dropping a sender ends its handshake.
    ends: BTreeMap<u64, oneshot::Sender<Infallible>>,
}

/// Why a handshake led to nothing.
pub(super) enum Failed {
    /// It went wrong.
    Handshake(NoHandshake),
    /// The client speaks without TLS, and can be told so.
    Plaintext(TcpStream),
}

impl Handshakes {
    pub(super) fn new(tls: Arc<Tls>) -> Self {
        Self { tls, running: Mutex::default() }
    }

    /// Whether whoever is in is believed.
    pub(super) fn knows_clients(&self) -> bool {
        self.tls.knows_clients()
    }

    /// Makes a stream a secret one.
    pub(super) async fn shake(
        &self,
        stream: TcpStream,
        within: Duration,
    ) -> Result<TlsStream<TcpStream>, Failed> {
        let (turn, pushed_out) = self.begin();
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(within, self.work(stream)) => shaken.unwrap_or_else(|_| {
                Err(failed(HandshakeFailure::Timeout, "it was not done in time"))
            }),
            _ = pushed_out => Err(failed(HandshakeFailure::PushedOut, "too many others came after it")),
        };
        self.running().ends.remove(&turn);
        shaken
    }

    async fn work(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Failed> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(1..) if first != [HANDSHAKE] => Err(Failed::Plaintext(stream)),
            Ok(_) => self.tls.accept(stream).await.map_err(Failed::Handshake),
            Err(error) => Err(failed(HandshakeFailure::Lost, &error.to_string())),
        }
    }

    fn begin(&self) -> (u64, oneshot::Receiver<Infallible>) {
        let (end, pushed_out) = oneshot::channel();
        let mut running = self.running();
        if running.ends.len() >= MOST {
            running.ends.pop_first();
        }
        let turn = running.next;
        running.next += 1;
        running.ends.insert(turn, end);
        (turn, pushed_out)
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(kind: HandshakeFailure, why: &str) -> Failed {
    Failed::Handshake(NoHandshake { kind, why: why.to_owned() })
}
