//! The listener: who is let in, who is turned away, and how either is told.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use user_proto::ErrorReply;

use super::connection::{self, ConnectionContext};
use super::handshakes::{Failed, Handshakes};
use super::limiter::{ConnectionLimiter, ConnectionSlot, MaxConnections};
use super::{Shutdown, TrustedPeers};
use crate::handler::{self, Peer};
use crate::metrics::{HandshakeFailure, Refused};
use crate::tls::Tls;

/// Connections that may wait to be accepted: a burst is accepted in a moment, and the system may
/// allow fewer.
const BACKLOG: u32 = 4096;
/// Those turned away that are told why and wait for their client to read it; further ones are
/// closed as they are.
const MAX_REJECTIONS: usize = 256;
/// What a client is told to wait that finds no place.
const NO_SLOT_PAUSE: Duration = Duration::from_secs(1);
/// A rest where nothing can be accepted, so that other connections can end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens where it is told to, also where a connection of an earlier process is not quite over.
///
/// # Errors
/// The system's.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The listener and all that it needs.
pub struct Server {
    listener: TcpListener,
    context: Arc<ConnectionContext>,
    trusted: TrustedPeers,
    limiter: Arc<ConnectionLimiter>,
    rejections: Arc<Semaphore>,
    handshakes: Option<Arc<Handshakes>>,
}

impl Server {
    /// A server that accepts once it runs. With `tls` every connection is secret.
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

    /// Accepts until it drains.
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
                    tracing::warn!(%error, "a connection can not be accepted");
                    // A peer that has gone already is its own matter; no file descriptors, or no
                    // memory, is ours.
                    if !matches!(error.kind(), std::io::ErrorKind::ConnectionAborted) {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }

    /// Lets a connection in, or turns it away; waits for nothing.
    fn receive(&self, stream: TcpStream, ip: IpAddr) {
        // Replies are batched here already; to wait for more would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection has gone before it was served");
            return;
        }
        let peer = Peer { ip, trusted: self.trusted.contains(ip) };
        let place = self.limiter.arrive(ip, peer.trusted);
        match (place, &self.handshakes) {
            (Some(place), Some(handshakes)) => {
                let door = self.door();
                let handshakes = handshakes.clone();
                self.context.tasks.spawn(Box::pin(async move {
                    door.shake(handshakes, stream, peer, place).await
                }));
            }
            (Some(place), None) => self.door().admit(stream, peer, place, Instant::now()),
            // To tell a client of TLS would cost the handshake that it is not to get.
            (None, Some(_)) => self.context.metrics.connections.refused(Refused::OfPeer),
            (None, None) => self.door().turn_away(stream, ip, Refused::OfPeer),
        }
    }

    fn door(&self) -> Admission {
        Admission { context: self.context.clone(), rejections: self.rejections.clone() }
    }
}

/// Where a connection that has come far enough is seated or turned away.
struct Admission {
    context: Arc<ConnectionContext>,
    rejections: Arc<Semaphore>,
}

impl Admission {
    async fn shake(
        self,
        handshakes: Arc<Handshakes>,
        stream: TcpStream,
        peer: Peer,
        place: ConnectionSlot,
    ) {
        let began = Instant::now();
        let drain = &self.context.shutdown.drain;
        let shaken = tokio::select! {
            shaken = handshakes.shake(stream, self.context.limits.first_frame) => shaken,
            () = drain.cancelled() => return,
        };
        match shaken {
            Ok(stream) => {
                let trusted = peer.trusted || handshakes.knows_clients();
                self.admit(stream, Peer { trusted, ..peer }, place, began);
            }
            Err(Failed::Plaintext(stream)) => {
                tracing::warn!(peer = %peer.ip, "a client speaks without TLS: what it sent has crossed the network in clear");
                self.context.metrics.tls.failed(HandshakeFailure::Plaintext);
                self.reject(stream, handler::needs_tls());
            }
            Err(Failed::Handshake(failure)) => {
                tracing::info!(reason = failure.kind.name(), why = failure.why, peer = %peer.ip, "a TLS handshake failed");
                self.context.metrics.tls.failed(failure.kind);
            }
        }
    }

    fn admit<S>(&self, stream: S, peer: Peer, mut place: ConnectionSlot, began: Instant)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if place.establish(peer.trusted) {
            self.context.tasks.spawn(connection::serve(
                stream,
                self.context.clone(),
                peer,
                began,
                place,
            ));
        } else {
            self.turn_away(stream, peer.ip, Refused::InAll);
        }
    }

    fn turn_away<S>(&self, stream: S, ip: IpAddr, why: Refused)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        tracing::debug!(reason = why.name(), peer = %ip, "no place for a connection");
        self.context.metrics.connections.refused(why);
        self.reject(stream, handler::no_slot(NO_SLOT_PAUSE));
    }

    /// Says a last word, as far as there is room for those who wait to hear it.
    fn reject<S>(&self, stream: S, word: ErrorReply<'static>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if let Ok(room) = self.rejections.clone().try_acquire_owned() {
            self.context.tasks.spawn(async move {
                connection::reject(stream, word).await;
                drop(room);
            });
        }
    }
}
