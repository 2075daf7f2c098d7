//! A browser at a page behind each proxy: login, expiry, refresh, revocation and logout.

use std::time::Duration;

use serde_json::json;

use super::backend::Received;
use super::site::Site;
use crate::api::PASSWORD;
use crate::chromium::Chromium;
use crate::program::until;

const EXPIRY: Duration = Duration::from_secs(16 * 60);
const NAVIGATE: (&str, &str) = ("Sec-Fetch-Mode", "navigate");

/// Only a page is redirected, and its whole address is in the redirect.
pub(super) fn redirects(site: Site) {
    let html = ("Accept", "text/html,*/*;q=0.8");
    for headers in [&[NAVIGATE][..], &[html]] {
        for method in ["GET", "HEAD"] {
            let mut http = site.connect();
            let reply = http.request(&format!("{method} /orders/7?a=b&c=%2F+d"), headers);
            assert_eq!(reply.status, 302, "{method} {headers:?}: {reply:?}");
            let (_, query) = reply.header("location").split_once("/auth/refresh?").unwrap();
            // Each proxy encodes as many characters as it likes.
            let target: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
            let page = "/orders/7?a=b&c=%2F+d";
            assert_eq!(target, [("return_to".into(), page.into())], "{reply:?}");
            assert_eq!(reply.header("cache-control"), "no-store", "{reply:?}");
        }
    }
    for (method, headers) in [
        ("GET", &[][..]),
        ("GET", &[html, ("Sec-Fetch-Mode", "cors")]),
        ("GET", &[html, ("Authorization", "Bearer x.y.z")]),
        ("POST", &[NAVIGATE, html]),
    ] {
        let reply = site.request(&format!("{method} /orders"), headers);
        assert_eq!(reply.status, 401, "{method} {headers:?}: {reply:?}");
    }
    assert_eq!(site.backend.take_requests(), 0);
}

/// The routes of browsers reach user-http, with the origin that the browser sees, and nothing that
/// the end user states about that.
pub(super) fn api(site: Site) {
    let login = json!({"login": "kim", "password": PASSWORD}).to_string();
    let length = login.len().to_string();
    let send = |headers: &[(&str, &str)]| {
        let body = [("Content-Type", "application/json"), ("Content-Length", length.as_str())];
        let mut http = site.connect();
        http.send(crate::http::text("POST /v1/sessions", &[&body, headers].concat()) + &login);
        http.reply().unwrap()
    };
    let own = ("Origin", "http://app.example");
    assert_eq!(send(&[own]).status, 201);
    for headers in [
        &[("Origin", "http://evil.example")][..],
        &[("Origin", "http://evil.example"), ("X-Forwarded-Host", "evil.example")],
        &[("Origin", "https://app.example"), ("X-Forwarded-Proto", "https")],
        &[own, ("Sec-Fetch-Site", "same-site")],
    ] {
        assert_eq!(send(headers).status, 403, "{headers:?}");
    }
    // The address of the end user is that of the connection.
    let list = site.request_as_kim("GET /v1/sessions", &[("X-Forwarded-For", "203.0.113.9")]);
    assert!(list.body.contains("\"network\":\"127.0.0.0/24\""), "{list:?}");
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let introspection = site.request("POST /v1/introspect", &[form, ("Content-Length", "0")]);
    assert_eq!(introspection.status, 403, "{introspection:?}");
    assert_eq!(site.backend.take_requests(), 0);
}

pub(super) fn session(site: Site) {
    let Some(browser) = Chromium::start() else { return };
    let page = |path: &str| format!("http://localhost:{}{path}", site.port());
    let open_orders = || {
        browser.open(&page("/orders?sort=asc"));
        browser.script("return location.pathname + location.search").as_str().unwrap().to_owned()
    };
    let fetch = |method: &str, path: &str, body: &str| {
        let script = format!(
            "return fetch('{path}', {{method: '{method}', body: {body}, headers: \
             {{'Content-Type': 'application/json'}}}}).then((reply) => reply.status)"
        );
        browser.script(&script)
    };
    let log_in = || {
        let body = json!({"login": "kim", "password": PASSWORD}).to_string();
        assert_eq!(fetch("POST", "/v1/sessions", &format!("JSON.stringify({body})")), 201);
    };
    let login = "/public/login?return_to=%2Forders%3Fsort%3Dasc";
    assert_eq!(open_orders(), login);
    log_in();
    // The login page sends the browser back.
    browser.open(&page("/auth/refresh?return_to=/orders?sort=asc"));
    let check_page = |what: &str| {
        let text = browser.text("body");
        assert!(text.starts_with("GET /orders?sort=asc "), "{what}: {text}");
        let received = Received::from(&text);
        assert_eq!(received.values("x-user-id"), [site.kim.user_id.as_str()], "{what}");
        assert!(!text.contains("__"), "{what}: our cookies stay at the proxy: {text}");
    };
    check_page("login");
    assert_eq!(browser.cookies(), ["__Host-user"]);
    site.service.advance(EXPIRY);
    assert_eq!(open_orders(), "/orders?sort=asc");
    check_page("expiry");
    // The browser sends the refresh token below /auth, where the proxy removes it.
    browser.open(&page("/auth/other"));
    let text = browser.text("body");
    assert!(text.starts_with("GET /auth/other ") && !text.contains("__"), "{text}");
    // A script of the page.
    site.service.advance(EXPIRY);
    assert_eq!(fetch("GET", "/v1/me", "null"), 401);
    assert_eq!(fetch("POST", "/auth/refresh", "null"), 200);
    assert_eq!(fetch("GET", "/v1/me", "null"), 200);
    // The end of the session elsewhere.
    let other = site.service.log_in("kim");
    site.service.log_out_everywhere(&other);
    until(|| open_orders() == login);
    assert!(browser.cookies().is_empty());
    log_in();
    assert_eq!(open_orders(), "/orders?sort=asc");
    assert_eq!(fetch("DELETE", "/v1/sessions/current", "null"), 200);
    assert!(browser.cookies().is_empty());
    assert_eq!(open_orders(), login);
}
