//! Password resets by email.

use axum::http::StatusCode;
use serde::Deserialize;
use user_proto::{RequestPasswordReset, ResetPassword};
use utoipa::ToSchema;

use super::body::{Json, Reply, SecretText};
use super::call::{Call, Id};
use super::idempotency::Caller;
use super::operation::{IdempotencyHeader, Problems};
use super::problem::Problem;
use super::replies::{CodeSent, SessionsEnded};

/// Email address of a user who has forgotten the password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResetRequest {
    #[schema(example = "kim@example.com")]
    email: String,
}

/// The code of a password reset, and the new password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    /// Code that was sent by email.
    #[schema(value_type = String)]
    code: SecretText,
    /// 8 to 128 characters.
    #[schema(value_type = String, format = Password)]
    new_password: SecretText,
}

/// Requests a password reset
///
/// A code is sent to the email address. The reply is the same if no account has this address.
#[utoipa::path(
    post, path = "/v1/password-resets", tag = "password reset",
    params(IdempotencyHeader), request_body = ResetRequest,
    responses(
        (status = 202, description = "A code was sent.", body = CodeSent),
        Problems,
    )
)]
pub(super) async fn request(
    call: Call,
    Json(body): Json<ResetRequest>,
) -> Result<Reply<CodeSent>, Problem> {
    let request = RequestPasswordReset { email: body.email.into() };
    let reply = call.send(request, Caller::Network).await?;
    Ok(Reply(StatusCode::ACCEPTED, reply.into()))
}

/// Sets a new password with the code, and ends every session of the user
#[utoipa::path(
    post, path = "/v1/password-resets/{id}/complete", tag = "password reset",
    params(
        ("id" = Uuid, Path, description = "The verification_id of the reset."),
        IdempotencyHeader,
    ),
    request_body = Reset,
    responses(
        (status = 200, description = "The password was changed.", body = SessionsEnded),
        Problems,
    )
)]
pub(super) async fn complete(
    call: Call,
    Id(verification_id): Id,
    Json(body): Json<Reset>,
) -> Result<Reply<SessionsEnded>, Problem> {
    let request =
        ResetPassword { verification_id, code: body.code.0, new_password: body.new_password.0 };
    let reply = call.send(request, Caller::Network).await?;
    Ok(Reply(StatusCode::OK, reply.into()))
}
