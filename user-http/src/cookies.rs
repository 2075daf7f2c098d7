//! The cookies that carry a session in a browser. Page scripts cannot read them, and they are only
//! sent over HTTPS, or to localhost.
//!
//! The access token is in `__Host-user`, which no other host can set. The refresh token is in
//! `__Secure-user-refresh`, which goes only to paths below `/auth` of the host that has set it, so
//! no backend ever gets it.

use std::convert::Infallible;

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponseParts, ResponseParts};
use user_proto::TokenReply;

/// Name of the cookie with the refresh token.
pub const REFRESH_COOKIE: &str = "__Secure-user-refresh";
/// Path below which browsers send the refresh token.
const REFRESH_PATH: &str = "/auth";

/// Error about a cookie that a request has more than once. Another host of the same domain could
/// have set one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepeatedCookie;

/// Names and attributes of the cookies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cookies {
    /// Domain with subdomains that get the access token, too; `None` for this host only.
    pub domain: Option<String>,
}

impl Cookies {
    /// Returns the name of the cookie with the access token. Browsers accept the prefix `__Host-`
    /// only without a domain.
    #[must_use]
    pub fn access_name(&self) -> &'static str {
        match self.domain {
            None => "__Host-user",
            Some(_) => "__Secure-user",
        }
    }

    /// Returns true if a request has one of the cookies, in any form.
    #[must_use]
    pub fn are_present(&self, headers: &HeaderMap) -> bool {
        let is_present = |name| find(headers, name) != Ok(None);
        is_present(self.access_name()) || is_present(REFRESH_COOKIE)
    }

    /// Returns the cookies with the tokens of a session. Both live as long as the refresh token:
    /// an access token that has expired still names the session that may be refreshed.
    #[must_use]
    pub fn set<const TYPE: u8>(&self, tokens: &TokenReply<'_, TYPE>) -> SetCookies {
        let seconds = tokens.refresh_expires_in;
        let text =
            |secret: &user_proto::Secret<'_>| secret.expose_str().unwrap_or_default().to_owned();
        SetCookies(vec![
            self.access(&text(&tokens.access_token), seconds),
            refresh(&text(&tokens.refresh_token), seconds),
        ])
    }

    /// Returns the cookies that delete those of a session.
    #[must_use]
    pub fn clear(&self) -> SetCookies {
        SetCookies(vec![self.access("", 0), refresh("", 0)])
    }

    fn access(&self, value: &str, seconds: u32) -> String {
        let name = self.access_name();
        let mut cookie = format!("{name}={value}; Path=/; ");
        if let Some(domain) = &self.domain {
            cookie += &format!("Domain={domain}; ");
        }
        cookie + &attributes(seconds)
    }
}

fn refresh(value: &str, seconds: u32) -> String {
    format!("{REFRESH_COOKIE}={value}; Path={REFRESH_PATH}; {}", attributes(seconds))
}

fn attributes(seconds: u32) -> String {
    format!("Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax")
}

/// Cookies that a reply sets.
#[derive(Default)]
pub struct SetCookies(Vec<String>);

impl SetCookies {
    /// Adds a cookie of this host that expires after some seconds, and contains no secret.
    pub(crate) fn add(&mut self, name: &str, value: &str, path: &str, seconds: u32) {
        self.0.push(format!("{name}={value}; Path={path}; {}", attributes(seconds)));
    }
}

impl IntoResponseParts for SetCookies {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        for cookie in self.0 {
            // A token that is not visible ASCII is no token of the service.
            let Ok(mut value) = HeaderValue::try_from(cookie) else { continue };
            value.set_sensitive(true);
            parts.headers_mut().append(SET_COOKIE, value);
        }
        Ok(parts)
    }
}

/// Returns the value of the cookie with exactly this name.
///
/// # Errors
/// If the request has it more than once.
pub fn find<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a [u8]>, RepeatedCookie> {
    let mut values = find_all(headers, name);
    match (values.next(), values.next()) {
        (found, None) => Ok(found),
        (_, Some(_)) => Err(RepeatedCookie),
    }
}

/// Returns the values of all cookies with exactly this name.
pub fn find_all<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let pairs = headers
        .get_all(COOKIE)
        .into_iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes());
        value.and_then(|rest| rest.strip_prefix(b"="))
    })
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use user_proto::{LoggedIn, Secret};
    use uuid::Uuid;

    use super::*;

    fn lines(cookies: SetCookies) -> Vec<String> {
        let response = (cookies, ()).into_response();
        let values = response.headers().get_all(SET_COOKIE).iter();
        assert!(response.headers().values().all(HeaderValue::is_sensitive));
        values.map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_cookies_are_for_this_host_unless_a_domain_is_set() {
        let tokens = LoggedIn {
            user_id: Uuid::nil(),
            session_id: Uuid::nil(),
            access_token: Secret::from("a.b.c"),
            access_expires_in: 900,
            refresh_token: Secret::from("r"),
            refresh_expires_in: 3600,
        };
        let host = Cookies::default();
        let end = "Max-Age=3600; HttpOnly; Secure; SameSite=Lax";
        let refresh = format!("__Secure-user-refresh=r; Path=/auth; {end}");
        let access = format!("__Host-user=a.b.c; Path=/; {end}");
        assert_eq!(lines(host.set(&tokens)), [access, refresh.clone()]);
        let end = "Max-Age=0; HttpOnly; Secure; SameSite=Lax";
        assert_eq!(
            lines(host.clear()),
            [
                format!("__Host-user=; Path=/; {end}"),
                format!("__Secure-user-refresh=; Path=/auth; {end}"),
            ]
        );
        let domain = Cookies { domain: Some("example.com".to_owned()) };
        let set = lines(domain.set(&tokens));
        assert!(set[0].starts_with("__Secure-user=a.b.c; Path=/; Domain=example.com; "), "{set:?}");
        assert_eq!(set[1], refresh, "the refresh token stays at this host");
    }
}
