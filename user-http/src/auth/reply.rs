//! The replies to a check: a status and a few headers, of at most 3 KiB in total, since nginx reads
//! them into a buffer of 4 KiB. No reply sets a cookie, has a body, or may be stored by a cache.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use user_proto::ErrorCode;
use uuid::Uuid;

use super::Outcome;
use crate::metrics::CheckResult;

/// Value of Retry-After in seconds if the service states none.
pub(super) const DEFAULT_RETRY_AFTER: u64 = 1;
/// Maximum value of Retry-After in seconds.
pub(super) const MAX_RETRY_AFTER: u64 = 60;
/// Maximum size in bytes of the claims in a header. The rest of a reply takes less than 400 bytes.
const MAX_CLAIMS: usize = 3 * 1024 - 400;

const USER_ID: HeaderName = HeaderName::from_static("x-user-id");
const SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");
const CLAIMS: HeaderName = HeaderName::from_static("x-claims");
const AUTH_ERROR: HeaderName = HeaderName::from_static("x-auth-error");

/// The user and session that a valid token belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) user_id: Uuid,
    pub(super) session_id: Uuid,
    /// JSON object with the claims of the token; `None` if it has none.
    pub(super) claims: Option<String>,
}

/// Returns the reply to the proxy for an outcome, and the result under which the check is counted.
pub(super) fn response(outcome: Outcome) -> (CheckResult, Response) {
    let result = outcome.result();
    let response = match outcome {
        Outcome::Passed(identity) => match passed(&identity) {
            Some(response) => response,
            None => {
                // Without its claims, the identity would have other rights than it should.
                let user_id = identity.user_id;
                tracing::error!(%user_id, "the claims do not fit into a header; check refused");
                return (CheckResult::Unavailable, unavailable(MAX_RETRY_AFTER));
            }
        },
        Outcome::NoToken => with_headers(
            StatusCode::UNAUTHORIZED,
            [(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))],
        ),
        Outcome::Invalid(code) => with_headers(
            StatusCode::UNAUTHORIZED,
            [
                (WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\"")),
                (AUTH_ERROR, HeaderValue::from_static(error_name(code))),
            ],
        ),
        Outcome::CrossOrigin => with_headers(
            StatusCode::FORBIDDEN,
            [(AUTH_ERROR, HeaderValue::from_static("NOT_SAME_ORIGIN"))],
        ),
        Outcome::Unavailable { retry_after } => unavailable(retry_after),
    };
    (result, response)
}

fn passed(identity: &Identity) -> Option<Response> {
    let id = |id: Uuid| {
        let mut buffer = Uuid::encode_buffer();
        HeaderValue::from_str(id.hyphenated().encode_lower(&mut buffer)).ok()
    };
    let claims = match &identity.claims {
        // The header is present in every case, so that no header of an end user can stand for it.
        None => HeaderValue::from_static("{}"),
        Some(json) => HeaderValue::try_from(ascii(json)?).ok()?,
    };
    Some(with_headers(
        StatusCode::OK,
        [
            (USER_ID, id(identity.user_id)?),
            (SESSION_ID, id(identity.session_id)?),
            (CLAIMS, claims),
        ],
    ))
}

fn unavailable(retry_after: u64) -> Response {
    with_headers(StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, HeaderValue::from(retry_after))])
}

/// Returns a reply with these headers and without a body, which no cache stores.
fn with_headers<const N: usize>(
    status: StatusCode,
    headers: [(HeaderName, HeaderValue); N],
) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().extend(headers);
    response
}

/// Returns the name of an error code, or `INVALID_TOKEN` for a code of a later version.
fn error_name(code: ErrorCode) -> &'static str {
    if ErrorCode::ALL.contains(&code) { code.name() } else { ErrorCode::INVALID_TOKEN.name() }
}

/// Returns JSON in which every character outside of visible ASCII is escaped, or `None` if it is
/// too long for a header. Such a character can only be part of a string, where `\u` is valid.
fn ascii(json: &str) -> Option<String> {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, ' '..='~') {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
        if text.len() > MAX_CLAIMS {
            return None;
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(claims: Option<&str>) -> Outcome {
        Outcome::Passed(Identity {
            user_id: Uuid::from_u128(1),
            session_id: Uuid::from_u128(2),
            claims: claims.map(ToOwned::to_owned),
        })
    }

    fn header<'a>(response: &'a Response, name: &str) -> &'a str {
        response.headers().get(name).map_or("absent", |value| value.to_str().unwrap())
    }

    #[test]
    fn an_identity_always_has_three_headers() {
        let (result, response) = response(identity(None));
        assert_eq!((result, response.status()), (CheckResult::Passed, StatusCode::OK));
        assert_eq!(header(&response, "x-user-id"), "00000000-0000-0000-0000-000000000001");
        assert_eq!(header(&response, "x-session-id"), "00000000-0000-0000-0000-000000000002");
        assert_eq!(header(&response, "x-claims"), "{}");
    }

    #[test]
    fn claims_are_ascii_and_mean_the_same() {
        let json = r#"{"name":"Zoë \"😀\"","role":"änderer"}"#;
        let (_, response) = response(identity(Some(json)));
        let sent = header(&response, "x-claims");
        assert_eq!(sent, r#"{"name":"Zo\u00eb \"\ud83d\ude00\"","role":"\u00e4nderer"}"#);
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(sent), value(json));
    }

    #[test]
    fn claims_that_do_not_fit_refuse_the_check() {
        let json = format!("{{\"a\":\"{}\"}}", "ä".repeat(500));
        let (result, response) = response(identity(Some(&json)));
        assert_eq!(result, CheckResult::Unavailable);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(header(&response, "x-user-id"), "absent");
    }

    #[test]
    fn every_reply_is_small_and_forbids_caching() {
        let largest = format!("{{\"a\":\"{}\"}}", "a".repeat(MAX_CLAIMS - 8));
        let outcomes = [
            identity(Some(&largest)),
            Outcome::NoToken,
            Outcome::Invalid(ErrorCode::SESSION_REVOKED),
            Outcome::Invalid(ErrorCode(0x03ff)),
            Outcome::CrossOrigin,
            Outcome::Unavailable { retry_after: MAX_RETRY_AFTER },
        ];
        for outcome in outcomes {
            let (_, response) = response(outcome);
            let lines = response.headers().iter();
            let size: usize =
                lines.map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
            // hyper adds the status line, the date, the length and perhaps `connection`.
            assert!(size + 130 <= 3 * 1024, "{size}: {response:?}");
            assert_eq!(header(&response, "cache-control"), "no-store");
            assert_eq!(header(&response, "set-cookie"), "absent");
        }
    }
}
