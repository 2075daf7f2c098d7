//! Health and metrics, for those who run the service. It changes nothing and tells no secret, name
//! or address, and a client of it can take neither much memory nor much time.

mod health;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::metrics::Metrics;
pub use health::{Health, Probe};

/// Connections at once; further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 16;
/// The life of a connection, which is one request.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest head of a request. It is the least that hyper takes.
const MOST_HEAD: usize = 8 * 1024;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The listener. It ends when it is dropped.
pub struct Monitor {
    address: SocketAddr,
    stop: DropGuard,
    task: JoinHandle<()>,
}

/// Who answers.
struct Answers {
    health: Arc<Health>,
    metrics: Arc<Metrics>,
}

impl Monitor {
    /// Starts to listen.
    ///
    /// # Errors
    /// Where the address can't be listened on.
    pub async fn start(
        listen: SocketAddr,
        health: Arc<Health>,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let (stopped, answers) = (stop.clone(), Arc::new(Answers { health, metrics }));
        let task = tokio::spawn(async move {
            stopped.run_until_cancelled_owned(accept(listener, answers)).await;
        });
        Ok(Self { address, stop: stop.drop_guard(), task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends, and waits until nothing of it is left.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

async fn accept(listener: TcpListener, answers: Arc<Answers>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, answers.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to METRICS_ADDR can not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
}

async fn serve(stream: TcpStream, answers: Arc<Answers>) {
    let service = service_fn(move |request| {
        let answer = answers.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut http = http1::Builder::new();
    // One request a connection: who watches comes every few seconds, and holds no place in between.
    http.keep_alive(false).max_buf_size(MOST_HEAD);
    let served =
        tokio::time::timeout(PATIENCE, http.serve_connection(TokioIo::new(stream), service)).await;
    if !matches!(served, Ok(Ok(()))) {
        tracing::debug!("a request to METRICS_ADDR was broken off");
    }
}

impl Answers {
    /// Looks at the head alone; a body is never read.
    fn answer(&self, request: &Request<Incoming>) -> Response<String> {
        let path = request.uri().path();
        if !matches!(path, "/livez" | "/readyz" | "/metrics") {
            let told = "not found; there are /livez, /readyz and /metrics\n".to_owned();
            return response(StatusCode::NOT_FOUND, TEXT, told);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let told = "only GET and HEAD are allowed\n".to_owned();
            let mut refused = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, told);
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match path {
            "/livez" => response(StatusCode::OK, TEXT, "ok\n".to_owned()),
            "/readyz" => self.ready(),
            _ => {
                self.health.look(&self.metrics);
                response(StatusCode::OK, metrics_type(request), self.metrics.text())
            }
        }
    }

    fn ready(&self) -> Response<String> {
        let (ready, report) = self.health.report(&self.metrics);
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        // Numbers, switches and fixed words: it can always be written.
        let body = serde_json::to_string(&report).unwrap_or_default() + "\n";
        response(status, JSON, body)
    }
}

/// The text is of both formats. Who does not ask for the newer name gets the older one.
fn metrics_type(request: &Request<Incoming>) -> &'static str {
    let accepts = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let openmetrics =
        accepts.into_iter().any(|value| value.contains("application/openmetrics-text"));
    if openmetrics { OPENMETRICS } else { PROMETHEUS }
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
