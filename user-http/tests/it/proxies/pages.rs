//! A browser at a page behind each proxy: login, expiry, refresh, revocation and logout.

use std::time::Duration;

use serde_json::json;

use super::backend::Received;
use super::site::{Proxy, Site};
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

/// A page to which user-http would not send the browser back is left out of the redirect, so that
/// the browser arrives at the login.
pub(super) fn unreturnable(site: Site) {
    let long = format!("/orders?{}", "a".repeat(3000));
    for page in ["//evil.example", "//evil.example/orders", "/\\evil.example", "/orders\\x", &long]
    {
        let reply = site.request(&format!("GET {page}"), &[NAVIGATE]);
        let sent = &page[..page.len().min(30)];
        if reply.status == 302 {
            let location = reply.header("location");
            let place = location.strip_prefix("http://app.example").unwrap_or(location);
            assert!(place.starts_with("/auth/refresh"), "{sent}: {reply:?}");
            let refresh = site.request(&format!("GET {place}"), &[NAVIGATE]);
            assert_eq!(refresh.status, 303, "{sent}: {refresh:?}");
            let login = refresh.header("location");
            assert!(login.starts_with("/public/login"), "{sent}: {refresh:?}");
            assert!(!login.contains("evil"), "{sent}: {refresh:?}");
        } else {
            assert!([400, 414].contains(&reply.status), "{sent}: {reply:?}");
        }
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

/// Another host of the domain can add a cookie with one of our names. The user can still log in and
/// out.
pub(super) fn repeated_cookie(site: Site) {
    let (own, added) = (site.cookie(), "__Host-user=x");
    for cookie in [format!("{own}; a=1; {added}"), format!("{added}; {own}; a=1")] {
        let headers = [("Cookie", cookie.as_str()), NAVIGATE];
        let page = site.request("GET /orders", &headers);
        assert_eq!(page.status, 302, "{page:?}");
        assert!(page.header("location").contains("/auth/refresh?return_to="), "{page:?}");
        let refresh = site.request("GET /auth/refresh?return_to=/orders", &headers);
        let login = "/public/login?return_to=%2Forders";
        assert_eq!((refresh.status, refresh.header("location")), (303, login), "{refresh:?}");
        let public = site.request("GET /public/page", &headers);
        let received = Received::from(&public.body).values("cookie").concat();
        assert!(public.status == 200 && !received.contains("user"), "{public:?}");
    }
    assert_eq!(site.request_as_kim("GET /orders", &[]).status, 200);
    let cookie = format!("{added}; {own}");
    let headers = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", "same-origin")];
    let reply = site.request("DELETE /v1/sessions/current", &headers);
    assert_eq!(reply.status, 200, "{reply:?}");
    until(|| site.request_as_kim("GET /orders", &[]).status == 401);
}

/// No request of a stranger makes nginx take a server for failed: with several servers, it would
/// use none of them for a while.
#[test]
fn no_end_user_takes_the_servers_of_nginx_out_of_use() {
    let Some(site) = Site::start_with(Proxy::Nginx, 2) else { return };
    let body = "b".repeat(900_000);
    let length = body.len().to_string();
    let length = ("Content-Length", length.as_str());
    let json = ("Content-Type", "application/json");
    let umlauts = "%C3%A4".repeat(1000);
    let ampersands = "&".repeat(1400);
    for (request, headers, body, status) in [
        (format!("GET /auth/refresh?return_to=/{umlauts}"), &[][..], "", 400),
        (format!("GET /auth/refresh?return_to=/{}", "%26".repeat(1400)), &[], "", 303),
        (format!("GET /orders?{ampersands}"), &[NAVIGATE], "", 302),
        ("GET /orders".to_owned(), &[NAVIGATE, length], &body, 302),
        ("POST /v1/sessions".to_owned(), &[json, length], &body, 413),
    ] {
        for _ in 0..4 {
            let mut http = site.connect();
            http.send(crate::http::text(&request, headers) + body);
            let reply = http.reply().unwrap();
            let short = reply.header("location").len() <= 2048;
            assert!(
                reply.status == status && short,
                "{}: {reply:?}",
                &request[..20.min(request.len())]
            );
            assert_eq!(site.request_as_kim("GET /orders", &[]).status, 200);
            assert_eq!(site.request("GET /v1/me", &[]).status, 401);
        }
    }
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
