//! `/auth/refresh`: replaces the tokens in the cookies. GET is for pages, and redirects the browser
//! back or to the login page; POST is for scripts.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{RawQuery, State};
use axum::http::header::{LOCATION, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};
use user_proto::{RefreshToken, Secret};
use uuid::Uuid;

use super::Api;
use super::body::{JsonUuid, Reply};
use super::call::Call;
use super::idempotency::{Caller, session_id};
use super::problem::Problem;
use crate::auth::same_origin::SEC_FETCH_MODE;
use crate::auth::token;
use crate::cookies::{self, REFRESH_COOKIE, SetCookies};
use crate::forwarded::single;
use crate::return_to::{REFRESH_PATH, location};

/// Age in seconds up to which an access token is not replaced. A tab with a request on its way
/// has the previous refresh token, which the service accepts for 30 seconds after its
/// replacement. Until then, it must not become the one before the previous one.
const FRESH: u64 = 60;
/// Name of the cookie that counts how often a browser was redirected back to the same page.
const RETURNS_COOKIE: &str = "__Secure-user-returns";
/// Seconds after which the count begins again.
const RETURNS_AGE: u32 = 10;
/// Maximum number of redirects back to the same page. A page that then still finds no usable token
/// cannot get one by this route. Tabs that open the same page at the same time count as well.
const MAX_RETURNS: u8 = 6;

/// Session of a browser, with its tokens in cookies.
#[derive(Debug, Serialize)]
pub(super) struct BrowserSession {
    user_id: JsonUuid,
    session_id: JsonUuid,
    access_expires_in: u32,
}

/// Result of refreshing the tokens in the cookies.
enum Renewal {
    /// The access token is usable.
    Done(SetCookies, BrowserSession),
    /// The user has to log in.
    LoggedOut(SetCookies, Problem),
    /// It is unknown whether the session is open.
    Failed(Problem),
}

/// Refreshes the session for a script.
pub(super) async fn for_script(
    State(api): State<Arc<Api>>,
    call: Call,
    headers: HeaderMap,
) -> Response {
    match renew(&api, &call, &headers, FRESH).await {
        Renewal::Done(cookies, session) => {
            (cookies, Reply(StatusCode::OK, session)).into_response()
        }
        Renewal::LoggedOut(cookies, problem) => (cookies, problem).into_response(),
        Renewal::Failed(problem) => problem.into_response(),
    }
}

/// Refreshes the session for a page, and redirects the browser.
pub(super) async fn for_page(
    State(api): State<Arc<Api>>,
    call: Call,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let is_navigation = !headers.contains_key(SEC_FETCH_MODE)
        || single(&headers, &SEC_FETCH_MODE) == Some("navigate");
    if !is_navigation {
        let detail = "GET /auth/refresh is for pages; a script sends POST.";
        return Problem::new(StatusCode::FORBIDDEN, "NOT_PERMITTED", detail).into_response();
    }
    let Some(target) = target(&api, query.as_deref().unwrap_or_default()) else {
        let detail =
            "return_to must be one path on this host, or https and a host of RETURN_HOSTS.";
        return Problem::new(StatusCode::BAD_REQUEST, "INVALID_RETURN_TO", detail).into_response();
    };
    match renew(&api, &call, &headers, u64::MAX).await {
        Renewal::Done(mut cookies, _) => {
            let returns = returns(&headers, &target);
            if returns >= MAX_RETURNS {
                tracing::warn!(
                    "a page finds no usable token, although its session was just refreshed; check \
                     that the cookie reaches it, and COOKIE_DOMAIN"
                );
                // Without a page to return to, so that a login page cannot continue the loop.
                return redirect(cookies, api.login.returning_to(None));
            }
            let count = format!("{}.{}", fingerprint(&target), returns + 1);
            cookies.add(RETURNS_COOKIE, &count, REFRESH_PATH, RETURNS_AGE);
            redirect(cookies, target)
        }
        Renewal::LoggedOut(cookies, problem) if api.login.is_target(&target) => {
            tracing::error!("the page of LOGIN_URL requires a login itself; make it public");
            (cookies, problem).into_response()
        }
        Renewal::LoggedOut(cookies, _) => redirect(cookies, api.login.returning_to(Some(&target))),
        Renewal::Failed(problem) => problem.into_response(),
    }
}

/// Returns the page to which the query asks to return; without one, the root of this host.
fn target(api: &Api, query: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "return_to")
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (None, _) => Some("/".to_owned()),
        (Some(value), None) => api.return_hosts.target(&value),
        (Some(_), Some(_)) => None,
    }
}

fn redirect(cookies: SetCookies, target: String) -> Response {
    let headers = [(LOCATION, location(target)), (VARY, HeaderValue::from_static("Cookie"))];
    (StatusCode::SEE_OTHER, cookies, headers).into_response()
}

/// Returns how often the browser was redirected to this page within the last seconds.
fn returns(headers: &HeaderMap, target: &str) -> u8 {
    let value = match cookies::find(headers, RETURNS_COOKIE) {
        Ok(None) => return 0,
        Ok(Some(value)) => std::str::from_utf8(value).unwrap_or_default(),
        Err(_) => return MAX_RETURNS,
    };
    match value.split_once('.') {
        Some((page, count)) if page == fingerprint(target) => count.parse().unwrap_or(MAX_RETURNS),
        _ => 0,
    }
}

/// Returns a short text that stands for a page, so that no cookie contains its path.
fn fingerprint(target: &str) -> String {
    Sha256::digest(target).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Replaces both tokens, unless the access token is valid and at most `fresh` seconds old.
async fn renew(api: &Api, call: &Call, headers: &HeaderMap, fresh: u64) -> Renewal {
    let logged_out = |problem| Renewal::LoggedOut(api.cookies.clear(), problem);
    let access = token::in_cookie(headers, &api.cookies);
    let (access, refresh) = match (access, cookies::find(headers, REFRESH_COOKIE)) {
        (Ok(Some(access)), Ok(refresh)) => (access, refresh),
        (Ok(None), Ok(None)) => {
            return Renewal::LoggedOut(SetCookies::default(), Problem::no_token());
        }
        (Ok(None), Ok(Some(_))) => return logged_out(Problem::no_token()),
        (Err(_), _) | (_, Err(_)) => return logged_out(Problem::invalid_token()),
    };
    if let Ok(Some(valid)) = call.verify(access).await {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if now.saturating_sub(valid.issued_at) <= fresh {
            let left = valid.expires_at.saturating_sub(now);
            let session = browser_session(
                valid.user_id,
                valid.session_id,
                u32::try_from(left).unwrap_or(u32::MAX),
            );
            return Renewal::Done(SetCookies::default(), session);
        }
    }
    let Some(refresh) = refresh else { return logged_out(Problem::no_token()) };
    let request = RefreshToken { refresh_token: Secret::from(refresh) };
    match call.send(request, Caller::Secret(refresh)).await {
        // Another host of the domain could have set the refresh token, but not `__Host-user`.
        Ok(reply) if session_id(access) != Some(reply.session_id) => {
            tracing::debug!("refused a refresh token of another session than the access token");
            logged_out(Problem::invalid_token())
        }
        Ok(reply) => {
            let session = browser_session(reply.user_id, reply.session_id, reply.access_expires_in);
            Renewal::Done(api.cookies.set(&reply), session)
        }
        Err(problem) if problem.is_unauthorized() => logged_out(problem),
        Err(problem) => Renewal::Failed(problem),
    }
}

fn browser_session(user_id: Uuid, session_id: Uuid, access_expires_in: u32) -> BrowserSession {
    BrowserSession {
        user_id: JsonUuid(user_id),
        session_id: JsonUuid(session_id),
        access_expires_in,
    }
}
