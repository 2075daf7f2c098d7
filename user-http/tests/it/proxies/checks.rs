//! Verdicts that no proxy may take for a pass, and requests that bring the check itself into
//! difficulties.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::backend::{Received, answer_always};
use super::site::{Proxy, Site};
use crate::program::until;

pub(super) fn http2_web_sockets(site: Site) {
    let (cookie, bearer) = (site.cookie(), site.bearer());
    let status = |path: &str, headers: &[(&str, &str)]| {
        let connect = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "app.example"),
            ("sec-websocket-version", "13"),
        ];
        site.connect_http2().open(&[&connect[..], headers].concat())
    };
    let foreign = ("origin", "https://evil.example");
    let cookie = ("cookie", cookie.as_str());
    for headers in [
        &[cookie, foreign, ("sec-fetch-site", "cross-site")][..],
        &[cookie, foreign, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "websocket")],
        &[cookie, foreign],
        &[cookie],
        &[cookie, ("x-forwarded-method", "GET")],
        &[],
    ] {
        let status = status("/echo", headers);
        assert_ne!(status, Some(200), "{headers:?}");
        assert_eq!(site.backend.take_requests(), 0, "{headers:?}");
    }
    // HAProxy passes such a WebSocket on; the others do not know it.
    let own = [cookie, ("origin", "http://app.example")];
    for headers in [&own[..], &[("authorization", &bearer)]] {
        status("/echo", headers);
        let passed = site.backend.take_requests() == 1;
        assert_eq!(passed, site.proxy == Proxy::Haproxy, "{headers:?}");
    }
    // Another tunnel, or a method in the name of another site.
    for (method, protocol) in
        [("CONNECT", None), ("CONNECT", Some("connect-tcp")), ("POST", None), ("connect", None)]
    {
        let mut fields = vec![(":method", method)];
        fields.extend(protocol.map(|protocol| (":protocol", protocol)));
        if method != "CONNECT" || protocol.is_some() {
            fields.extend([(":scheme", "http"), (":path", "/orders")]);
        }
        fields.extend([(":authority", "app.example"), cookie, foreign]);
        let reply = site.connect_http2().request(&fields);
        assert_ne!(reply.status, Some(200), "{fields:?}");
        assert_eq!(site.backend.take_requests(), 0, "{fields:?}");
    }
}

pub(super) fn web_socket(site: Site) {
    let mut http = site.connect();
    http.send(format!(
        "GET /echo HTTP/1.1\r\nHost: app.example\r\nAuthorization: {}\r\nConnection: Upgrade\r\n\
         Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        site.bearer()
    ));
    assert_eq!(http.reply().unwrap().status, 101);
    http.stream.write_all(b"hello").unwrap();
    let mut echo = [0; 5];
    http.stream.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"hello");
}

pub(super) fn other_verdicts(mut site: Site) {
    site.program.signal("TERM");
    site.program.wait();
    let reply = Arc::new(Mutex::new(String::new()));
    answer_always(site.program.address, &reply);
    let id = "00000000-0000-0000-0000-000000000001";
    let whole = format!(
        "X-User-Id: {id}\r\nX-Session-Id: {id}\r\nX-Claims: {{}}\r\nCache-Control: no-store\r\n"
    );
    let answer = |status: &str, headers: &str| {
        *reply.lock().unwrap() =
            format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{headers}\r\n");
        site.request_as_kim("GET /orders", &[])
    };
    assert_eq!(answer("200", &whole).status, 200);
    // Claims are passed on as they are, even if they look like variables of the proxy.
    let claims = r#"{"a":"{env.HOME}","b":"{http.request.host}","c":"%[src] $host"}"#;
    let passed = answer("200", &whole.replace("{}", claims));
    assert_eq!(Received::from(&passed.body).values("x-claims"), [claims]);
    site.backend.take_requests();
    let mut refused = vec![
        ("200", String::new()),
        ("200", whole.replace("X-User-Id", "X-Other")),
        ("200", whole.replace("X-Session-Id", "X-Other")),
        ("200", whole.replace("X-Claims", "X-Other")),
        ("200", whole.replacen(id, "", 1)),
        ("200", whole.replacen(id, "kim", 1)),
        ("200", whole.replace("{}", "")),
        ("200", whole.replace("{}", "admin")),
    ];
    for status in ["201", "202", "203", "204", "206", "226", "299", "300", "302", "307"] {
        refused.push((status, whole.clone()));
        refused.push((status, String::new()));
    }
    for status in ["402", "404", "407", "418", "429", "500", "502", "503", "504", "599", "999"] {
        refused.push((status, whole.clone()));
    }
    for (status, headers) in refused {
        let got = answer(status, &headers);
        assert_eq!((got.status, got.header("retry-after")), (503, "1"), "{status} {headers}");
        assert_eq!(site.backend.take_requests(), 0, "{status} {headers}");
    }
    // Not HTTP at all.
    for text in ["", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200\r\n", "220 mail ESMTP\r\n\r\n"] {
        *reply.lock().unwrap() = text.to_owned();
        assert_eq!(site.request_as_kim("GET /orders", &[]).status, 503, "{text}");
    }
    assert_eq!(site.backend.take_requests(), 0);
}

pub(super) fn hanging_check(site: Site) {
    assert_eq!(site.request_as_kim("GET /orders", &[]).status, 200);
    site.backend.take_requests();
    site.program.signal("STOP");
    for _ in 0..2 {
        let began = Instant::now();
        let reply = site.request_as_kim("GET /orders", &[]);
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{reply:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(site.request("GET /public/x", &[]).status, 200);
    }
    assert_eq!(site.backend.take_requests(), 2);
    site.program.signal("CONT");
    until(|| site.request_as_kim("GET /orders", &[]).status == 200);
}

pub(super) fn unreadable(site: Site) {
    let many: Vec<_> = (0..99).map(|number| (format!("a{number}"), "x")).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let is_unavailable = |headers: &[(&str, &str)]| {
        let mut http = site.connect();
        http.send(crate::http::text("GET /orders", headers));
        http.reply().is_some_and(|reply| reply.status >= 500)
    };
    assert!(!is_unavailable(&many));
    for name in ["Authorization", "Cookie", "Origin", "Traceparent", "X-Other"] {
        for value in ["Bearer \x0c", "\x0b=1", "a\x01b", "\x7f", "a\0b", "\u{e4}", "a\tb"] {
            assert!(!is_unavailable(&[(name, value)]), "{name}: {value:?}");
        }
        let long = "a".repeat(6500);
        let lines = [(name, long.as_str()); 4];
        assert!(!is_unavailable(&lines), "{name}: {} bytes", 4 * long.len());
    }
    assert_eq!(site.backend.take_requests(), 0);
    assert_eq!(site.request_as_kim("GET /orders", &[]).status, 200);
}

pub(super) fn cookies(site: Site) {
    let token = site.cookie();
    for lines in [
        vec![token.as_str(), "theme=dark"],
        vec!["theme=dark", &token],
        vec![&token, "theme=dark", "__Secure-user-refresh=r"],
    ] {
        let headers: Vec<_> = lines.iter().map(|line| ("Cookie", *line)).collect();
        let reply = site.request("GET /orders", &headers);
        assert_eq!(reply.status, 200, "{reply:?}");
        let received = Received::from(&reply.body).values("cookie").concat();
        assert_eq!(received.trim_matches([';', ' ']), "theme=dark", "{lines:?}");
        // HTTP/2 may split a line at each cookie.
        let mut fields = vec![
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/orders"),
            (":authority", "app.example"),
        ];
        fields.extend(lines.iter().map(|line| ("cookie", *line)));
        let reply = site.connect_http2().request(&fields);
        assert_eq!(reply.status, Some(200), "{lines:?}");
        let received = Received::from(&reply.body).values("cookie").concat();
        assert_eq!(received.trim_matches([';', ' ']), "theme=dark", "{lines:?}");
    }
}

pub(super) fn many_clients(site: Site) {
    let mut clients: Vec<_> = (0..600).map(|_| site.connect()).collect();
    for client in &mut clients {
        client.send("GET /orders HTTP/1.1\r\nHost: app.example\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.reply().expect("a reply").status, 401);
    }
}

pub(super) fn bodies(site: Site) {
    for size in [1, 1000, 300_000] {
        let body = "b".repeat(size);
        let mut http = site.connect();
        http.send(format!(
            "POST /read HTTP/1.1\r\nHost: app.example\r\nAuthorization: {}\r\n\
             Content-Length: {size}\r\n\r\n{body}",
            site.bearer()
        ));
        let reply = http.reply().unwrap();
        assert_eq!(reply.status, 200);
        assert!(reply.body.ends_with(&format!("\r\n{body}")), "{size} bytes");
    }
}
