//! `/.well-known/jwks.json`: the public keys of access tokens, for libraries that verify JWTs. Such
//! a library knows nothing about revocations.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use user_proto::verifier::Verifier;

use crate::upstream::Upstream;

/// Time for which a client may keep the keys in seconds. A retired key stays trusted for that long.
const MAX_AGE: HeaderValue = HeaderValue::from_static("public, max-age=30");

/// Returns the route `/.well-known/jwks.json`.
pub fn router(upstream: Arc<Upstream>) -> Router {
    Router::new().route("/.well-known/jwks.json", get(keys)).with_state(upstream)
}

/// Answers with the keys of the verifier as a JWK Set (RFC 7517), or with 503 while it does not
/// know them. Calls nothing, so requests cost the service nothing, and do not wait for it.
async fn keys(State(upstream): State<Arc<Upstream>>) -> Response {
    match upstream.verifier().and_then(Verifier::jwks) {
        Some(json) => {
            let kind = HeaderValue::from_static("application/jwk-set+json");
            ([(CONTENT_TYPE, kind), (CACHE_CONTROL, MAX_AGE)], json.to_string()).into_response()
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response(),
    }
}
