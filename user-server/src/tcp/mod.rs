//! The TCP server: a listener, its connections, their limits and their end. It knows sockets and frames, and no user.

mod connection;
mod input;
mod tally;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::handler::{Handler, Peer};
use crate::metrics::Metrics;
pub use connection::serve;
pub use tally::names;

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Requests in flight; then the server stops reading.
    pub in_flight: usize,
    /// Of them, those that hash or wait to; then the server answers `BUSY`.
    pub hashing: usize,
    /// From the accept to the end of the first frame.
    pub first_frame: Duration,
    /// From the first byte of a frame to its last.
    pub frame: Duration,
    /// Without a frame, and with none in flight.
    pub idle: Duration,
    /// For the peer to read what is written.
    pub write: Duration,
}

/// How the server ends: each stage once.
#[derive(Clone, Default)]
pub struct Shutdown {
    /// Nothing new: connections are told, requests in flight are answered.
    pub drain: CancellationToken,
    /// The grace is over: connections end as they are.
    pub kill: CancellationToken,
}

/// Who is believed to say for whom a request is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedPeers(Vec<Network>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    ip: std::net::IpAddr,
    prefix: u32,
}

impl TrustedPeers {
    /// Reads `127.0.0.1, 10.1.0.0/16, ::1`.
    ///
    /// # Errors
    /// The part that is no network.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| Network::parse(part).ok_or_else(|| part.to_owned())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether this peer is one.
    #[must_use]
    pub fn contains(&self, ip: std::net::IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(ip.to_canonical()))
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (ip, prefix) = text.split_once('/').map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
        let ip: std::net::IpAddr = ip.parse().ok()?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(most), |prefix| prefix.parse().ok())?;
        (prefix <= most).then_some(Self { ip, prefix })
    }

    fn contains(self, other: std::net::IpAddr) -> bool {
        use std::net::IpAddr::{V4, V6};
        match (self.ip, other) {
            (V4(own), V4(other)) => same_prefix(own.to_bits().into(), other.to_bits().into(), 32, self.prefix),
            (V6(own), V6(other)) => same_prefix(own.to_bits(), other.to_bits(), 128, self.prefix),
            _ => false,
        }
    }
}

fn same_prefix(a: u128, b: u128, width: u32, prefix: u32) -> bool {
    (a ^ b).checked_shr(width - prefix).unwrap_or(0) == 0
}

/// The listener and all that it needs.
pub struct Server {
    /// Where connections come in.
    pub listener: TcpListener,
    /// Who answers.
    pub handler: Arc<Handler>,
    /// What each connection may do.
    pub limits: ConnectionLimits,
    /// The most connections; further ones wait to be accepted.
    pub max_connections: usize,
    /// Who is believed.
    pub trusted: TrustedPeers,
    /// The end.
    pub shutdown: Shutdown,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Connections and requests, for the end to wait for.
    pub tasks: TaskTracker,
}

impl Server {
    /// Accepts until it drains.
    pub async fn run(self) {
        let places = Arc::new(Semaphore::new(self.max_connections));
        loop {
            let place = tokio::select! {
                () = self.shutdown.drain.cancelled() => return,
                place = places.clone().acquire_owned() => place,
            };
            // The semaphore is never closed.
            let Ok(place) = place else { return };
            let accepted = tokio::select! {
                () = self.shutdown.drain.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    let serving = self.connection(stream, address);
                    self.tasks.spawn(async move {
                        serving.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, or a peer that has gone already: a pause lets other connections end.
                    self.metrics.connections.accept_errors.inc();
                    tracing::warn!(%error, "a connection can not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn connection(&self, stream: TcpStream, address: SocketAddr) -> impl Future<Output = ()> + Send + 'static {
        let peer = Peer { ip: address.ip().to_canonical(), trusted: self.trusted.contains(address.ip()) };
        let (handler, limits) = (self.handler.clone(), self.limits);
        let (shutdown, tasks) = (self.shutdown.clone(), self.tasks.clone());
        let metrics = self.metrics.clone();
        async move {
            // Replies are batched here already; to wait for more would only delay them.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection has gone before it was served");
                return;
            }
            serve(stream, handler, peer, limits, shutdown, tasks, metrics).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TrustedPeers;

    #[test]
    fn networks_hold_their_addresses() {
        let peers = TrustedPeers::parse("127.0.0.0/8, 10.1.0.0/16, ::1, 2001:db8::/32").unwrap();
        for (ip, trusted) in [
            ("127.0.0.1", true),
            ("127.255.0.1", true),
            ("10.1.255.9", true),
            ("10.2.0.1", false),
            ("::1", true),
            ("::2", false),
            ("2001:db8:ffff::1", true),
            ("::ffff:127.0.0.1", true),
        ] {
            assert_eq!(peers.contains(ip.parse().unwrap()), trusted, "{ip}");
        }
        assert!(TrustedPeers::parse("0.0.0.0/0").unwrap().contains("203.0.113.9".parse().unwrap()));
        assert!(TrustedPeers::parse("").unwrap().0.is_empty());
        for wrong in ["x", "10.0.0.0/33", "::1/129", "10.0.0.0/-1", "10.0.0.0/"] {
            assert!(TrustedPeers::parse(wrong).is_err(), "{wrong}");
        }
    }
}
