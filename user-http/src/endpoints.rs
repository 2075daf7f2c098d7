//! Every endpoint of the listener for proxies and browsers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONNECTION, HOST, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use hyper::Request;
use hyper::body::Incoming;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::api::{self, Api};
use crate::auth::{self, AuthCheck};
use crate::forwarded::Peer;
use crate::listener::{Activity, Handler};
use crate::upstream::Upstream;
use crate::{demo, jwks};

/// The endpoints, of which `/auth/check` does not pass through the router: a gateway calls it for
/// each request of every end user, and the router with its layers costs as much as the check.
pub(crate) struct Endpoints {
    check: Arc<AuthCheck>,
    router: Router,
}

impl Endpoints {
    /// Returns the endpoints for proxies, and those of the API and of the demo page if they are on.
    /// Any other path is answered 404, and no reply but public keys and documents may be stored by
    /// a cache.
    pub(crate) fn new(
        check: Arc<AuthCheck>,
        api: Option<Arc<Api>>,
        upstream: Arc<Upstream>,
        demo: bool,
    ) -> Self {
        let router = if demo { demo::router() } else { Router::new() };
        let router = router.merge(auth::router(Arc::clone(&check)));
        let keys = jwks::router(upstream);
        let router = match api {
            Some(api) => router.merge(api::router(api, keys)),
            None => router.merge(keys).fallback(|| async { StatusCode::NOT_FOUND }),
        };
        let no_store = HeaderValue::from_static("no-store");
        let router = router.layer(SetResponseHeaderLayer::if_not_present(CACHE_CONTROL, no_store));
        Self { check, router }
    }

    async fn route(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        activity: &Arc<Activity>,
    ) -> Response {
        if !has_required_host(request.version(), request.headers()) {
            return without_storing(StatusCode::BAD_REQUEST);
        }
        if request.method() == Method::CONNECT {
            // What follows is the data of a tunnel, not another request.
            return without_storing((StatusCode::METHOD_NOT_ALLOWED, [(CONNECTION, "close")]));
        }
        if auth::is_check(request.uri().path()) {
            return self.check.answer(request, peer).await;
        }
        self.router.answer(request, peer, activity).await
    }
}

impl Handler for Endpoints {
    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        activity: &Arc<Activity>,
    ) -> Response {
        let answer = AssertUnwindSafe(self.route(request, peer, activity));
        // The text of a panic could contain what an end user has sent, so it is not logged.
        answer.catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!("a request has panicked");
            without_storing((StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]))
        })
    }
}

/// Returns true unless a request of HTTP/1.1 lacks exactly one Host (RFC 9112, section 3.2): a
/// proxy and this program could choose different ones.
fn has_required_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    version != Version::HTTP_11 || (hosts.next().is_some() && hosts.next().is_none())
}

fn without_storing(reply: impl IntoResponse) -> Response {
    let mut response = reply.into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
