//! Sessions: login, refresh, the list of sessions, and logout.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use user_proto::{EndSession, ListSessions, Login, Logout, RefreshToken, SessionRow};
use utoipa::ToSchema;

use super::body::{Json, JsonUuid, Reply, SecretText};
use super::call::{AccessToken, AccessTokens, Call, Delivery, Id};
use super::idempotency::{self, Caller};
use super::operation::{IdempotencyHeader, TokenProblems};
use super::problem::Problem;
use super::replies::{OpenedSession, SessionsEnded, TokenPair, rfc3339};
use crate::cookies::SetCookies;

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
    /// True to get the tokens in the reply. Otherwise, they are set as cookies, which only a page
    /// of the same origin can use.
    #[serde(default)]
    return_tokens: bool,
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
        (status = 201, description = "A session is open.", body = OpenedSession),
        TokenProblems,
    )
)]
pub(super) async fn log_in(
    call: Call,
    previous: Result<AccessTokens, Problem>,
    Json(body): Json<Credentials>,
) -> Result<(SetCookies, Reply<OpenedSession>), Problem> {
    let delivery = Delivery::of(&call, previous, body.return_tokens)?;
    let request = Login {
        login: body.login.into(),
        password: body.password.0,
        device: body.device.map(Into::into),
    };
    let reply = call.send(request, Caller::Network).await?;
    Ok(delivery.deliver(&call, reply).await)
}

/// Replaces both tokens of a session that is not kept in cookies
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
    get, path = "/v1/sessions", tag = "sessions", security(("bearer" = []), ("cookie" = [])),
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
    delete, path = "/v1/sessions/{id}", tag = "sessions", security(("bearer" = []), ("cookie" = [])),
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
) -> Result<(SetCookies, Reply<SessionsEnded>), Problem> {
    let request = EndSession { access_token: token.text().into(), session_id };
    let reply = call.send(request, token.caller()).await?;
    let is_own = idempotency::session_id(token.text()) == Some(session_id);
    let cookies = if is_own { call.cleared(&token) } else { SetCookies::default() };
    Ok((cookies, Reply(StatusCode::OK, reply.into())))
}

/// Ends the session of the access token (logout)
///
/// An access token that has expired ends its session as well.
#[utoipa::path(
    delete, path = "/v1/sessions/current", tag = "sessions",
    security(("bearer" = []), ("cookie" = [])),
    params(IdempotencyHeader),
    responses(
        (status = 200, description = "The session was ended.", body = SessionsEnded),
        TokenProblems,
    )
)]
pub(super) async fn log_out(call: Call, tokens: Result<AccessTokens, Problem>) -> Response {
    end_sessions(&call, tokens, None).await
}

/// Ends all sessions of the user
#[utoipa::path(
    delete, path = "/v1/sessions", tag = "sessions", security(("bearer" = []), ("cookie" = [])),
    params(IdempotencyHeader),
    responses(
        (status = 200, description = "The sessions were ended.", body = SessionsEnded),
        TokenProblems,
    )
)]
pub(super) async fn log_out_everywhere(
    call: Call,
    tokens: Result<AccessTokens, Problem>,
) -> Response {
    end_sessions(&call, tokens, Some(())).await
}

/// Ends the session of each token, or all sessions of their users. The cookies are cleared if they
/// are of no use any more: the session has ended, or there is none.
async fn end_sessions(
    call: &Call,
    tokens: Result<AccessTokens, Problem>,
    all_sessions: Option<()>,
) -> Response {
    let tokens = match tokens {
        Ok(AccessTokens(tokens)) => tokens,
        Err(problem) if call.has_cookies() => {
            return (call.cookies().clear(), problem).into_response();
        }
        Err(problem) => return problem.into_response(),
    };
    let (mut failed, mut refused, mut expired) = (None, None, None);
    let mut ended: Option<SessionsEnded> = None;
    let mut cookies = SetCookies::default();
    for token in &tokens {
        cookies = call.cleared(token);
        let request = Logout { token: token.text().into(), all_sessions };
        match call.send(request, token.caller()).await {
            Ok(reply) => *ended.get_or_insert_default() += SessionsEnded::from(reply),
            Err(problem) if problem.is_expired() => expired = Some(problem),
            Err(problem) if problem.is_unauthorized() => refused = Some(problem),
            Err(problem) => failed = Some(problem),
        }
    }
    match (failed, ended, refused) {
        (Some(problem), ..) => problem.into_response(),
        (None, Some(ended), _) => (cookies, Reply(StatusCode::OK, ended)).into_response(),
        (None, None, Some(problem)) => (cookies, problem).into_response(),
        (None, None, None) => expired.unwrap_or_else(Problem::no_token).into_response(),
    }
}
