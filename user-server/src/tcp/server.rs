//! The listener: who is let in, who is turned away, and how either is told.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use user_proto::ErrorReply;

use super::connection::{self, Shared};
use super::handshakes::{Failed, Handshakes};
use super::places::{Place, PlaceLimits, Places};
use super::{Shutdown, TrustedPeers};
use crate::handler::{self, Peer};
use crate::metrics::{HandshakeFailure, Refused};
use crate::tls::Tls;

/// Connections that may wait to be accepted: a burst is accepted in a moment, and the system may
/// allow fewer.
const BACKLOG: u32 = 4096;
/// Those turned away that are told why and wait for their client to read it; further ones are
/// closed as they are.
const PARTINGS: usize = 256;
/// What a client is told to wait that finds no place.
const PLACE_PAUSE: Duration = Duration::from_secs(1);
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
    shared: Arc<Shared>,
    trusted: TrustedPeers,
    places: Arc<Places>,
    partings: Arc<Semaphore>,
    handshakes: Option<Arc<Handshakes>>,
}

impl Server {
    /// A server that accepts once it runs. With `tls` every connection is secret.
    #[must_use]
    pub fn new(
        listener: TcpListener,
        shared: Arc<Shared>,
        limits: PlaceLimits,
        trusted: TrustedPeers,
        tls: Option<Arc<Tls>>,
    ) -> Self {
        let handshakes = tls.map(|tls| Arc::new(Handshakes::new(tls)));
        let (places, partings) =
            (Arc::new(Places::new(limits)), Arc::new(Semaphore::new(PARTINGS)));
        Self { listener, shared, trusted, places, partings, handshakes }
    }

    /// Accepts until it drains.
    pub async fn run(self) {
        let Shutdown { drain, .. } = &self.shared.shutdown;
        loop {
            let accepted = tokio::select! {
                () = drain.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.receive(stream, address.ip().to_canonical()),
                Err(error) => {
                    self.shared.metrics.connections.accept_errors.inc();
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
        let place = self.places.arrive(ip, peer.trusted);
        match (place, &self.handshakes) {
            (Some(place), Some(handshakes)) => {
                let door = self.door();
                let handshakes = handshakes.clone();
                self.shared.tasks.spawn(Box::pin(async move {
                    door.shake(handshakes, stream, peer, place).await
                }));
            }
            (Some(place), None) => self.door().seat(stream, peer, place, Instant::now()),
            // To tell a client of TLS would cost the handshake that it is not to get.
            (None, Some(_)) => self.shared.metrics.connections.refused(Refused::OfPeer),
            (None, None) => self.door().turn_away(stream, ip, Refused::OfPeer),
        }
    }

    fn door(&self) -> Door {
        Door { shared: self.shared.clone(), partings: self.partings.clone() }
    }
}

/// Where a connection that has come far enough is seated or turned away.
struct Door {
    shared: Arc<Shared>,
    partings: Arc<Semaphore>,
}

impl Door {
    async fn shake(self, handshakes: Arc<Handshakes>, stream: TcpStream, peer: Peer, place: Place) {
        let began = Instant::now();
        let drain = &self.shared.shutdown.drain;
        let shaken = tokio::select! {
            shaken = handshakes.shake(stream, self.shared.limits.first_frame) => shaken,
            () = drain.cancelled() => return,
        };
        match shaken {
            Ok(stream) => {
                let trusted = peer.trusted || handshakes.knows_clients();
                self.seat(stream, Peer { trusted, ..peer }, place, began);
            }
            Err(Failed::Plaintext(stream)) => {
                tracing::warn!(peer = %peer.ip, "a client speaks without TLS: what it sent has crossed the network in clear");
                self.shared.metrics.tls.failed(HandshakeFailure::Plaintext);
                self.part(stream, handler::needs_tls());
            }
            Err(Failed::Handshake(failure)) => {
                tracing::info!(reason = failure.kind.name(), why = failure.why, peer = %peer.ip, "a TLS handshake failed");
                self.shared.metrics.tls.failed(failure.kind);
            }
        }
    }

    fn seat<S>(&self, stream: S, peer: Peer, mut place: Place, began: Instant)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if place.settle(peer.trusted) {
            self.shared.tasks.spawn(connection::serve(
                stream,
                self.shared.clone(),
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
        self.shared.metrics.connections.refused(why);
        self.part(stream, handler::no_place(PLACE_PAUSE));
    }

    /// Says a last word, as far as there is room for those who wait to hear it.
    fn part<S>(&self, stream: S, word: ErrorReply<'static>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if let Ok(room) = self.partings.clone().try_acquire_owned() {
            self.shared.tasks.spawn(async move {
                connection::part(stream, word).await;
                drop(room);
            });
        }
    }
}
