//! The context that all connections of a server share.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::limits::ConnectionLimits;
use super::request_limiter::RequestLimiter;
use super::shutdown::Shutdown;
use super::unnamed::UnnamedRequests;
use crate::handler::Handler;
use crate::metrics::Metrics;

/// The context that all connections of a server share.
pub struct ConnectionContext {
    pub handler: Arc<Handler>,
    /// Limits of each connection.
    pub limits: ConnectionLimits,
    /// Limits of all requests in flight.
    pub requests: Arc<RequestLimiter>,
    /// Requests of trusted peers that name no end user.
    pub unnamed: UnnamedRequests,
    pub shutdown: Shutdown,
    /// Tasks of connections and requests, which the shutdown waits for.
    pub tasks: TaskTracker,
    pub metrics: Arc<Metrics>,
}
