//! Token introspection (RFC 7662), for gateways that have a plugin for it.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{Form, JsonUuid, Reply};
use super::call::Call;
use super::operation::Problems;
use super::problem::Problem;

/// Form with the token.
#[derive(Debug, Deserialize, ToSchema)]
#[allow(dead_code, reason = "describes the form, which is not deserialised")]
pub(super) struct IntrospectionForm {
    /// Access token.
    #[schema(format = Password)]
    token: String,
    /// Ignored.
    token_type_hint: Option<String>,
}

/// Result of an introspection. If the token is not active, it has no other field than `active`.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Introspection {
    /// True if the token is valid at this time.
    active: bool,
    /// Always `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    token_type: Option<&'static str>,
    /// Id of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>, nullable = false)]
    sub: Option<JsonUuid>,
    /// Id of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>, nullable = false)]
    sid: Option<JsonUuid>,
    /// Seconds since 1970-01-01T00:00:00Z at which the token was issued, as RFC 7662 requires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    iat: Option<u64>,
    /// Seconds since 1970-01-01T00:00:00Z at which the token expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    exp: Option<u64>,
}

/// Checks an access token for a gateway
///
/// Only a peer with an address in TRUSTED_PROXIES may ask, and only for itself: 403 if the request
/// has X-Forwarded-For or Forwarded. An invalid token is no error; `active` is then false.
#[utoipa::path(
    post, path = "/v1/introspect", tag = "gateways",
    request_body(
        content = IntrospectionForm, content_type = "application/x-www-form-urlencoded"
    ),
    responses(
        (status = 200, description = "The state of the token.", body = Introspection),
        Problems,
    )
)]
pub(super) async fn introspect(call: Call, form: Form) -> Result<Reply<Introspection>, Problem> {
    if !call.is_trusted() {
        tracing::debug!(peer = %call.peer_address(), "refused an introspection");
        let detail = "Only a peer in TRUSTED_PROXIES may introspect tokens, and only for itself.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "NOT_PERMITTED", detail));
    }
    let token = form.secret("token")?;
    let introspection = match call.verify(token.expose_str().unwrap_or_default()).await? {
        None => Introspection::default(),
        Some(verified) => Introspection {
            active: true,
            token_type: Some("Bearer"),
            sub: Some(JsonUuid(verified.user_id)),
            sid: Some(JsonUuid(verified.session_id)),
            iat: Some(verified.issued_at),
            exp: Some(verified.expires_at),
        },
    };
    Ok(Reply(StatusCode::OK, introspection))
}
