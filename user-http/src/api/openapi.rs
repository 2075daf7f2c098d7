//! The OpenAPI document of the API, derived from its handlers and types.

use std::sync::LazyLock;

use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{introspect, me, password_resets, problem, registrations, sessions};

/// The API, from which its document is derived.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "User service",
        description = "Registration, login, sessions and accounts. Times are in the format of RFC \
                       3339, durations in seconds. Errors are problem documents (RFC 9457).",
    ),
    paths(
        registrations::register,
        registrations::verify,
        registrations::resend,
        sessions::log_in,
        sessions::refresh,
        sessions::list,
        sessions::end,
        sessions::log_out,
        sessions::log_out_everywhere,
        me::get,
        me::update,
        me::delete,
        me::confirm_email,
        password_resets::request,
        password_resets::complete,
        introspect::introspect,
    ),
    components(schemas(problem::ProblemDocument)),
    modifiers(&Tokens),
)]
struct Description;

/// Adds the security schemes of access tokens.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        let description = "Set by a login; __Secure-user if COOKIE_DOMAIN is set.";
        let cookie = ApiKey::Cookie(ApiKeyValue::with_description("__Host-user", description));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    }
}

/// Returns the document.
pub(super) fn build() -> Document {
    Description::openapi()
}

/// Answers with the document.
pub(super) async fn document() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| build().to_json().unwrap_or_default());
    let kind = HeaderValue::from_static("application/json");
    let cache = HeaderValue::from_static("no-cache");
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, cache)], TEXT.as_str()).into_response()
}
