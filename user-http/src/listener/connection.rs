//! One connection: PROXY protocol, TLS, and HTTP/1.1 until it ends.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Watched};
use super::{Handler, Options};
use crate::forwarded::Peer;
use crate::metrics::CloseReason;
use crate::proxy_protocol;

/// Interval at which the age of a connection is checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Serves a connection until it ends. Returns the reason if this program rejected the connection or
/// closed it after a timeout, otherwise `None`.
pub(super) async fn serve(
    mut stream: TcpStream,
    socket: SocketAddr,
    options: Arc<Options<impl Handler>>,
    activity: Arc<Activity>,
    drain: CancellationToken,
) -> Option<CloseReason> {
    // Replies are small, and a proxy waits for each.
    let _ = stream.set_nodelay(true);
    let trusted = options.trusted_proxies.contains(socket.ip());
    let mut peer = Peer { socket, proxied: None, trusted };
    if options.proxy_protocol {
        let header = timeout(options.limits.head_time, proxy_protocol::read(&mut stream)).await;
        match header {
            Ok(Ok(stated)) if trusted => {
                let ip = stated.unwrap_or(socket.ip());
                peer = Peer { socket, proxied: Some(ip), trusted: false };
            }
            Ok(Ok(_)) => {
                tracing::warn!(%socket, "rejected a PROXY header; the peer is not trusted");
                return Some(CloseReason::Handshake);
            }
            Ok(Err(error)) => {
                tracing::debug!(%socket, %error, "no PROXY header");
                return Some(CloseReason::Handshake);
            }
            Err(_) => return Some(CloseReason::HeadTimeout),
        }
    }
    match &options.tls {
        None => serve_http(stream, peer, options, activity, drain).await,
        Some(tls) => match timeout(options.limits.head_time, tls.accept(stream)).await {
            Ok(Ok(stream)) => serve_http(stream, peer, options, activity, drain).await,
            Ok(Err(error)) => {
                tracing::debug!(%socket, %error, "the TLS handshake failed");
                Some(CloseReason::Handshake)
            }
            Err(_) => Some(CloseReason::HeadTimeout),
        },
    }
}

impl Handler for Router {
    async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: Peer,
        activity: &Arc<Activity>,
    ) -> Response {
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(Arc::clone(activity));
        let Ok(response) = TowerToHyperService::new(self.clone()).call(request).await;
        response
    }
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    options: Arc<Options<impl Handler>>,
    activity: Arc<Activity>,
    drain: CancellationToken,
) -> Option<CloseReason> {
    let limits = options.limits;
    let requests = Arc::clone(&activity);
    let service = service_fn(move |request: Request<Incoming>| {
        let (options, requests) = (Arc::clone(&options), Arc::clone(&requests));
        async move {
            requests.request_began();
            let response = options.handler.answer(request, peer, &requests).await;
            requests.request_ended();
            Ok::<_, Infallible>(response)
        }
    });
    let mut http = http1::Builder::new();
    http.max_buf_size(limits.head_bytes);
    let stream = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    let mut connection = pin!(http.serve_connection(stream, service));
    let mut check = tokio::time::interval(CHECK_INTERVAL);
    let mut draining = false;
    loop {
        tokio::select! {
            result = &mut connection => {
                if let Err(error) = result {
                    tracing::debug!(peer = %peer.socket, %error, "the connection failed");
                }
                return None;
            }
            () = drain.cancelled(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = check.tick() => {
                if let Some(reason) = activity.expired(&limits) {
                    return Some(reason);
                }
            }
        }
    }
}
