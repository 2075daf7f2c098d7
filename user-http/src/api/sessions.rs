//! Sessions: login, refresh, the list of sessions, and logout.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use user_proto::{EndSession, ListSessions, Login, Logout, RefreshToken, SessionRow};
use utoipa::ToSchema;

use super::body::{Json, JsonUuid, Reply, SecretText};
use super::call::{AccessToken, Call, Id};
use super::idempotency::Caller;
use super::operation::{IdempotencyHeader, TokenProblems};
use super::problem::Problem;
use super::replies::{SessionsEnded, TokenPair, rfc3339};

/// Credentials of a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    /// Username or email address.
    #[schema(example = "kim")]
    login: String,
    #[schema(value_type = String, format = Password)]
    password: SecretText,
    /// Name of the device, for the list of sessions.
    device: Option<String>,
}

/// A refresh token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    #[schema(value_type = String, format = Password)]
    refresh_token: SecretText,
}

/// The sessions of a user.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionList {
    sessions: Vec<Session>,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
struct Session {
    #[schema(value_type = Uuid)]
    session_id: JsonUuid,
    /// Time of the login.
    #[schema(format = DateTime)]
    created_at: String,
    /// Time of the last refresh.
    #[schema(format = DateTime)]
    last_used_at: String,
    /// Name of the device, as it was sent at the login. Escape it before you show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    device: Option<String>,
    /// Network of the login.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    network: Option<String>,
    /// True if the access token of the request belongs to this session.
    current: bool,
}

impl From<SessionRow<'_>> for Session {
    fn from(row: SessionRow<'_>) -> Self {
        Self {
            session_id: JsonUuid(row.session_id),
            created_at: rfc3339(row.created_at),
            last_used_at: rfc3339(row.last_used_at),
            device: row.device.map(std::borrow::Cow::into_owned),
            network: row.network.map(std::borrow::Cow::into_owned),
            current: row.current.is_some(),
        }
    }
}

/// Opens a session (login)
///
/// 401 if no account has this login and password; the reply does not say which of the two is wrong.
#[utoipa::path(
    post, path = "/v1/sessions", tag = "sessions",
    params(IdempotencyHeader), request_body = Credentials,
    responses(
        (status = 201, description = "A session is open.", body = TokenPair),
        TokenProblems,
    )
)]
pub(super) async fn log_in(
    call: Call,
    Json(body): Json<Credentials>,
) -> Result<Reply<TokenPair>, Problem> {
    let request = Login {
        login: body.login.into(),
        password: body.password.0,
        device: body.device.map(Into::into),
    };
    let reply = call.send(request, Caller::Network).await?;
    Ok(Reply(StatusCode::CREATED, reply.into()))
}

/// Replaces both tokens of a session
///
/// A refresh token can be used once. Using it again later than 30 seconds after that ends the
/// session, since it could be stolen.
#[utoipa::path(
    post, path = "/v1/sessions/refresh", tag = "sessions",
    params(IdempotencyHeader), request_body = Refresh,
    responses(
        (status = 200, description = "Both tokens were replaced.", body = TokenPair),
        TokenProblems,
    )
)]
pub(super) async fn refresh(
    call: Call,
    Json(body): Json<Refresh>,
) -> Result<Reply<TokenPair>, Problem> {
    let refresh_token = body.refresh_token.0;
    let request = RefreshToken { refresh_token: refresh_token.expose().into() };
    let reply = call.send(request, Caller::Secret(refresh_token.expose())).await?;
    Ok(Reply(StatusCode::OK, reply.into()))
}

/// Lists the sessions of the user
#[utoipa::path(
    get, path = "/v1/sessions", tag = "sessions", security(("bearer" = [])),
    responses(
        (status = 200, description = "The sessions.", body = SessionList),
        TokenProblems,
    )
)]
pub(super) async fn list(call: Call, token: AccessToken) -> Result<Reply<SessionList>, Problem> {
    let request = ListSessions { access_token: token.text().into() };
    let reply = call.send(request, token.caller()).await?;
    let sessions = reply.sessions.into_iter().map(Into::into).collect();
    Ok(Reply(StatusCode::OK, SessionList { sessions }))
}

/// Ends one session of the user
///
/// `sessions_ended` is 0 if the user has no session with this id.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}", tag = "sessions", security(("bearer" = [])),
    params(
        ("id" = Uuid, Path, description = "The session_id of the session."),
        IdempotencyHeader,
    ),
    responses(
        (status = 200, description = "The session was ended.", body = SessionsEnded),
        TokenProblems,
    )
)]
pub(super) async fn end(
    call: Call,
    token: AccessToken,
    Id(session_id): Id,
) -> Result<Reply<SessionsEnded>, Problem> {
    let request = EndSession { access_token: token.text().into(), session_id };
    let reply = call.send(request, token.caller()).await?;
    Ok(Reply(StatusCode::OK, reply.into()))
}

/// Ends the session of the access token (logout)
#[utoipa::path(
    delete, path = "/v1/sessions/current", tag = "sessions", security(("bearer" = [])),
    params(IdempotencyHeader),
    responses(
        (status = 200, description = "The session was ended.", body = SessionsEnded),
        TokenProblems,
    )
)]
pub(super) async fn log_out(
    call: Call,
    token: AccessToken,
) -> Result<Reply<SessionsEnded>, Problem> {
    end_sessions(&call, &token, None).await
}

/// Ends all sessions of the user
#[utoipa::path(
    delete, path = "/v1/sessions", tag = "sessions", security(("bearer" = [])),
    params(IdempotencyHeader),
    responses(
        (status = 200, description = "The sessions were ended.", body = SessionsEnded),
        TokenProblems,
    )
)]
pub(super) async fn log_out_everywhere(
    call: Call,
    token: AccessToken,
) -> Result<Reply<SessionsEnded>, Problem> {
    end_sessions(&call, &token, Some(())).await
}

async fn end_sessions(
    call: &Call,
    token: &AccessToken,
    all_sessions: Option<()>,
) -> Result<Reply<SessionsEnded>, Problem> {
    let request = Logout { token: token.text().into(), all_sessions };
    let reply = call.send(request, token.caller()).await?;
    Ok(Reply(StatusCode::OK, reply.into()))
}
