//! The HTTP listener: accepts connections, bounds their number, size and time, and drains them.
//! Knows no endpoint.

mod activity;
mod connection;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::forwarded::{Peer, TrustedProxies};
use crate::metrics::{CloseReason, ConnectionMetrics};
use crate::tls::Tls;
pub(crate) use activity::Activity;

/// Maximum number of connections that wait to be accepted. A proxy opens hundreds at once, and each
/// that does not fit is delayed by a second. The system may allow fewer.
const BACKLOG: u32 = 4096;
/// Pause after a connection could not be accepted, because a limit of the system was reached.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Limits of the connections of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Maximum number of open connections. If there is one more, the connection that has waited
    /// longest for a request is closed, beginning with those that never had one.
    pub connections: usize,
    /// Maximum size of the head of a request in bytes.
    pub head_bytes: usize,
    /// Maximum time from the first byte of a request, or from accepting the connection, to the end
    /// of the request's head.
    pub head_time: Duration,
    /// Maximum time between a reply and the first byte of the next request.
    pub idle_time: Duration,
}

/// Answers the requests of a listener.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        activity: &Arc<Activity>,
    ) -> impl Future<Output = Response> + Send;
}

/// Options of a listener.
pub(crate) struct Options<H> {
    pub handler: H,
    pub limits: ConnectionLimits,
    pub tls: Option<Arc<Tls>>,
    pub trusted_proxies: TrustedProxies,
    /// True if each connection begins with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    pub metrics: Arc<ConnectionMetrics>,
}

/// Listens on an address, even while a connection of an earlier process is still closing.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A running listener. It stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    drain: CancellationToken,
    task: JoinHandle<JoinSet<()>>,
}

impl Listener {
    /// Starts to listen.
    ///
    /// # Errors
    /// If the system refuses the address.
    pub(crate) async fn start(
        address: SocketAddr,
        options: Options<impl Handler>,
    ) -> std::io::Result<Self> {
        let listener = listen(address)?;
        let address = listener.local_addr()?;
        let drain = CancellationToken::new();
        let task = tokio::spawn(accept(listener, Arc::new(options), drain.clone()));
        Ok(Self { address, drain, task })
    }

    /// Returns the address that the listener is bound to.
    #[must_use]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, closes idle connections, and waits up to `grace` for the others. Returns
    /// the number of connections that were still open after that.
    pub(crate) async fn drain(mut self, grace: Duration, metrics: &ConnectionMetrics) -> usize {
        self.drain.cancel();
        let Ok(mut connections) = (&mut self.task).await else { return 0 };
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, ended).await.is_ok() {
            return 0;
        }
        let left = connections.len();
        for _ in 0..left {
            metrics.closed(CloseReason::GraceOver);
        }
        connections.shutdown().await;
        left
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An accepted connection, with its task and its state.
struct Accepted {
    task: AbortHandle,
    activity: Arc<Activity>,
}

/// Accepts connections until draining begins. Returns the connections that are open at that time.
async fn accept(
    listener: TcpListener,
    options: Arc<Options<impl Handler>>,
    drain: CancellationToken,
) -> JoinSet<()> {
    let (mut connections, mut accepted) = (JoinSet::new(), Vec::<Accepted>::new());
    loop {
        tokio::select! {
            () = drain.cancelled() => return connections,
            Some(_) = connections.join_next() => {
                accepted.retain(|connection| !connection.task.is_finished());
            }
            stream = listener.accept(), if connections.len() <= options.limits.connections => {
                match stream {
                    Ok((stream, socket)) => {
                        options.metrics.accepted.inc();
                        let activity = Arc::new(Activity::new());
                        let guard = OpenConnection::new(&options.metrics);
                        let serving = connection::serve(
                            stream,
                            socket,
                            Arc::clone(&options),
                            Arc::clone(&activity),
                            drain.clone(),
                        );
                        let task = connections.spawn(async move {
                            if let Some(reason) = serving.await {
                                guard.0.closed(reason);
                            }
                        });
                        accepted.push(Accepted { task, activity });
                        if connections.len() > options.limits.connections {
                            evict(&mut accepted, &options.metrics);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }
}

/// Closes the connection that has waited longest for a request. The newest connection, and those
/// with a request that is being answered, are never closed.
fn evict(accepted: &mut Vec<Accepted>, metrics: &ConnectionMetrics) {
    // The newest connection is the last one, and keeps its place.
    let older = accepted.len().saturating_sub(1);
    let ranked = accepted.iter().take(older).enumerate();
    let victim = ranked
        .filter_map(|(index, connection)| Some((connection.activity.eviction_rank()?, index)))
        .min();
    if let Some((_, index)) = victim {
        accepted.swap_remove(index).task.abort();
        metrics.closed(CloseReason::Evicted);
    }
}

/// Guard that counts a connection as open until it is dropped.
struct OpenConnection(Arc<ConnectionMetrics>);

impl OpenConnection {
    fn new(metrics: &Arc<ConnectionMetrics>) -> Self {
        metrics.open.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.dec();
    }
}
