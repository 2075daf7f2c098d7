//! The context that all connections of a server share.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::limits::ConnectionLimits;
use super::refusals::RefusalLimiter;
use super::request_limiter::RequestLimiter;
use super::shutdown::Shutdown;
use super::unnamed::UnnamedRequests;
use crate::handler::Handler;
use crate::metrics::Metrics;

/// Handler, limits, metrics and shutdown of a server, which all its connections share.
pub struct ConnectionContext {
    pub handler: Arc<Handler>,
    /// Limits of each connection.
    pub limits: ConnectionLimits,
    /// Limiter of the requests in flight of all connections.
    pub requests: Arc<RequestLimiter>,
    /// Limiter of the refused requests of untrusted peers.
    pub refusals: RefusalLimiter,
    /// Counter of requests from trusted peers that state no `client_address`.
    pub unnamed: UnnamedRequests,
    pub shutdown: Shutdown,
    /// Tasks of connections and requests. The shutdown waits for them.
    pub tasks: TaskTracker,
    pub metrics: Arc<Metrics>,
}
