//! ConnectionMetrics: how many there are, and why they ended.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Label, counters, gauge};

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The client closed it.
    Client,
    /// The network or the client broke it off.
    Lost,
    /// A length that can't be: most often another protocol.
    FrameError,
    /// A request id of zero or in flight.
    RequestId,
    /// No whole frame in time after the accept.
    FirstFrameTimeout,
    /// A frame that began and did not end in time.
    FrameTimeout,
    /// Silence.
    IdleTimeout,
    /// Replies that were not read in time.
    WriteTimeout,
    /// The server goes down.
    Drained,
    /// The server went down before the connection had ended.
    GraceOver,
}

impl Closed {
    const ALL: [Self; 10] = [
        Self::Client,
        Self::Lost,
        Self::FrameError,
        Self::RequestId,
        Self::FirstFrameTimeout,
        Self::FrameTimeout,
        Self::IdleTimeout,
        Self::WriteTimeout,
        Self::Drained,
        Self::GraceOver,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Lost => "lost",
            Self::FrameError => "frame_error",
            Self::RequestId => "request_id",
            Self::FirstFrameTimeout => "first_frame_timeout",
            Self::FrameTimeout => "frame_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::Drained => "drained",
            Self::GraceOver => "grace_over",
        }
    }
}

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There were as many as there may be.
    InAll,
    /// There were as many of its peer as there may be.
    OfPeer,
}

impl Refused {
    const ALL: [Self; 2] = [Self::InAll, Self::OfPeer];

    /// Its name, as a label and in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InAll => "in_all",
            Self::OfPeer => "of_peer",
        }
    }
}

/// ConnectionMetrics.
#[derive(Debug)]
pub struct ConnectionMetrics {
    open: Gauge,
    accepted: Counter,
    closed: Family<Label, Counter>,
    refused: Family<Label, Counter>,
    /// ConnectionMetrics that could not be accepted.
    pub accept_errors: Counter,
    /// The most that there may be.
    pub most: Gauge,
}

/// A connection that is open; dropping it closes it in the books.
#[derive(Debug)]
pub struct OpenConnection {
    connections: Arc<ConnectionMetrics>,
    /// Why it ends. Until somebody says better, it was lost.
    pub closed: Closed,
}

impl ConnectionMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Arc<Self> {
        let (accepted, accept_errors) = (Counter::default(), Counter::default());
        let closed = counters("reason", Closed::ALL.map(Closed::name));
        registry.register(
            "user_server_connections_accepted",
            "ConnectionMetrics that were accepted",
            accepted.clone(),
        );
        registry.register(
            "user_server_connections_closed",
            "ConnectionMetrics that ended, by reason",
            closed.clone(),
        );
        registry.register(
            "user_server_accept_errors",
            "ConnectionMetrics that could not be accepted, for want of file descriptors for example",
            accept_errors.clone(),
        );
        let open = gauge(registry, "user_server_connections", "ConnectionMetrics that are open");
        let most = gauge(
            registry,
            "user_server_connections_max",
            "ConnectionMetrics that may be open: MAX_CONNECTIONS",
        );
        let refused = counters("reason", Refused::ALL.map(Refused::name));
        registry.register(
            "user_server_connections_refused",
            "ConnectionMetrics that were turned away for want of a place: in all, or of their peer",
            refused.clone(),
        );
        Arc::new(Self { open, accepted, closed, refused, accept_errors, most })
    }

    /// A connection was turned away.
    pub fn refused(&self, why: Refused) {
        self.refused.get_or_create(&[("reason", why.name())]).inc();
    }

    /// A connection was accepted.
    #[must_use]
    pub fn accepted(self: &Arc<Self>) -> OpenConnection {
        self.accepted.inc();
        self.open.inc();
        OpenConnection { connections: self.clone(), closed: Closed::Lost }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.open.dec();
        self.connections.closed.get_or_create(&[("reason", self.closed.name())]).inc();
    }
}
