//! Protection against requests that another site makes a browser send with the cookie (CSRF).

use axum::http::header::{ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION};
use axum::http::{HeaderMap, HeaderName, Method};

use crate::forwarded::{ForwardedMethod, Peer, single};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
pub(crate) const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Returns true if the end user's request has a method that changes nothing (RFC 9110, 9.2.1), and
/// opens no WebSocket, over which another site could do anything.
///
/// A proxy that does not state the method usually asks with GET, whatever the end user sent. Then a
/// request with `Origin` counts as one that may change something: browsers add it to all of those.
pub(super) fn is_safe(own: &Method, headers: &HeaderMap, peer: &Peer) -> bool {
    if opens_web_socket(headers) {
        return false;
    }
    let changes_nothing =
        |method: &Method| matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    match peer.method(headers) {
        ForwardedMethod::One(method) => changes_nothing(&method),
        ForwardedMethod::Ambiguous => false,
        ForwardedMethod::Absent => changes_nothing(own) && !headers.contains_key(ORIGIN),
    }
}

/// Returns true if the request opens a WebSocket. Over HTTP/2 and HTTP/3 (RFC 8441, RFC 9220), it
/// has no Sec-WebSocket-Key.
fn opens_web_socket(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_WEBSOCKET_KEY)
        || headers.contains_key(SEC_WEBSOCKET_VERSION)
        || headers.get_all(SEC_FETCH_MODE).iter().any(|mode| mode == "websocket")
}

/// Returns true if the browser says that the request comes from the same origin: in Sec-Fetch-Site,
/// or, where that is missing, in Origin. A request with neither may come from anywhere.
pub(super) fn is_same_origin(headers: &HeaderMap, peer: &Peer) -> bool {
    is_from(headers, peer.origin(headers))
}

/// As [`is_same_origin`], for a request that is not a check but the browser's own. `scheme` is that
/// of this listener, and counts unless a trusted proxy states another origin.
pub(crate) fn is_own_page(headers: &HeaderMap, peer: &Peer, scheme: &str) -> bool {
    is_from(headers, peer.own_origin(headers, scheme))
}

/// Returns true if the request says from which origin it comes, or how it relates to it.
pub(crate) fn states_origin(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_FETCH_SITE) || headers.contains_key(ORIGIN)
}

/// Returns true if a request comes from a page of this scheme and host. Only browsers without
/// Sec-Fetch-Site are judged by Origin.
fn is_from(headers: &HeaderMap, own: Option<(&str, &str)>) -> bool {
    if headers.contains_key(SEC_FETCH_SITE) {
        return single(headers, &SEC_FETCH_SITE) == Some("same-origin");
    }
    let own = own.and_then(|(scheme, authority)| normalized(scheme, authority));
    let stated = single(headers, &ORIGIN)
        .and_then(|origin| origin.split_once("://"))
        .and_then(|(scheme, authority)| normalized(scheme, authority));
    own.is_some() && own == stated
}

/// Returns scheme, host and port in a form in which they can be compared, or `None` if they are not
/// those of an HTTP origin.
fn normalized(scheme: &str, authority: &str) -> Option<(String, String, u16)> {
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    // The colons of an IPv6 address are in brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let number: u16 = port.parse().ok()?;
            // Not with a sign or a leading zero, which no browser sends.
            (host, (number.to_string() == port).then_some(number)?)
        }
        _ => (authority, default_port),
    };
    let valid = !host.is_empty() && !host.contains(['/', '@', ',', ' ', '?', '#']);
    valid.then(|| (scheme, host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::http::HeaderValue;

    use super::*;

    fn headers(values: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn peer(trusted: bool) -> Peer {
        Peer { socket: SocketAddr::from(([127, 0, 0, 1], 1)), proxied: None, trusted }
    }

    #[test]
    fn the_method_is_that_of_the_end_user() {
        let method = |value| headers(&[("x-forwarded-method", value)]);
        for (value, safe) in [
            ("GET", true),
            ("HEAD", true),
            ("OPTIONS", true),
            ("POST", false),
            ("DELETE", false),
            ("get", false),
            ("TRACE", false),
            ("", false),
            ("GET, POST", false),
        ] {
            assert_eq!(is_safe(&Method::GET, &method(value), &peer(true)), safe, "{value}");
        }
        let twice = headers(&[("x-forwarded-method", "GET"), ("x-forwarded-method", "GET")]);
        assert!(!is_safe(&Method::GET, &twice, &peer(true)));
        // From a stranger, only the method of the request itself counts.
        assert!(!is_safe(&Method::POST, &method("GET"), &peer(false)));
        assert!(is_safe(&Method::GET, &method("POST"), &peer(false)));
    }

    #[test]
    fn every_sign_of_a_web_socket_counts() {
        for (name, value, safe) in [
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==", false),
            ("sec-websocket-version", "13", false),
            ("sec-fetch-mode", "websocket", false),
            ("sec-fetch-mode", "navigate", true),
        ] {
            let headers = headers(&[("x-forwarded-method", "GET"), (name, value)]);
            assert_eq!(is_safe(&Method::GET, &headers, &peer(true)), safe, "{name}: {value}");
        }
    }

    #[test]
    fn without_a_stated_method_an_origin_means_a_change() {
        assert!(is_safe(&Method::GET, &headers(&[]), &peer(true)));
        assert!(!is_safe(&Method::GET, &headers(&[("origin", "null")]), &peer(true)));
        assert!(!is_safe(&Method::PUT, &headers(&[]), &peer(true)));
    }

    #[test]
    fn sec_fetch_site_decides_where_it_is_present() {
        for (value, same) in [
            ("same-origin", true),
            ("same-site", false),
            ("cross-site", false),
            ("none", false),
            ("Same-Origin", false),
            ("same-origin, same-origin", false),
        ] {
            let headers = headers(&[
                ("sec-fetch-site", value),
                ("origin", "https://app.example"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "app.example"),
            ]);
            assert_eq!(is_same_origin(&headers, &peer(true)), same, "{value}");
        }
        let twice = headers(&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")]);
        assert!(!is_same_origin(&twice, &peer(true)));
    }

    #[test]
    fn otherwise_origin_must_be_that_of_the_request() {
        for (origin, proto, host, same) in [
            ("https://app.example", "https", "app.example", true),
            ("https://app.example", "https", "APP.example:443", true),
            ("https://app.example:8443", "https", "app.example:8443", true),
            ("http://app.example", "http", "app.example:80", true),
            ("https://[::1]:8443", "https", "[::1]:8443", true),
            ("https://[::1]", "https", "[::1]:443", true),
            ("http://app.example", "https", "app.example", false),
            ("https://app.example:8443", "https", "app.example", false),
            ("https://app.example.evil", "https", "app.example", false),
            ("https://evil", "https", "app.example", false),
            ("https://sub.app.example", "https", "app.example", false),
            ("https://app.example@evil", "https", "app.example@evil", false),
            ("https://app.example:+443", "https", "app.example", false),
            ("https://app.example:0443", "https", "app.example", false),
            ("null", "https", "app.example", false),
            ("", "https", "app.example", false),
            ("file://", "file", "", false),
        ] {
            let headers = headers(&[
                ("origin", origin),
                ("x-forwarded-proto", proto),
                ("x-forwarded-host", host),
            ]);
            assert_eq!(is_same_origin(&headers, &peer(true)), same, "{origin} {proto} {host}");
            assert!(!is_same_origin(&headers, &peer(false)), "{origin}: stated by a stranger");
        }
        let by_host = headers(&[
            ("origin", "https://app.example"),
            ("x-forwarded-proto", "https"),
            ("host", "app.example"),
        ]);
        assert!(is_same_origin(&by_host, &peer(true)));
        assert!(!is_same_origin(&headers(&[("host", "app.example")]), &peer(true)));
    }
}
