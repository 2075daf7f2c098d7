//! The user to whom the access token of a request belongs.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use user_proto::{ConfirmEmail, DeleteUser, GetUser, UpdateUser};
use utoipa::ToSchema;

use super::body::{Json, JsonUuid, Reply, SecretText};
use super::call::{AccessToken, Call};
use super::operation::{IdempotencyHeader, TokenProblems};
use super::problem::Problem;
use super::replies::{UserChanged, rfc3339};
use crate::cookies::SetCookies;

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct User {
    #[schema(value_type = Uuid)]
    user_id: JsonUuid,
    username: String,
    email: String,
    /// Time at which the registration was completed.
    #[schema(format = DateTime)]
    created_at: String,
}

/// Changes of a user. Absent fields stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserChange {
    /// 3 to 32 characters without `@`, spaces and control characters.
    username: Option<String>,
    /// A code is sent to the new address, which takes effect once the code is entered. Requires
    /// `current_password`.
    email: Option<String>,
    /// 8 to 128 characters. Ends every other session of the user. Requires `current_password`.
    #[schema(value_type = Option<String>, format = Password)]
    new_password: Option<SecretText>,
    #[schema(value_type = Option<String>, format = Password)]
    current_password: Option<SecretText>,
}

/// Confirmation of the deletion of an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Deletion {
    #[schema(value_type = String, format = Password)]
    current_password: SecretText,
}

/// An account was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserDeleted {
    #[schema(value_type = Uuid)]
    user_id: JsonUuid,
}

/// The code of a new email address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EmailCode {
    /// The verification_id of the change.
    #[schema(value_type = Uuid)]
    verification_id: JsonUuid,
    /// Code that was sent by email.
    #[schema(value_type = String, example = "123456")]
    code: SecretText,
}

/// Returns the user
#[utoipa::path(
    get, path = "/v1/me", tag = "user", security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, description = "The user.", body = User),
        TokenProblems,
    )
)]
pub(super) async fn get(call: Call, token: AccessToken) -> Result<Reply<User>, Problem> {
    let request = GetUser { access_token: token.text().into() };
    let reply = call.send(request, token.caller()).await?;
    let user = User {
        user_id: JsonUuid(reply.user_id),
        username: reply.username.into_owned(),
        email: reply.email.into_owned(),
        created_at: rfc3339(reply.created_at),
    };
    Ok(Reply(StatusCode::OK, user))
}

/// Changes the username, email address or password
#[utoipa::path(
    patch, path = "/v1/me", tag = "user", security(("bearer" = []), ("cookie" = [])),
    params(IdempotencyHeader), request_body = UserChange,
    responses(
        (status = 200, description = "The user was changed.", body = UserChanged),
        TokenProblems,
    )
)]
pub(super) async fn update(
    call: Call,
    token: AccessToken,
    Json(body): Json<UserChange>,
) -> Result<Reply<UserChanged>, Problem> {
    let request = UpdateUser {
        access_token: token.text().into(),
        username: body.username.map(Into::into),
        email: body.email.map(Into::into),
        new_password: body.new_password.map(|password| password.0),
        current_password: body.current_password.map(|password| password.0),
    };
    let reply = call.send(request, token.caller()).await?;
    Ok(Reply(StatusCode::OK, reply.into()))
}

/// Deletes the account
#[utoipa::path(
    post, path = "/v1/me/delete", tag = "user", security(("bearer" = []), ("cookie" = [])),
    params(IdempotencyHeader), request_body = Deletion,
    responses(
        (status = 200, description = "The account was deleted.", body = UserDeleted),
        TokenProblems,
    )
)]
pub(super) async fn delete(
    call: Call,
    token: AccessToken,
    Json(body): Json<Deletion>,
) -> Result<(SetCookies, Reply<UserDeleted>), Problem> {
    let request =
        DeleteUser { access_token: token.text().into(), current_password: body.current_password.0 };
    let reply = call.send(request, token.caller()).await?;
    let body = UserDeleted { user_id: JsonUuid(reply.user_id) };
    Ok((call.cleared(&token), Reply(StatusCode::OK, body)))
}

/// Confirms a new email address with its code
#[utoipa::path(
    post, path = "/v1/me/email/confirm", tag = "user", security(("bearer" = []), ("cookie" = [])),
    params(IdempotencyHeader), request_body = EmailCode,
    responses(
        (status = 200, description = "The new email address is in effect.", body = UserChanged),
        TokenProblems,
    )
)]
pub(super) async fn confirm_email(
    call: Call,
    token: AccessToken,
    Json(body): Json<EmailCode>,
) -> Result<Reply<UserChanged>, Problem> {
    let request = ConfirmEmail {
        access_token: token.text().into(),
        verification_id: body.verification_id.0,
        code: body.code.0,
    };
    let reply = call.send(request, token.caller()).await?;
    Ok(Reply(StatusCode::OK, reply.into()))
}
