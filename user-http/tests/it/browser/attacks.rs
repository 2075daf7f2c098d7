//! Attacks of other sites, and of other hosts of the same site, on a browser that is logged in.

use serde_json::json;

use super::{Browser, JSON, NAVIGATE, SAME_ORIGIN, start};
use crate::api::{PASSWORD, raw};
use crate::program::until;

#[test]
fn a_change_with_a_cookie_must_come_from_the_same_origin() {
    let (service, program) = start();
    service.register("kim");
    let browser = Browser::logged_in(&program, "kim");
    let body = json!({"username": "kim2"}).to_string();
    let proto = ("X-Forwarded-Proto", "https");
    let host = ("X-Forwarded-Host", "app.example");
    let own = ("Origin", "https://app.example");
    for (headers, allowed) in [
        (&[][..], false),
        (&[("Sec-Fetch-Site", "same-site")], false),
        (&[("Sec-Fetch-Site", "cross-site")], false),
        (&[("Sec-Fetch-Site", "none")], false),
        (&[("Sec-Fetch-Site", "same-site"), own, proto, host], false),
        (&[("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")], false),
        (&[("Origin", "https://evil.example"), proto, host], false),
        (&[("Origin", "https://sibling.app.example"), proto, host], false),
        (&[("Origin", "null"), proto, host], false),
        (&[own], false),
        (&[own, host], false),
        // What a trusted proxy states is about the request, not about its method.
        (&[("X-Forwarded-Method", "GET")], false),
        (&[own, proto, host], true),
        // A browser that asks this program without a proxy.
        (&[("Origin", "http://app.example")], true),
        (&[SAME_ORIGIN], true),
    ] {
        let cookie = browser.header("PATCH /v1/me");
        let headers = [headers, &[JSON, ("Cookie", &cookie)]].concat();
        let reply = raw(program.address, "PATCH /v1/me", &headers, &body);
        assert_eq!(reply.status == 200, allowed, "{headers:?}: {reply:?}");
        assert!(allowed || reply.body.contains("NOT_SAME_ORIGIN"), "{headers:?}: {reply:?}");
        let cookie = browser.header("POST /auth/refresh");
        let headers = [&headers[..headers.len() - 1], &[("Cookie", cookie.as_str())]].concat();
        let reply = raw(program.address, "POST /auth/refresh", &headers, "");
        assert_eq!(reply.status == 200, allowed, "{headers:?}: {reply:?}");
    }
    // The routes without a token are protected, too, and so are cookies that are not valid.
    for request in ["POST /v1/sessions", "POST /v1/password-resets", "DELETE /v1/sessions/current"]
    {
        for cookie in ["__Host-user=x", "__Host-user=", "__Host-user=a; __Host-user=b"] {
            let headers = [JSON, ("Cookie", cookie), ("Sec-Fetch-Site", "same-site")];
            let reply = raw(program.address, request, &headers, "{}");
            assert!(reply.body.contains("NOT_SAME_ORIGIN"), "{request} {cookie}: {reply:?}");
        }
    }
    // Authorization beside the cookies does not help at the route that uses only them.
    let cookie = browser.header("POST /auth/refresh");
    let headers = [("Authorization", "Bearer x"), ("Cookie", &cookie)];
    assert_eq!(raw(program.address, "POST /auth/refresh", &headers, "").status, 403);
}

#[test]
fn another_site_cannot_log_a_browser_in() {
    let (service, program) = start();
    service.register("kim");
    let body = json!({"login": "kim", "password": PASSWORD}).to_string();
    for headers in [
        &[JSON, ("Sec-Fetch-Site", "cross-site")][..],
        &[JSON, ("Sec-Fetch-Site", "same-site")],
        &[JSON, ("Origin", "https://evil.example")],
        // What a form can send.
        &[("Content-Type", "text/plain")],
        &[("Content-Type", "application/x-www-form-urlencoded")],
    ] {
        let reply = raw(program.address, "POST /v1/sessions", headers, &body);
        assert!([403, 415].contains(&reply.status), "{headers:?}: {reply:?}");
        assert_eq!(reply.header("set-cookie"), "absent", "{reply:?}");
    }
}

#[test]
fn a_cookie_that_another_host_has_added_is_refused() {
    let (service, program) = start();
    service.register("kim");
    service.register("mallory");
    let browser = Browser::logged_in(&program, "kim");
    let mallory = Browser::logged_in(&program, "mallory");
    let refresh = mallory.cookie("__Secure-user-refresh").unwrap();
    // A second cookie of the same name, before or after the own one.
    let own = browser.header("GET /auth/refresh");
    let expired = service.log_in("kim");
    service.advance(std::time::Duration::from_secs(16 * 60));
    let tossed = format!("__Secure-user-refresh={refresh}");
    let only_tossed = format!("__Host-user={}; {tossed}", expired.token);
    for cookie in [
        format!("{own}; {tossed}"),
        format!("{tossed}; {own}"),
        // Instead of the own one: the session is not that of the access token.
        only_tossed,
        // Without an access token, nothing says which session is meant.
        tossed,
    ] {
        let headers = [("Cookie", cookie.as_str()), NAVIGATE];
        let reply = raw(program.address, "GET /auth/refresh?return_to=/orders", &headers, "");
        assert_eq!(reply.status, 303, "{reply:?}");
        assert_eq!(reply.header("location"), "/?return_to=%2Forders", "{cookie}");
        assert!(reply.values("set-cookie").all(|line| line.contains("Max-Age=0")), "{reply:?}");
        let headers = [("Cookie", cookie.as_str()), SAME_ORIGIN];
        let reply = raw(program.address, "POST /auth/refresh", &headers, "");
        assert_eq!(reply.status, 401, "{reply:?}");
        assert!(reply.values("set-cookie").all(|line| line.contains("Max-Age=0")), "{reply:?}");
    }
    // The session of the browser is not affected.
    let reply = browser.clone().send(program.address, "POST /auth/refresh", &[SAME_ORIGIN], None);
    assert_eq!(reply.status, 200, "{reply:?}");
    let twice = format!("{0}; {0}", browser.header("GET /"));
    for path in ["/v1/me", "/auth/check", "/auth/page"] {
        let reply = raw(program.address, &format!("GET {path}"), &[("Cookie", &twice)], "");
        assert_eq!(reply.status, 401, "{path}: {reply:?}");
    }
}

#[test]
fn no_reply_redirects_to_a_place_that_another_site_has_chosen() {
    let (service, program) = start();
    service.register("kim");
    let mut browser = Browser::logged_in(&program, "kim");
    for value in [
        "//evil.example",
        "%2F%2Fevil.example",
        "/%5Cevil.example",
        "/%09/evil.example",
        "/%0A/evil.example",
        "/%0D%0ASet-Cookie:%20a=b",
        "https://evil.example/",
        "https:evil.example",
        "http://app.example/",
        "javascript:alert(1)",
        "evil.example",
        "",
        "%00/",
        "/a&return_to=/b",
        "/%C2%85",
    ] {
        let request = format!("GET /auth/refresh?return_to={value}");
        for reply in [
            browser.send(program.address, &request, &[NAVIGATE], None),
            Browser::default().send(program.address, &request, &[NAVIGATE], None),
        ] {
            assert_eq!((reply.status, reply.header("location")), (400, "absent"), "{value}");
        }
    }
    for uri in ["//evil.example", "/\\evil.example", "https://evil.example/"] {
        let reply = Browser::default().open(program.address, uri);
        assert_eq!((reply.status, reply.header("location")), (302, "/auth/refresh"), "{uri}");
    }
}

#[test]
fn a_get_that_is_not_a_navigation_refreshes_nothing() {
    let (service, program) = start();
    service.register("kim");
    let browser = Browser::logged_in(&program, "kim");
    service.advance(std::time::Duration::from_secs(16 * 60));
    let cookie = browser.header("GET /auth/refresh");
    for mode in ["no-cors", "cors", "same-origin"] {
        let headers = [("Cookie", cookie.as_str()), ("Sec-Fetch-Mode", mode)];
        let reply = raw(program.address, "GET /auth/refresh", &headers, "");
        assert_eq!((reply.status, reply.header("set-cookie")), (403, "absent"), "{mode}");
    }
    until(|| {
        browser.clone().send(program.address, "POST /auth/refresh", &[SAME_ORIGIN], None).status
            == 200
    });
}
