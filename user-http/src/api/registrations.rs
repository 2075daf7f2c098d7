//! Registrations, and the codes that are sent by email.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use user_proto::{Register, ResendCode, VerifyEmail};
use utoipa::ToSchema;

use super::body::{Json, Reply, SecretText};
use super::call::{AccessTokens, Call, Delivery, Id};
use super::idempotency::Caller;
use super::operation::{IdempotencyHeader, Problems};
use super::problem::Problem;
use super::replies::{CodeSent, OpenedSession};
use crate::cookies::SetCookies;

/// A user who registers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    /// 3 to 32 characters without `@`, spaces and control characters.
    #[schema(example = "kim")]
    username: String,
    #[schema(example = "kim@example.com")]
    email: String,
    /// 8 to 128 characters.
    #[schema(value_type = String, format = Password)]
    password: SecretText,
}

/// The code of a registration.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegistrationCode {
    /// Code that was sent by email.
    #[schema(value_type = String, example = "123456")]
    code: SecretText,
    /// Another username, if the first one was taken in the meantime.
    username: Option<String>,
    /// Name of the device, for the list of sessions.
    device: Option<String>,
    /// True to get the tokens in the reply. Otherwise, they are set as cookies, which only a page
    /// of the same origin can use.
    #[serde(default)]
    return_tokens: bool,
}

/// A code was sent again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CodeResent {
    /// Seconds until the code expires.
    code_expires_in: u32,
    /// Seconds after which the code can be sent again.
    resend_after: u32,
}

/// Registers a user
///
/// A code is sent to the email address. The reply is the same if the address belongs to an account;
/// its owner then gets an email that says so.
#[utoipa::path(
    post, path = "/v1/registrations", tag = "registration",
    params(IdempotencyHeader), request_body = Registration,
    responses(
        (status = 202, description = "A code was sent.", body = CodeSent),
        Problems,
    )
)]
pub(super) async fn register(
    call: Call,
    Json(body): Json<Registration>,
) -> Result<Reply<CodeSent>, Problem> {
    let request = Register {
        username: body.username.into(),
        email: body.email.into(),
        password: body.password.0,
    };
    let reply = call.send(request, Caller::Network).await?;
    Ok(Reply(StatusCode::ACCEPTED, reply.into()))
}

/// Completes a registration with its code, and opens a session
#[utoipa::path(
    post, path = "/v1/registrations/{id}/verify", tag = "registration",
    params(
        ("id" = Uuid, Path, description = "The verification_id of the registration."),
        IdempotencyHeader,
    ),
    request_body = RegistrationCode,
    responses(
        (status = 201, description = "The account is active, and a session is open.", body = OpenedSession),
        Problems,
    )
)]
pub(super) async fn verify(
    call: Call,
    previous: Result<AccessTokens, Problem>,
    Id(verification_id): Id,
    Json(body): Json<RegistrationCode>,
) -> Result<(SetCookies, Reply<OpenedSession>), Problem> {
    let delivery = Delivery::of(&call, previous, body.return_tokens)?;
    let request = VerifyEmail {
        verification_id,
        code: body.code.0,
        device: body.device.map(Into::into),
        username: body.username.map(Into::into),
    };
    let reply = call.send(request, Caller::Network).await?;
    Ok(delivery.deliver(&call, reply).await)
}

/// Sends the code of a registration, a change of email or a password reset again
///
/// The request needs no body.
#[utoipa::path(
    post, path = "/v1/verifications/{id}/resend", tag = "registration",
    params(
        ("id" = Uuid, Path, description = "The verification_id of the code."),
        IdempotencyHeader,
    ),
    responses(
        (status = 202, description = "The code was sent again.", body = CodeResent),
        Problems,
    )
)]
pub(super) async fn resend(
    call: Call,
    Id(verification_id): Id,
) -> Result<Reply<CodeResent>, Problem> {
    let reply = call.send(ResendCode { verification_id }, Caller::Network).await?;
    let body =
        CodeResent { code_expires_in: reply.code_expires_in, resend_after: reply.resend_after };
    Ok(Reply(StatusCode::ACCEPTED, body))
}
