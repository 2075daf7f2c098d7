//! `/auth/refresh`: replaces the tokens in the cookies. GET is for pages, and redirects the browser
//! back or to the login page; POST is for scripts.

use std::sync::Arc;

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
use super::idempotency::{self, Caller, issued_at, session_id};
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
    /// The session may be open, but its refresh token is at the host of the login page.
    Elsewhere(Problem),
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
        Renewal::Elsewhere(problem) | Renewal::Failed(problem) => problem.into_response(),
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
    let stated = match stated_target(&api, query.as_deref().unwrap_or_default()) {
        Ok(stated) => stated,
        Err(problem) => return problem.into_response(),
    };
    let is_stated = stated.is_some();
    let target = stated.unwrap_or_else(|| "/".to_owned());
    let seen_from_login =
        || api.login.seen_from_login(&target, call.own_origin(&headers)?, &api.return_hosts);
    let renewal = match renew(&api, &call, &headers, u64::MAX).await {
        Renewal::Elsewhere(problem) => match seen_from_login() {
            Some(page) => {
                let refresh = api.login.refresh_then(&page);
                return redirect_counted(&api, &headers, SetCookies::default(), &page, refresh);
            }
            None => Renewal::LoggedOut(SetCookies::default(), problem),
        },
        other => other,
    };
    match renewal {
        Renewal::Done(cookies, _) => {
            redirect_counted(&api, &headers, cookies, &target, target.clone())
        }
        Renewal::LoggedOut(cookies, problem) => {
            let target = seen_from_login().unwrap_or_else(|| target.clone());
            if is_stated && api.login.is_target(&target) {
                if api.login_reported.is_due() {
                    tracing::error!(
                        "a browser was sent from the page of LOGIN_URL to the login: if that page \
                         requires a login itself, make it public"
                    );
                }
                return (cookies, problem).into_response();
            }
            redirect(cookies, api.login.returning_to(is_stated.then_some(&target)))
        }
        Renewal::Elsewhere(problem) | Renewal::Failed(problem) => problem.into_response(),
    }
}

/// Redirects a browser on its way to a page, unless it already was too often.
fn redirect_counted(
    api: &Api,
    headers: &HeaderMap,
    mut cookies: SetCookies,
    page: &str,
    to: String,
) -> Response {
    let returns = returns(headers, page);
    if returns >= MAX_RETURNS {
        if api.loop_reported.is_due() {
            tracing::warn!(
                "a page finds no usable token, although its session was just refreshed; check that \
                 the cookie reaches it, and COOKIE_DOMAIN"
            );
        }
        // Without a page to return to, so that a login page cannot continue the loop.
        return redirect(cookies, api.login.returning_to(None));
    }
    let count = format!("{}.{}", fingerprint(page), returns + 1);
    cookies.add(RETURNS_COOKIE, &count, REFRESH_PATH, RETURNS_AGE);
    redirect(cookies, to)
}

/// Returns the page to which the query asks to return, if it states one.
fn stated_target(api: &Api, query: &str) -> Result<Option<String>, Problem> {
    let mut values = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "return_to")
        .map(|(_, value)| value);
    let target = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => api.return_hosts.target(&value),
        (Some(_), Some(_)) => None,
    };
    let detail = "return_to must be one path on this host, or https and a host of RETURN_HOSTS.";
    let invalid = || Problem::new(StatusCode::BAD_REQUEST, "INVALID_RETURN_TO", detail);
    target.map(Some).ok_or_else(invalid)
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
        let age = api.token_ages.age(valid.issued_at);
        if age <= fresh {
            let left = valid.expires_at.saturating_sub(valid.issued_at).saturating_sub(age);
            let session = browser_session(
                valid.user_id,
                valid.session_id,
                u32::try_from(left).unwrap_or(u32::MAX),
            );
            return Renewal::Done(SetCookies::default(), session);
        }
    }
    let Some(refresh) = refresh else {
        // On any other host than that of the login, the browser has the access token only. It may
        // be that of all hosts of COOKIE_DOMAIN, so it stays.
        return match api.login.host() {
            Some(_) => Renewal::Elsewhere(Problem::no_token()),
            None => logged_out(Problem::no_token()),
        };
    };
    let request = RefreshToken { refresh_token: Secret::from(refresh) };
    match call.send(request, Caller::Secret(refresh)).await {
        // Another host of the domain could have set the refresh token, but not `__Host-user`.
        Ok(reply) if session_id(access) != Some(reply.session_id) => {
            tracing::debug!("refused a refresh token of another session than the access token");
            logged_out(Problem::invalid_token())
        }
        Ok(reply) => {
            if let Some(issued_at) = reply.access_token.expose_str().and_then(issued_at) {
                // The reply to a repeated request is that of the first one, so it only shows the
                // least age. Without a key, a repeat is at most 30 seconds late.
                match idempotency::is_stated(headers) {
                    true => _ = api.token_ages.age(issued_at),
                    false => api.token_ages.issued(issued_at),
                }
            }
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
