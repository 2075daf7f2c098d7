//! The listener: accepts connections, or rejects them with an error.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use user_proto::ErrorReply;

use super::connection;
use super::context::ConnectionContext;
use super::handshakes::{FailedHandshake, Handshakes};
use super::limiter::{ConnectionLimiter, ConnectionSlot, MaxConnections};
use super::peers::TrustedPeers;
use super::shutdown::Shutdown;
use crate::handler::{self, Peer};
use crate::metrics::{HandshakeFailure, RejectReason};
use crate::tls::Tls;

/// Maximum number of connections that wait to be accepted, enough for a burst. The system may allow
/// fewer.
const BACKLOG: u32 = 4096;
/// Maximum number of rejected connections that are sent an error and wait for their client to read
/// it. Further ones are closed without an error.
const MAX_REJECTIONS: usize = 256;
/// Retry delay sent to a client after its connection was rejected.
const NO_SLOT_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Pause after a connection could not be accepted, so that other connections can close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on an address, even while a connection of an earlier process is still closing.
///
/// # Errors
/// If the system refuses the address.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The TCP server: its listener, and the context of its connections.
pub struct Server {
    listener: TcpListener,
    context: Arc<ConnectionContext>,
    trusted: TrustedPeers,
    limiter: Arc<ConnectionLimiter>,
    rejections: Arc<Semaphore>,
    handshakes: Option<Arc<Handshakes>>,
}

impl Server {
    /// Returns a server that accepts connections once it runs. With `tls`, every connection is
    /// encrypted.
    #[must_use]
    pub fn new(
        listener: TcpListener,
        context: Arc<ConnectionContext>,
        limits: MaxConnections,
        trusted: TrustedPeers,
        tls: Option<Arc<Tls>>,
    ) -> Self {
        let handshakes = tls.map(|tls| Arc::new(Handshakes::new(tls)));
        let (limiter, rejections) =
            (Arc::new(ConnectionLimiter::new(limits)), Arc::new(Semaphore::new(MAX_REJECTIONS)));
        Self { listener, context, trusted, limiter, rejections, handshakes }
    }

    /// Accepts connections until the shutdown begins.
    pub async fn run(self) {
        let Shutdown { drain, .. } = &self.context.shutdown;
        loop {
            let accepted = tokio::select! {
                () = drain.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.receive(stream, address.ip().to_canonical()),
                Err(error) => {
                    self.context.metrics.connections.accept_errors.inc();
                    tracing::warn!(%error, "cannot accept a connection");
                    // If the peer has already left, there is nothing to wait for. Otherwise file
                    // descriptors or memory are exhausted.
                    if !matches!(error.kind(), std::io::ErrorKind::ConnectionAborted) {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }

    /// Admits or rejects a new connection, without waiting.
    fn receive(&self, stream: TcpStream, ip: IpAddr) {
        // Replies are batched by the connection; Nagle's algorithm would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection closed before it was served");
            return;
        }
        let peer = Peer { ip, trusted: self.trusted.contains(ip) };
        let slot = self.limiter.acquire(ip, peer.trusted);
        match (slot, &self.handshakes) {
            (Some(slot), Some(handshakes)) => {
                let admission = self.admission();
                let handshakes = handshakes.clone();
                self.context.tasks.spawn(Box::pin(async move {
                    admission.handshake(handshakes, stream, peer, slot).await
                }));
            }
            (Some(slot), None) => self.admission().admit(stream, peer, slot, Instant::now()),
            // To send an error to a TLS client would cost the handshake that the limit is to save.
            (None, Some(_)) => self.context.metrics.connections.rejected(RejectReason::PerPeer),
            (None, None) => self.admission().reject(stream, ip, RejectReason::PerPeer),
        }
    }

    fn admission(&self) -> Admission {
        Admission { context: self.context.clone(), rejections: self.rejections.clone() }
    }
}

/// Admission of one new connection, which serves or rejects it.
struct Admission {
    context: Arc<ConnectionContext>,
    rejections: Arc<Semaphore>,
}

impl Admission {
    async fn handshake(
        self,
        handshakes: Arc<Handshakes>,
        stream: TcpStream,
        peer: Peer,
        slot: ConnectionSlot,
    ) {
        let accepted = Instant::now();
        let drain = &self.context.shutdown.drain;
        let result = tokio::select! {
            result = handshakes.handshake(stream, &peer, self.context.limits.first_frame) => result,
            () = drain.cancelled() => return,
        };
        match result {
            Ok(stream) => {
                let trusted = peer.trusted || handshakes.authenticates_clients();
                self.admit(stream, Peer { trusted, ..peer }, slot, accepted);
            }
            Err(FailedHandshake::Plaintext(stream)) => {
                tracing::warn!(
                    peer = %peer.ip,
                    "a client connected without TLS; what it sent crossed the network in plaintext"
                );
                self.context.metrics.tls.failed(HandshakeFailure::Plaintext);
                self.send_error(stream, handler::needs_tls());
            }
            Err(FailedHandshake::Tls(error)) => {
                tracing::info!(
                    reason = error.reason.name(),
                    error = error.message,
                    peer = %peer.ip,
                    "TLS handshake failed"
                );
                self.context.metrics.tls.failed(error.reason);
            }
        }
    }

    fn admit<S>(&self, stream: S, peer: Peer, mut slot: ConnectionSlot, accepted: Instant)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if slot.establish(peer.trusted) {
            self.context.tasks.spawn(connection::serve(
                stream,
                self.context.clone(),
                peer,
                accepted,
                slot,
            ));
        } else {
            self.reject(stream, peer.ip, RejectReason::Total);
        }
    }

    fn reject<S>(&self, stream: S, ip: IpAddr, reason: RejectReason)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        tracing::debug!(reason = reason.name(), peer = %ip, "connection rejected: limit reached");
        self.context.metrics.connections.rejected(reason);
        self.send_error(stream, handler::no_slot(NO_SLOT_RETRY_AFTER));
    }

    /// Sends an error before the connection is closed, unless too many rejected connections still
    /// wait for their clients.
    fn send_error<S>(&self, stream: S, error: ErrorReply<'static>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if let Ok(permit) = self.rejections.clone().try_acquire_owned() {
            self.context.tasks.spawn(async move {
                connection::reject(stream, error).await;
                drop(permit);
            });
        }
    }
}
