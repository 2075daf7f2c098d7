//! Metrics of connections: their number, and the reasons for which they closed.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::series::{Label, counters, gauge};

/// Reason for which a connection closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The client closed the connection.
    Client,
    /// The connection was lost.
    Lost,
    /// The client sent an invalid frame length, usually because it speaks another protocol.
    FrameError,
    /// The client used request id 0, or one that was in flight.
    RequestId,
    /// The first frame was not complete in time.
    FirstFrameTimeout,
    /// A frame was started but not complete in time.
    FrameTimeout,
    /// The client sent nothing for too long.
    IdleTimeout,
    /// The client did not read its replies in time.
    WriteTimeout,
    /// The server is shutting down.
    Drained,
    /// The grace period of the shutdown ended before the connection did.
    GraceOver,
}

impl CloseReason {
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

/// Limit that a rejected connection would have exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    /// Limit of all connections together (MAX_CONNECTIONS).
    Total,
    /// Limit of the connections from one peer (MAX_CONNECTIONS_PER_PEER).
    PerPeer,
}

impl RejectReason {
    const ALL: [Self; 2] = [Self::Total, Self::PerPeer];

    /// Returns the name in the metrics and the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Total => "in_all",
            Self::PerPeer => "of_peer",
        }
    }
}

/// Metrics of connections.
#[derive(Debug)]
pub struct ConnectionMetrics {
    open: Gauge,
    accepted: Counter,
    closed: Family<Label, Counter>,
    rejected: Family<Label, Counter>,
    /// Number of connections that could not be accepted.
    pub accept_errors: Counter,
    /// Number of requests of trusted peers that state no `client_address`.
    pub without_client_address: Counter,
    /// Maximum number of open connections.
    pub max: Gauge,
}

/// Guard that counts a connection as open until it is dropped.
#[derive(Debug)]
pub struct OpenConnection {
    metrics: Arc<ConnectionMetrics>,
    /// Reason for the end of the connection, [`CloseReason::Lost`] until it is set.
    pub close_reason: CloseReason,
}

impl ConnectionMetrics {
    pub(super) fn registered(registry: &mut Registry) -> Arc<Self> {
        let (accepted, accept_errors) = (Counter::default(), Counter::default());
        let without_client_address = Counter::default();
        registry.register(
            "user_server_requests_without_client_address",
            "Requests of trusted peers that state no client_address, and so share one \
             rate-limiting budget",
            without_client_address.clone(),
        );
        let closed = counters("reason", CloseReason::ALL.map(CloseReason::name));
        registry.register(
            "user_server_connections_accepted",
            "Accepted connections",
            accepted.clone(),
        );
        registry.register(
            "user_server_connections_closed",
            "Closed connections, by reason",
            closed.clone(),
        );
        registry.register(
            "user_server_accept_errors",
            "Connections that could not be accepted, for example for lack of file descriptors",
            accept_errors.clone(),
        );
        let open = gauge(registry, "user_server_connections", "Open connections");
        let max = gauge(
            registry,
            "user_server_connections_max",
            "Maximum number of open connections (MAX_CONNECTIONS)",
        );
        let rejected = counters("reason", RejectReason::ALL.map(RejectReason::name));
        registry.register(
            "user_server_connections_refused",
            "Connections rejected because a limit was reached: of all connections (in_all) or of \
             their peer (of_peer)",
            rejected.clone(),
        );
        Arc::new(Self {
            open,
            accepted,
            closed,
            rejected,
            accept_errors,
            without_client_address,
            max,
        })
    }

    /// Counts a rejected connection.
    pub fn rejected(&self, reason: RejectReason) {
        self.rejected.get_or_create(&[("reason", reason.name())]).inc();
    }

    /// Counts an accepted connection, which is open until the returned value is dropped.
    #[must_use]
    pub fn accepted(self: &Arc<Self>) -> OpenConnection {
        self.accepted.inc();
        self.open.inc();
        OpenConnection { metrics: self.clone(), close_reason: CloseReason::Lost }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.metrics.open.dec();
        self.metrics.closed.get_or_create(&[("reason", self.close_reason.name())]).inc();
    }
}
