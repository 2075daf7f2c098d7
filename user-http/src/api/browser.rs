//! What browsers need beside the routes: the protection of the cookies against other sites, and the
//! headers for pages of other origins (CORS).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    AUTHORIZATION, CONTENT_SECURITY_POLICY, ORIGIN, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Api;
use super::problem::Problem;
use crate::auth::same_origin::is_own_page;
use crate::forwarded::{Peer, single};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// Policy of a reply that a browser shows by itself: it can load nothing, and no page can frame it.
const CONTENT_POLICY: &str =
    "default-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";
/// Methods that a page of another origin may use.
const ALLOWED_METHODS: &str = "GET, POST, PATCH, DELETE";
/// Headers that a page of another origin may send.
const ALLOWED_HEADERS: &str = "Authorization, Content-Type, Idempotency-Key, traceparent";
/// Headers that a page of another origin may read.
const EXPOSED_HEADERS: &str = "Retry-After, WWW-Authenticate";
/// Seconds for which a browser may keep the reply to a preflight request.
const PREFLIGHT_AGE: &str = "600";
/// Paths that pages of other origins may use, by their beginning. The cookies are not for them.
const FOR_OTHER_ORIGINS: [&str; 3] = ["/v1/", "/openapi.json", "/.well-known/"];

/// Refuses a request that changes something and has a cookie, unless it comes from a page of this
/// origin: another site, or another host of the same site, could have made the browser send it.
/// With a token in Authorization, which no browser adds by itself, the cookies are ignored.
pub(super) async fn protect(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let ignores_cookies =
        headers.contains_key(AUTHORIZATION) && request.uri().path().starts_with("/v1/");
    if changes && !ignores_cookies && api.cookies.are_present(headers) {
        // The listener adds the peer to every request.
        let peer = request.extensions().get::<Peer>();
        if !peer.is_some_and(|peer| is_own_page(headers, peer, api.scheme)) {
            return Problem::not_same_origin().into_response();
        }
    }
    next.run(request).await
}

/// Adds the headers that allow the pages of CORS_ORIGINS to use the API, and those that keep
/// replies from being used in any other way than as data. Credentials are never allowed, so a page
/// of another origin can neither use nor set the cookies.
pub(super) async fn share(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_shared = FOR_OTHER_ORIGINS.iter().any(|start| path.starts_with(start));
    let origin = single(request.headers(), &ORIGIN)
        .filter(|origin| api.cors_origins.iter().any(|allowed| allowed == origin))
        .and_then(|origin| HeaderValue::from_str(origin).ok());
    let is_preflight = *request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if !is_shared || api.cors_origins.is_empty() {
        return response;
    }
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return response };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let exposed = HeaderValue::from_static(EXPOSED_HEADERS);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    if is_preflight {
        let methods = HeaderValue::from_static(ALLOWED_METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        let allowed = HeaderValue::from_static(ALLOWED_HEADERS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_AGE));
    }
    response
}
