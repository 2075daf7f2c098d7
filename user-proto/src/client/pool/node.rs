//! One connection of a pool, with what is known about its node.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::super::Client;
use crate::table::{Common, Ping};

pub(super) struct Node {
    pub(super) client: Client,
    in_flight: AtomicUsize,
    /// `true` from a request without a reply in time until a ping is answered in time.
    slow: AtomicBool,
}

/// State of one connection of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Address of the node.
    pub addr: String,
    /// `true` if the connection accepts requests.
    pub connected: bool,
    /// `true` if the node did not answer in time, and has not recovered yet.
    pub slow: bool,
    /// Number of requests that wait for a reply.
    pub in_flight: usize,
}

/// Rank by which nodes are chosen: the best node has the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    health: Health,
    in_flight: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Health {
    Healthy,
    /// As many requests are in flight as the node accepts.
    Full,
    Slow,
    Unreachable,
}

/// Guard that counts a request as in flight until it is dropped.
pub(super) struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Node {
    pub(super) fn new(client: Client) -> Self {
        Self { client, in_flight: AtomicUsize::new(0), slow: AtomicBool::new(false) }
    }

    pub(super) fn enter(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(&self.in_flight)
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.health() == Health::Healthy
    }

    pub(super) fn rank(&self) -> Rank {
        Rank { health: self.health(), in_flight: self.in_flight.load(Ordering::Relaxed) }
    }

    fn health(&self) -> Health {
        if !self.client.is_connected() {
            Health::Unreachable
        } else if self.slow.load(Ordering::Relaxed) {
            Health::Slow
        } else if self.client.is_full() {
            Health::Full
        } else {
            Health::Healthy
        }
    }

    pub(super) fn mark_slow(&self) {
        self.slow.store(true, Ordering::Relaxed);
    }

    pub(super) fn status(&self) -> NodeStatus {
        NodeStatus {
            addr: self.client.link.addr().to_owned(),
            connected: self.client.is_connected(),
            slow: self.slow.load(Ordering::Relaxed),
            in_flight: self.in_flight.load(Ordering::Relaxed),
        }
    }

    /// Pings the node every `interval`, which also reconnects it. Marks it as slow if there is no
    /// reply after `slow_after`, and as recovered if there is one in time. Does not return.
    pub(super) async fn probe(self: Arc<Self>, interval: Duration, slow_after: Duration) {
        let mut tick = tokio::time::interval(interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let sent = Instant::now();
            // Longer than a connection needs to be established, so that the ping does that too.
            let timeout = self.client.link.config().connect_timeout.max(slow_after);
            let ping = self.client.call_until(
                &Ping {},
                Common::default(),
                None,
                sent.checked_add(timeout),
                false,
            );
            tokio::pin!(ping);
            let answered = match tokio::time::timeout(slow_after, &mut ping).await {
                Ok(result) => result.is_ok(),
                Err(_) => {
                    // A node that is being connected to is not slow.
                    if self.client.is_connected() {
                        self.mark_slow();
                    }
                    // The next ping tells whether it has recovered.
                    let _ = ping.await;
                    false
                }
            };
            if answered {
                self.slow.store(false, Ordering::Relaxed);
            }
        }
    }
}
