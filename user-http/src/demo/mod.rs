//! The demo page (`user-http --demo`): every path of an end user, as plain HTML with a small script
//! that uses the JSON API and its cookies. It is a client of the API like any other page.

mod embedded;

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub use embedded::{EmbeddedService, NotStarted};

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// Nothing but the files of this host is loaded, no text becomes HTML, and no page can frame this
/// one or receive its forms.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
                      connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// Returns the routes of the page and its files.
pub fn router() -> Router {
    Router::new()
        .route("/", get(|| async { file("text/html", include_str!("index.html")) }))
        .route("/demo.css", get(|| async { file("text/css", include_str!("demo.css")) }))
        .route("/demo.js", get(|| async { file("text/javascript", include_str!("demo.js")) }))
}

fn file(kind: &str, text: &'static str) -> Response {
    let kind = HeaderValue::try_from(format!("{kind}; charset=utf-8"));
    let kind = kind.unwrap_or(HeaderValue::from_static("text/plain"));
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (OPENER_POLICY, HeaderValue::from_static("same-origin")),
        (RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_has_no_inline_code_and_every_field_has_a_label() {
        let page = include_str!("index.html");
        for forbidden in ["<style", " style=", "javascript:", " onclick", " onsubmit", "http://"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert_eq!(page.matches("<script").count(), page.matches("<script src=").count());
        for field in page.split("<input id=\"").skip(1) {
            let id = field.split('"').next().unwrap();
            assert!(page.contains(&format!("<label for=\"{id}\">")), "{id}");
        }
        for section in page.split("<section id=\"").skip(1) {
            let id = section.split('"').next().unwrap();
            assert!(section.contains(&format!("<h1 id=\"{id}-title\" tabindex=\"-1\">")), "{id}");
        }
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("] {
            assert!(!include_str!("demo.js").contains(forbidden), "{forbidden}");
        }
    }
}
