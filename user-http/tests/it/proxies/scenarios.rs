//! What each proxy does with valid, refused and impossible checks.

use std::time::{Duration, Instant};

use super::backend::Received;
use super::site::Site;
use crate::program::until;

pub(super) fn passes(site: Site) {
    let reply = site.request_as_kim("GET /orders/7?sort=asc", &[("Cookie", "theme=dark")]);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.body.starts_with("GET /orders/7?sort=asc "), "{}", reply.body);
    let received = Received::from(&reply.body);
    site.assert_identity(&received, &reply.body);
    assert!(received.values("authorization").is_empty(), "{received:?}");
    assert_eq!(received.values("cookie"), ["theme=dark"]);
    assert_eq!(received.values("x-forwarded-for"), ["127.0.0.1"]);

    let token = &site.kim.token;
    for (cookies, left) in [
        (format!("__Host-user={token}"), ""),
        (format!("a=1; __Host-user={token}; b=2"), "a=1;b=2"),
        (format!("__Secure-user-refresh=r; __Host-user={token}; b=2"), "b=2"),
        (format!("a=1;__Host-user={token};__Secure-user-refresh=r"), "a=1"),
        (format!("__Secure-user=s; a=1; __Host-user={token}; __Secure-user-refresh=r"), "a=1"),
    ] {
        let reply = site.request("GET /orders", &[("Cookie", &cookies)]);
        assert_eq!(reply.status, 200, "{reply:?}");
        let received = Received::from(&reply.body);
        site.assert_identity(&received, &reply.body);
        let cookie = received.values("cookie").concat().replace(' ', "");
        assert_eq!(cookie.trim_matches(';'), left, "{cookies}");
    }
}

pub(super) fn refuses(site: Site) {
    let refused = [
        ("", "Bearer", "absent"),
        ("Basic a2ltOnB3", "Bearer", "absent"),
        ("Bearer a.b.c", "Bearer error=\"invalid_token\"", "INVALID_TOKEN"),
        ("Bearer", "Bearer error=\"invalid_token\"", "INVALID_TOKEN"),
    ];
    for method in ["GET", "POST", "DELETE", "OPTIONS"] {
        for (authorization, challenge, error) in refused {
            let headers = [("Authorization", authorization)];
            let headers = if authorization.is_empty() { &[][..] } else { &headers };
            let reply = site.request(&format!("{method} /orders"), headers);
            assert_eq!(reply.status, 401, "{authorization}: {reply:?}");
            assert_eq!(reply.header("www-authenticate"), challenge);
            let sent = reply.header("x-auth-error");
            assert!(sent == error || (sent.is_empty() && error == "absent"), "{reply:?}");
            assert_eq!(reply.header("x-user-id"), "absent");
            assert_eq!(reply.header("cache-control"), "no-store");
        }
    }
    let preflight =
        [("Origin", "https://app.example"), ("Access-Control-Request-Method", "DELETE")];
    assert_eq!(site.request("OPTIONS /orders", &preflight).status, 401);
    assert_eq!(site.backend.take_requests(), 0);
    for public in ["GET /", "GET /public/logo.svg?v=2"] {
        let reply = site.request(public, &[]);
        assert_eq!(reply.status, 200, "{public}: {reply:?}");
    }
}

pub(super) fn expires(site: Site) {
    assert_eq!(site.request_as_kim("GET /orders", &[]).status, 200);
    site.service.advance(Duration::from_secs(16 * 60));
    let reply = site.request_as_kim("GET /orders", &[]);
    assert_eq!((reply.status, reply.header("x-auth-error")), (401, "TOKEN_EXPIRED"));
}

pub(super) fn revokes(site: Site) {
    assert_eq!(site.request_as_kim("GET /orders", &[]).status, 200);
    site.service.log_out(&site.kim);
    let ended = Instant::now();
    until(|| site.request_as_kim("GET /orders", &[]).status == 401);
    assert!(ended.elapsed() < Duration::from_secs(1), "{:?}", ended.elapsed());
    let reply = site.request_as_kim("GET /orders", &[]);
    assert_eq!(reply.header("x-auth-error"), "SESSION_REVOKED");
}

pub(super) fn other_site(site: Site) {
    let cookie = format!("__Host-user={}", site.kim.token);
    let status = |method: &str, headers: &[(&str, &str)]| {
        let headers = [headers, &[("Cookie", cookie.as_str())]].concat();
        site.request(&format!("{method} /orders"), &headers).status
    };
    assert_eq!(status("POST", &[("Sec-Fetch-Site", "same-origin")]), 200);
    assert_eq!(status("POST", &[("Origin", "http://app.example")]), 200);
    assert_eq!(status("GET", &[("Sec-Fetch-Site", "cross-site")]), 200);
    site.backend.take_requests();
    assert_eq!(status("POST", &[("Sec-Fetch-Site", "cross-site")]), 403);
    assert_eq!(status("DELETE", &[("Sec-Fetch-Site", "same-site")]), 403);
    assert_eq!(status("POST", &[("Origin", "http://evil.example")]), 403);
    assert_eq!(status("POST", &[]), 403);
    // The end user cannot state the method, or the host.
    let forged = [("X-Forwarded-Method", "GET"), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(status("POST", &forged), 403);
    let forged = [("X-Forwarded-Host", "evil.example"), ("Origin", "http://evil.example")];
    assert_eq!(status("POST", &forged), 403);
    assert_eq!(site.backend.take_requests(), 0);
}

/// A header that `Connection` names is removed at the next hop. None of those that decide about a
/// request can be removed in this way, neither before the check nor before the backend.
pub(super) fn hop_by_hop(site: Site) {
    let cookie = site.cookie();
    let foreign = [("Sec-Fetch-Site", "cross-site"), ("Origin", "http://evil.example")];
    for named in [
        "sec-fetch-site",
        "Sec-Fetch-Site, Origin",
        "close, sec-fetch-mode ,origin",
        "x-forwarded-method",
        "x-forwarded-host, x-forwarded-proto",
        "x-user-id",
        "cookie",
        "authorization",
    ] {
        let connection = [("Connection", named), ("Cookie", cookie.as_str())];
        let reply = site.request("POST /orders", &[&foreign[..], &connection].concat());
        assert!([400, 401, 403].contains(&reply.status), "{named}: {reply:?}");
        let reply = site.request("POST /v1/me/delete", &[&foreign[..], &connection].concat());
        assert!([400, 401, 403].contains(&reply.status), "{named}: {reply:?}");
        assert_eq!(site.backend.take_requests(), 0, "{named}");
        // A request that passes has its identity.
        let own = ("Sec-Fetch-Site", "same-origin");
        let reply = site.request("POST /orders", &[&[own][..], &connection].concat());
        for head in site.backend.take_heads() {
            let head = head.to_ascii_lowercase();
            let identity = format!("x-user-id: {}", site.kim.user_id);
            assert!(head.contains(&identity) && !head.contains("__host"), "{named}: {head}");
        }
        assert!([200, 400, 401, 403].contains(&reply.status), "{named}: {reply:?}");
    }
}

pub(super) fn service_down(mut site: Site) {
    assert_eq!(site.request_as_kim("GET /orders", &[]).status, 200);
    site.backend.take_requests();
    site.service.stop();
    for _ in 0..5 {
        let reply = site.request_as_kim("GET /orders", &[]);
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{reply:?}");
    }
    assert_eq!(site.backend.take_requests(), 0);
    assert_eq!(site.request("GET /public/x", &[]).status, 200);
    site.service.resume();
    until(|| site.request_as_kim("GET /orders", &[]).status == 200);
}

pub(super) fn check_down(mut site: Site) {
    site.program.signal("TERM");
    site.program.wait();
    for _ in 0..5 {
        let reply = site.request_as_kim("GET /orders", &[]);
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{reply:?}");
        assert_eq!(site.request("GET /orders", &[]).status, 503);
    }
    assert_eq!(site.backend.take_requests(), 0);
}

pub(super) fn keepalive(site: Site) {
    for number in 0..100 {
        // Refused checks keep the connection open as well.
        let status = match number % 2 {
            0 => site.request_as_kim("GET /orders", &[]).status,
            _ => site.request("POST /orders", &[("Content-Length", "0")]).status,
        };
        assert_eq!(status, if number % 2 == 0 { 200 } else { 401 });
    }
    assert_eq!(site.program.metric("user_http_checks_total{result=\"passed\"}"), 50.0);
    let connections = site.program.metric("user_http_connections_accepted_total");
    // HAProxy has one pool for each of its threads.
    let threads = std::thread::available_parallelism().unwrap().get();
    let few = 4.0 + f64::from(u32::try_from(threads).unwrap());
    assert!(connections <= few, "{connections} connections for 100 checks");
}

pub(super) fn upgrades(site: Site) {
    let web_socket = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
    ];
    let received = Received::from(&site.request_as_kim("GET /socket", &web_socket).body);
    site.assert_identity(&received, "websocket");
    assert_eq!(received.values("upgrade"), ["websocket"]);
    for (first, second) in [("websocket", "h2c"), ("h2c", "websocket")] {
        let headers = [
            ("Connection", "Upgrade, HTTP2-Settings"),
            ("Upgrade", first),
            ("Upgrade", second),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for path in ["/socket", "/public/socket"] {
            let reply = site.request_as_kim(&format!("GET {path}"), &headers);
            let received = Received::from(&reply.body);
            assert!(!received.values("upgrade").contains(&"h2c"), "{first}, {second}: {reply:?}");
        }
    }
    site.backend.take_requests();
    let connect = site.request_as_kim("CONNECT app.example:80", &[]);
    assert!(connect.status >= 400, "a tunnel past the check: {connect:?}");
    assert_eq!(site.backend.take_requests(), 0, "CONNECT reaches the backend");
    let hidden = "GET /public/hidden HTTP/1.1\r\nHost: app.example\r\n\r\n";
    let mut http = site.connect();
    http.send(format!(
        "CONNECT app.example:80 HTTP/1.1\r\nHost: app.example:80\r\nContent-Length: {}\r\n\r\n\
         {hidden}",
        hidden.len()
    ));
    assert!(http.reply().unwrap().status >= 400);
    // Time for what may still be on its way.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(site.backend.take_requests(), 0, "what follows CONNECT is read as a request");
    // A page of another site cannot open a WebSocket with the cookie.
    let cookie = format!("__Host-user={}", site.kim.token);
    let foreign = [&web_socket[..], &[("Origin", "http://evil.example"), ("Cookie", &cookie)]];
    assert_eq!(site.request("GET /socket", &foreign.concat()).status, 403);
    let own = [&web_socket[..], &[("Origin", "http://app.example"), ("Cookie", &cookie)]];
    assert_eq!(site.request("GET /socket", &own.concat()).status, 200);
    for other in ["h2c", "websocket, h2c", "h2c, websocket", "TLS/1.0"] {
        for path in ["/socket", "/public/socket"] {
            let headers = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", other)];
            let reply = site.request_as_kim(&format!("GET {path}"), &headers);
            let received = Received::from(&reply.body);
            assert!(received.values("upgrade").is_empty(), "{other}: {reply:?}");
        }
    }
}
