//! `/auth/page`: as `/auth/check`, but where the browser opens a page without a usable token, it is
//! sent to `/auth/refresh`, from which it returns to the page or goes to the login page.

use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, LOCATION, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::AuthCheck;
use super::same_origin::SEC_FETCH_MODE;
use crate::forwarded::{ForwardedMethod, Peer, single};
use crate::return_to::{ReturnHosts, location};

/// Path of this endpoint. What follows it is the path of the page, unless a proxy states that.
const PATH: &str = "/auth/page";

/// Answers the check of one request.
pub(super) async fn check(State(state): State<Arc<AuthCheck>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    // The listener adds the peer to every request.
    let Some(&peer) = head.extensions.get::<Peer>() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = state.answer_head(&head, peer, !body.is_end_stream()).await;
    let vary = HeaderValue::from_static("Accept, Authorization, Cookie, Sec-Fetch-Mode");
    response.headers_mut().insert(VARY, vary);
    if response.status() == StatusCode::UNAUTHORIZED && is_navigation(&head, &peer) {
        // 302 keeps HEAD as it is.
        *response.status_mut() = StatusCode::FOUND;
        let target =
            state.login.refresh_url(page(&head, &peer).as_deref(), peer.origin(&head.headers));
        response.headers_mut().insert(LOCATION, location(target));
    }
    response
}

/// Returns true if the end user opens a page, which a redirect can replace.
fn is_navigation(head: &Parts, peer: &Peer) -> bool {
    let headers = &head.headers;
    let reads = |method: &Method| matches!(*method, Method::GET | Method::HEAD);
    let reads = match peer.method(headers) {
        ForwardedMethod::One(method) => reads(&method),
        ForwardedMethod::Ambiguous => false,
        ForwardedMethod::Absent => reads(&head.method),
    };
    let opens_page = match headers.contains_key(SEC_FETCH_MODE) {
        true => single(headers, &SEC_FETCH_MODE) == Some("navigate"),
        false => accepts_html(headers),
    };
    reads && !headers.contains_key(AUTHORIZATION) && opens_page
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        let kind = range.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("text/html")
    })
}

/// Returns the path and query of the page.
fn page(head: &Parts, peer: &Peer) -> Option<String> {
    let own = || {
        let own = head.uri.path_and_query()?.as_str();
        own.strip_prefix(PATH).filter(|page| page.starts_with('/'))
    };
    ReturnHosts::default().target(peer.uri(&head.headers).or_else(own)?)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(axum::body::Body::empty()).unwrap().into_parts().0
    }

    fn peer(trusted: bool) -> Peer {
        Peer { socket: SocketAddr::from(([127, 0, 0, 1], 1)), proxied: None, trusted }
    }

    #[test]
    fn only_the_opening_of_a_page_is_a_navigation() {
        let html = ("accept", "application/xml;q=0.9, Text/HTML;q=0.8");
        let navigate = ("sec-fetch-mode", "navigate");
        for (method, headers, expected) in [
            ("GET", &[navigate][..], true),
            ("HEAD", &[navigate], true),
            ("GET", &[html], true),
            ("GET", &[navigate, ("x-forwarded-method", "GET")], true),
            ("GET", &[], false),
            ("GET", &[("accept", "*/*, text/htmlx")], false),
            ("GET", &[html, ("sec-fetch-mode", "cors")], false),
            ("GET", &[navigate, navigate], false),
            ("POST", &[navigate], false),
            ("GET", &[navigate, ("x-forwarded-method", "POST")], false),
            ("GET", &[navigate, ("authorization", "Bearer x")], false),
        ] {
            let head = head(method, "/auth/page", headers);
            assert_eq!(is_navigation(&head, &peer(true)), expected, "{method} {headers:?}");
        }
    }

    #[test]
    fn the_page_is_stated_by_a_trusted_proxy_or_follows_the_path() {
        let stated = [("x-forwarded-uri", "/orders?a=b")];
        let page = |path, headers: &[_], trusted| page(&head("GET", path, headers), &peer(trusted));
        assert_eq!(page("/auth/page", &stated, true).as_deref(), Some("/orders?a=b"));
        assert_eq!(page("/auth/page", &stated, false), None);
        assert_eq!(page("/auth/page/orders/7?x", &[], false).as_deref(), Some("/orders/7?x"));
        assert_eq!(page("/auth/page//evil.example", &[], true), None);
        assert_eq!(page("/auth/page", &[("x-forwarded-uri", "//evil.example")], true), None);
    }
}
