//! Health checks and metrics over HTTP, for operators. It changes nothing and exposes no secret,
//! name or address, and bounds the memory and time that its clients can use.

mod client;
mod health;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::metrics::Metrics;
pub use client::get;
pub use health::{ComponentKinds, Health, HealthSources};

/// Maximum number of connections. To make room for another, the oldest one that has not sent a
/// request is closed.
const MAX_CONNECTIONS: usize = 16;
/// Maximum time from accepting a connection to the end of its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum lifetime of a connection, which carries one request.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of the head of a request in bytes, the smallest that hyper accepts.
const MAX_HEAD: usize = 8 * 1024;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The HTTP listener for operators, which stops when it is dropped.
pub struct Monitor {
    address: SocketAddr,
    stop: DropGuard,
    task: JoinHandle<()>,
}

/// State from which /livez, /readyz and /metrics are answered.
struct Endpoints {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
}

impl Monitor {
    /// Starts to listen.
    ///
    /// # Errors
    /// If the system refuses the address.
    pub async fn start(
        listen: SocketAddr,
        health: Arc<Health>,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let (stopped, endpoints) = (stop.clone(), Arc::new(Endpoints { health, metrics }));
        let task = tokio::spawn(async move {
            stopped.run_until_cancelled_owned(accept(listener, endpoints)).await;
        });
        Ok(Self { address, stop: stop.drop_guard(), task })
    }

    /// Returns the address that the listener is bound to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the listener and its connections, and waits for them to end.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

async fn accept(listener: TcpListener, endpoints: Arc<Endpoints>) {
    let (mut connections, mut order) = (JoinSet::new(), VecDeque::new());
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if has_room(&connections, &mut order) => match accepted {
                Ok((stream, _)) => {
                    if connections.len() >= MAX_CONNECTIONS {
                        close_silent(&mut order);
                    }
                    let silent = Arc::new(AtomicBool::new(true));
                    let served = serve(stream, endpoints.clone(), silent.clone());
                    let task = connections.spawn(served);
                    order.push_back(Accepted { task, silent });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection to METRICS_ADDR");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
}

/// An accepted connection, which can be closed to make room for another one.
struct Accepted {
    task: AbortHandle,
    /// Set until a request has arrived on the connection.
    silent: Arc<AtomicBool>,
}

/// Returns true if another connection may be accepted: there are few enough, or one of them has not
/// sent a request and can be closed.
fn has_room(connections: &JoinSet<()>, order: &mut VecDeque<Accepted>) -> bool {
    order.retain(|accepted| !accepted.task.is_finished());
    connections.len() < MAX_CONNECTIONS
        || order.iter().any(|accepted| accepted.silent.load(Ordering::Relaxed))
}

/// Closes the oldest connection that has not sent a request.
fn close_silent(order: &mut VecDeque<Accepted>) {
    let silent = order.iter().position(|accepted| accepted.silent.load(Ordering::Relaxed));
    if let Some(accepted) = silent.and_then(|index| order.remove(index)) {
        accepted.task.abort();
    }
}

async fn serve(stream: TcpStream, endpoints: Arc<Endpoints>, silent: Arc<AtomicBool>) {
    let service = service_fn(move |request| {
        silent.store(false, Ordering::Relaxed);
        let answer = endpoints.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut http = http1::Builder::new();
    // One request per connection: a scraper that comes every few seconds uses no slot in between.
    http.keep_alive(false).max_buf_size(MAX_HEAD);
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let served = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
    if !matches!(served, Ok(Ok(()))) {
        tracing::debug!("a request to METRICS_ADDR was not completed");
    }
}

impl Endpoints {
    /// Answers a request from its head alone; a body is never read.
    fn answer(&self, request: &Request<Incoming>) -> Response<String> {
        let path = request.uri().path();
        if !matches!(path, "/livez" | "/readyz" | "/metrics") {
            let body = "not found; the paths are /livez, /readyz and /metrics\n".to_owned();
            return response(StatusCode::NOT_FOUND, TEXT, body);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let body = "only GET and HEAD are allowed\n".to_owned();
            let mut refused = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, body);
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match path {
            "/livez" => response(StatusCode::OK, TEXT, "ok\n".to_owned()),
            "/readyz" => self.ready(),
            _ => {
                self.health.sample(&self.metrics);
                match accepts_openmetrics(request) {
                    true => response(StatusCode::OK, OPENMETRICS, self.metrics.openmetrics()),
                    false => response(StatusCode::OK, PROMETHEUS, self.metrics.text()),
                }
            }
        }
    }

    fn ready(&self) -> Response<String> {
        let (ready, readiness) = self.health.readiness(&self.metrics);
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        // Numbers, booleans and fixed strings can always be serialised.
        let body = serde_json::to_string(&readiness).unwrap_or_default() + "\n";
        response(status, JSON, body)
    }
}

/// Returns true if the client asks for OpenMetrics. Others get the older format.
fn accepts_openmetrics(request: &Request<Incoming>) -> bool {
    let accepts = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepts.into_iter().any(|value| value.contains("application/openmetrics-text"))
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
