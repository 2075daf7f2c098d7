//! `/.well-known/jwks.json`: the public keys of access tokens, for libraries that verify JWTs. Such
//! a library knows nothing about revocations.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Mutex;

use crate::upstream::Upstream;

/// Time for which the keys are answered from memory, so that requests for them cost the service
/// nothing.
const CACHED: Duration = Duration::from_secs(10);
/// Time for which a client may keep the keys in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// State of the endpoint.
pub struct PublishedKeys {
    upstream: Arc<Upstream>,
    /// The keys as JSON, with the time at which they were read.
    cached: Mutex<Option<(Instant, String)>>,
}

/// Returns the route `/.well-known/jwks.json`.
pub fn router(upstream: Arc<Upstream>) -> Router {
    let state = PublishedKeys { upstream, cached: Mutex::new(None) };
    Router::new().route("/.well-known/jwks.json", get(keys)).with_state(Arc::new(state))
}

/// Answers with the JWK Set (RFC 7517), or with 503 if the service does not answer. The lock is
/// held during the call, so that one call serves all requests that arrive meanwhile.
async fn keys(State(state): State<Arc<PublishedKeys>>) -> Response {
    let mut cached = state.cached.lock().await;
    if cached.as_ref().is_none_or(|(read, _)| read.elapsed() >= CACHED) {
        match state.upstream.keys().await {
            Ok(keys) => *cached = Some((Instant::now(), keys.jwks.into_owned())),
            Err(error) => {
                tracing::warn!(%error, "cannot read the public keys from the service");
                *cached = None;
            }
        }
    }
    match &*cached {
        Some((_, json)) => {
            let kind = HeaderValue::from_static("application/jwk-set+json");
            ([(CONTENT_TYPE, kind), (CACHE_CONTROL, MAX_AGE)], json.clone()).into_response()
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response(),
    }
}
