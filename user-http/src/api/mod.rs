//! The JSON API: everything that an end user does, as JSON over HTTP. Each route is one message of
//! the protocol. Tokens are taken from `Authorization: Bearer`, from cookies and from bodies, never
//! from a path or a query. A cookie counts for a change only if a page of the same origin sends it.

mod body;
mod browser;
mod call;
mod idempotency;
mod introspect;
mod me;
mod openapi;
mod operation;
mod password_resets;
mod problem;
mod refresh;
mod registrations;
mod replies;
mod sessions;
mod token_ages;

use std::any::Any;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::cookies::Cookies;
use crate::forwarded::TrustedProxies;
use crate::logs::RareLine;
use crate::metrics::ApiMetrics;
use crate::return_to::{LoginUrl, REFRESH_PATH, ReturnHosts};
use crate::upstream::Upstream;
use problem::Problem;
pub use token_ages::TokenAges;

/// State of the API.
#[derive(Debug)]
pub struct Api {
    pub upstream: Arc<Upstream>,
    pub trusted_proxies: TrustedProxies,
    /// Maximum duration of a request, from its head to its reply.
    pub timeout: Duration,
    pub cookies: Cookies,
    /// Other origins that may use the API.
    pub cors_origins: Vec<String>,
    pub login: LoginUrl,
    pub return_hosts: ReturnHosts,
    pub token_ages: TokenAges,
    /// `https` if this listener has a certificate, otherwise `http`.
    pub scheme: &'static str,
    pub metrics: Arc<ApiMetrics>,
    /// Guard that limits the warning about untrusted proxies to one per process.
    pub warned: Once,
    /// Limit of the error about a login page that requires a login.
    pub login_reported: RareLine,
    /// Limit of the warning about a page that does not get the cookie.
    pub loop_reported: RareLine,
}

/// Returns every route, with the methods that it has.
fn routes() -> Vec<(&'static str, MethodRouter<Arc<Api>>)> {
    vec![
        ("/v1/registrations", post(registrations::register)),
        ("/v1/registrations/{id}/verify", post(registrations::verify)),
        ("/v1/verifications/{id}/resend", post(registrations::resend)),
        (
            "/v1/sessions",
            get(sessions::list).post(sessions::log_in).delete(sessions::log_out_everywhere),
        ),
        ("/v1/sessions/refresh", post(sessions::refresh)),
        ("/v1/sessions/current", delete(sessions::log_out)),
        ("/v1/sessions/{id}", delete(sessions::end)),
        ("/v1/me", get(me::get).patch(me::update)),
        ("/v1/me/delete", post(me::delete)),
        ("/v1/me/email/confirm", post(me::confirm_email)),
        ("/v1/password-resets", post(password_resets::request)),
        ("/v1/password-resets/{id}/complete", post(password_resets::complete)),
        ("/v1/introspect", post(introspect::introspect)),
        ("/openapi.json", get(openapi::document)),
        (REFRESH_PATH, get(refresh::for_page).post(refresh::for_script)),
    ]
}

/// Returns the routes of the API, together with `public` ones: their replies get the same headers.
/// Any other path is answered 404.
pub fn router(api: Arc<Api>, public: Router) -> Router {
    routes()
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .method_not_allowed_fallback(other_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(&api), browser::protect))
        .layer(from_fn_with_state(Arc::clone(&api), measure))
        .with_state(Arc::clone(&api))
        .fallback(not_found)
        .merge(public)
        .layer(from_fn_with_state(api, browser::share))
}

/// Answers a request to a path that no route has.
async fn not_found() -> impl IntoResponse {
    Problem::not_found()
}

/// Answers OPTIONS with the methods of a route in `Allow`, which axum adds, and every other method
/// that a route does not have with 405.
async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let detail = "The path does not have this method. The header Allow lists those that it has.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", detail).into_response()
}

/// Answers a request that has panicked. The text of the panic could contain what an end user has
/// sent, so it is neither logged nor sent.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request of the API has panicked");
    Problem::internal().into_response()
}

/// Counts a request and its reply.
async fn measure(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    api.metrics.record(response.status().as_u16(), started.elapsed());
    response
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem_with_an_unknown_outcome() {
        let reply = panicked(Box::new("hidden"));
        assert_eq!(reply.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = to_bytes(reply.into_body(), 4096).await.unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.contains("\"outcome\":\"unknown\""), "{text}");
        assert!(text.contains("\"code\":\"INTERNAL\"") && !text.contains("hidden"), "{text}");
    }

    #[test]
    fn the_document_has_exactly_the_paths_of_the_routes() {
        let mut routed: Vec<&str> = routes()
            .into_iter()
            .map(|(path, _)| path)
            .filter(|path| path.starts_with("/v1/"))
            .collect();
        routed.sort_unstable();
        let document = openapi::build();
        let documented: Vec<&str> = document.paths.paths.keys().map(String::as_str).collect();
        assert_eq!(documented, routed);
    }
}
