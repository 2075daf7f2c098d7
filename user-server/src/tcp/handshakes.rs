//! TLS handshakes that are not complete yet: bounded in time and number. If there are too many, the
//! oldest one of the peer that has the most is dropped, so that clients that stall do not hold up
//! others. IPv6 is also counted by /56 and /48. Handshakes of trusted addresses are dropped last.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::domain::{ClientNetwork, NetworkPrefix};
use crate::handler::Peer;
use crate::metrics::HandshakeFailure;
use crate::tls::{HandshakeError, Tls, TlsStream};

/// Maximum number of handshakes at the same time. Each may use some 100 KiB, for a client's
/// certificate chain.
const MAX_HANDSHAKES: usize = 256;
/// Weights of the handshakes of an IPv4 address or IPv6 /64, of an IPv6 /56, and of a /48, when
/// their numbers are compared: a /48 may have four times as many as a /64.
const WEIGHTS: [usize; 3] = [4, 2, 1];
/// The first byte of every TLS handshake: the content type `handshake`.
const CONTENT_TYPE: u8 = 0x16;

/// The TLS handshakes in progress of one server.
pub(super) struct Handshakes {
    tls: Arc<Tls>,
    ongoing: Mutex<OngoingHandshakes>,
}

#[derive(Default)]
struct OngoingHandshakes {
    next: u64,
    /// Handshakes in progress by number. Numbers increase, so the first handshake is the oldest.
    handshakes: BTreeMap<u64, Handshake>,
}

struct Handshake {
    /// Network of the peer; `None` for a trusted peer.
    network: Option<ClientNetwork>,
    /// Dropping the sender makes the task of the handshake abandon it.
    _guard: oneshot::Sender<Infallible>,
}

/// Reason for which a TLS handshake did not lead to an encrypted connection.
pub(super) enum FailedHandshake {
    Tls(HandshakeError),
    /// The client did not use TLS. An error can be sent to it in plaintext over this stream.
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

    /// Performs a TLS handshake within `timeout`, and returns the encrypted stream.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        peer: &Peer,
        timeout: Duration,
    ) -> Result<TlsStream<TcpStream>, FailedHandshake> {
        let (number, pushed_out) = self.register(peer);
        let result = tokio::select! {
            result = tokio::time::timeout(timeout, self.accept(stream)) => {
                result.unwrap_or_else(|_| Err(failed(HandshakeFailure::Timeout, "timed out")))
            }
            _ = pushed_out => {
                Err(failed(HandshakeFailure::PushedOut, "dropped in favour of newer handshakes"))
            }
        };
        self.ongoing().handshakes.remove(&number);
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

    /// Registers a handshake, and abandons another one if there are too many. Returns the number of
    /// the new handshake, and a receiver that is closed when it is abandoned itself.
    fn register(&self, peer: &Peer) -> (u64, oneshot::Receiver<Infallible>) {
        let network = (!peer.trusted).then(|| ClientNetwork::from(peer.ip));
        self.ongoing().register(network)
    }

    fn ongoing(&self) -> MutexGuard<'_, OngoingHandshakes> {
        self.ongoing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OngoingHandshakes {
    fn register(&mut self, network: Option<ClientNetwork>) -> (u64, oneshot::Receiver<Infallible>) {
        let (guard, pushed_out) = oneshot::channel();
        if self.handshakes.len() >= MAX_HANDSHAKES
            && let Some(number) = self.to_drop()
        {
            self.handshakes.remove(&number);
        }
        let number = self.next;
        self.next += 1;
        self.handshakes.insert(number, Handshake { network, _guard: guard });
        (number, pushed_out)
    }

    /// Returns the number of the handshake to abandon: the oldest one of the network with the most
    /// handshakes by [`WEIGHTS`]. Handshakes of trusted peers are abandoned last. Returns `None` if
    /// there is none.
    fn to_drop(&self) -> Option<u64> {
        let mut counts: HashMap<NetworkPrefix, usize> = HashMap::new();
        for network in self.handshakes.values().filter_map(|handshake| handshake.network) {
            for (prefix, weight) in network.prefixes().zip(WEIGHTS) {
                *counts.entry(prefix).or_default() += weight;
            }
        }
        let count = |handshake: &Handshake| {
            let prefixes = handshake.network.into_iter().flat_map(ClientNetwork::prefixes);
            prefixes.filter_map(|prefix| counts.get(&prefix)).max().copied().unwrap_or(0)
        };
        // The oldest one of those with the same number, so the last of the reversed order.
        let oldest_last = self.handshakes.iter().rev();
        oldest_last.max_by_key(|(_, handshake)| count(handshake)).map(|(number, _)| *number)
    }
}

fn failed(reason: HandshakeFailure, message: &str) -> FailedHandshake {
    FailedHandshake::Tls(HandshakeError { reason, message: message.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(ip: &str) -> Option<ClientNetwork> {
        Some(ClientNetwork::from(ip.parse::<std::net::IpAddr>().unwrap()))
    }

    #[test]
    fn the_peer_with_the_most_handshakes_makes_room() {
        let mut ongoing = OngoingHandshakes::default();
        let (_, mut gateway) = ongoing.register(None);
        let (_, mut user) = ongoing.register(network("192.0.2.1"));
        let flood: Vec<_> =
            (2..MAX_HANDSHAKES).map(|_| ongoing.register(network("192.0.2.9"))).collect();
        for _ in 0..10 {
            ongoing.register(network("192.0.2.2"));
        }
        assert_eq!(ongoing.handshakes.len(), MAX_HANDSHAKES);
        assert!(gateway.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        assert!(user.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        let dropped = |(_, mut receiver): (_, oneshot::Receiver<Infallible>)| {
            receiver.try_recv() == Err(oneshot::error::TryRecvError::Closed)
        };
        let dropped: Vec<bool> = flood.into_iter().map(dropped).collect();
        assert_eq!(dropped.iter().filter(|dropped| **dropped).count(), 10);
        assert!(dropped[..10].iter().all(|dropped| *dropped), "the oldest first");
    }

    #[test]
    fn the_many_networks_of_an_ipv6_site_are_counted_together() {
        let mut ongoing = OngoingHandshakes::default();
        let (_, mut user) = ongoing.register(network("192.0.2.1"));
        let (_, mut other) = ongoing.register(network("64:ff9b::192.0.2.1"));
        for subnet in 0..2 * MAX_HANDSHAKES {
            ongoing.register(network(&format!("2001:db8:1:{subnet:x}::1")));
        }
        assert_eq!(user.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        assert_eq!(other.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }

    #[test]
    fn trusted_peers_make_room_only_among_themselves() {
        let mut ongoing = OngoingHandshakes::default();
        let mut gateways: Vec<_> = (0..MAX_HANDSHAKES).map(|_| ongoing.register(None)).collect();
        ongoing.register(None);
        assert_eq!(ongoing.handshakes.len(), MAX_HANDSHAKES);
        assert_eq!(gateways[0].1.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(gateways[1].1.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }
}
