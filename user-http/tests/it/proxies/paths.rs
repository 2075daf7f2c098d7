//! Attacks with paths, hosts and request targets that the proxy and the backend could read
//! differently, and with bodies that could be taken for a request.

use std::time::Duration;

use super::site::Site;

/// Checks that what reached the backend without a token is public, however a backend reads it.
fn assert_public(head: &str, sent: &str) {
    let target = head.split(' ').nth(1).unwrap();
    let path = target.split('?').next().unwrap();
    let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~/@:+,=!-".contains(&b));
    let public = path == "/" || path.starts_with("/public/");
    let odd = path.contains("..") || path.contains("//") || path.split('/').any(|name| name == ".");
    assert!(public && plain && !odd, "{sent:?} reached the backend: {head}");
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(':').unwrap();
        if ["host", "x-forwarded-host"].contains(&name.to_ascii_lowercase().as_str()) {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-:[]".contains(c);
            assert!(value.trim().chars().all(plain), "{sent:?} reached the backend: {head}");
        }
    }
}

/// Rest of a request after which the connection is closed.
const END: &str = "Host: app.example\r\nConnection: close\r\n\r\n";

/// Sends a request without a token that asks to close the connection, and checks what reaches the
/// backend.
fn send(site: &Site, bytes: &str) {
    let mut http = site.connect();
    http.send(bytes);
    while http.reply().is_some() {}
    for head in site.backend.take_heads() {
        assert_public(&head, bytes);
    }
}

pub(super) fn spellings(site: Site) {
    for path in [
        "/orders",
        "//orders",
        "/./orders",
        "/./public/x",
        "/.",
        "/./",
        "/.?/public/",
        "/public/./x",
        "/public/x/.",
        "/public/.?x",
        "/public/../orders",
        "/public/%2e%2e/orders",
        "/public/.%2e/orders",
        "/public/..%2forders",
        "/public%2f..%2forders",
        "/public/%252e%252e/orders",
        "/public/..;/orders",
        "/public/;/../orders",
        "/public\\..\\orders",
        "/public/..\\orders",
        "/public//../orders",
        "/public/%00/orders",
        "/public/x%0d%0aX-User-Id:%20y",
        "/Public/orders",
        "/publicorders",
        "/public",
        "/%70ublic/../orders",
        "/public/./../orders",
        "/?/../public/",
        "/orders?/public/",
        "/orders/../public/..",
        "/orders#/public/",
        "/public/#/../orders",
        "*",
        // Placeholders of Caddy.
        "/{}",
        "/{/../orders?}",
        "/public/{/../../orders?}",
        "/public/{x}",
        "/{x}public/",
        "/{http.request.orig_uri}",
        "/public/{http.vars.x}/../orders",
        "/public/{env.HOME}",
        "{http.request.uri.path}/public/",
        "/\\{/../orders?\\}",
    ] {
        send(&site, &format!("GET {path} HTTP/1.1\r\n{END}"));
    }
    for path in ["/public/a@2x-1.2+b,c=d:e!.png", "/public/.well", "/public/x?a=/./&b=/../"] {
        let plain = site.request(&format!("GET {path}"), &[]);
        assert_eq!(plain.status, 200, "{path}: {plain:?}");
    }
    // The checks answer the proxy only: such a path is one of the backend, or refused.
    for path in ["/auth/check/../../v1/x", "/auth/page/../../v1/x", "/v1/../auth/check"] {
        let reply = site.request_as_kim(&format!("GET {path}"), &[]);
        assert_eq!(reply.header("x-user-id"), "absent", "{path}: {reply:?}");
    }
}

pub(super) fn targets(site: Site) {
    let prefixes = [
        "",
        "http:",
        "http:/",
        "http://",
        "http:///",
        "http://app.example",
        "http://app.example?",
        "http://app.example#",
        "http://other.example",
        "http://user@app.example",
        "http://[a!$&;=x]",
        "http://a!$&;=x",
        "HTTP://a",
        "https://app.example",
        "ftp://app.example",
        "http://a\\orders?",
        "http://a/orders?",
        "http://a/orders#",
        "http://[::1]",
        "http://[",
        "http:app.example",
        "//app.example",
        "///",
        "\\",
        "\\\\a",
        "a",
        "?",
        "#",
        "@",
        ":",
        "*",
        "%2f",
        "app.example:80",
    ];
    let paths = ["/public/x", "/public/orders", "/", "/orders?/public/", "/public/../orders", ""];
    for prefix in prefixes {
        for path in paths {
            for version in ["1.1", "1.0"] {
                for host in ["app.example", "a", "a?", "a\\orders?"] {
                    let line = format!("GET {prefix}{path} HTTP/{version}");
                    send(&site, &format!("{line}\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
                }
            }
        }
    }
}

const HOSTS: [&str; 22] = [
    "a/orders?",
    "a\\orders?",
    "a?",
    "a#",
    "a/",
    "a\\",
    "a?/orders",
    "a/public/x?",
    "user@a",
    "a:b@c",
    "a:80/orders?",
    "a:80:80",
    "a:x",
    "a,b",
    "a;b",
    "a b",
    "a%2forders%3f",
    "[::1",
    "[::1]/orders?",
    "[a/orders?]",
    "{http.request.uri}",
    "\"a\"",
];

pub(super) fn hosts(site: Site) {
    for host in HOSTS {
        for target in ["/public/x".to_owned(), "/".to_owned(), format!("http://{host}/public/x")] {
            let line = format!("GET {target} HTTP/1.1");
            send(&site, &format!("{line}\r\nConnection: close\r\nHost: {host}\r\n\r\n"));
            send(&site, &format!("{line}\r\nX-Forwarded-Host: {host}\r\n{END}"));
            send(&site, &format!("{line}\r\nHost: {host}\r\n{END}"));
        }
        for (authority, second) in [(host, None), ("app.example", Some(host)), (host, Some(host))] {
            let mut fields = vec![
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/public/x"),
                (":authority", authority),
            ];
            fields.extend(second.map(|host| ("host", host)));
            site.connect_http2().request(&fields);
            for head in site.backend.take_heads() {
                assert_public(&head, &format!("{fields:?}"));
            }
        }
    }
    for host in ["app.example", "app.example:8080", "a_b.example", "127.0.0.1", "[::1]:8080"] {
        let reply = site.request("GET /public/x", &[("Host", host)]);
        assert_eq!(reply.status, 200, "{host}: {reply:?}");
    }
}

pub(super) fn http2_targets(site: Site) {
    for path in [
        "",
        "orders",
        "*",
        "?",
        "//orders",
        "http://a/orders",
        "/public/../orders",
        "/public/x#/../orders",
        "/public/x y",
        "/public/x HTTP/1.1\r\nX-User-Id: x\r\n",
        "/public/{/../orders?}",
        "/public/..\\orders",
    ] {
        for scheme in ["http", "https", "x", "http://a/orders?", ""] {
            let fields = [
                (":method", "GET"),
                (":scheme", scheme),
                (":path", path),
                (":authority", "app.example"),
            ];
            site.connect_http2().request(&fields);
            for head in site.backend.take_heads() {
                assert_public(&head, &format!("{fields:?}"));
            }
        }
    }
    for method in ["GET /orders?", "GET /orders HTTP/1.1\r\n\r\nGET", "", "get"] {
        let fields = [
            (":method", method),
            (":scheme", "http"),
            (":path", "/public/x"),
            (":authority", "app.example"),
        ];
        site.connect_http2().request(&fields);
        for head in site.backend.take_heads() {
            assert_public(&head, &format!("{fields:?}"));
        }
    }
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: app.example\r\nX-User-Id: victim\r\n\r\n";

pub(super) fn ambiguous_bodies(site: Site) {
    for head in [
        format!("Content-Length: 0\r\nContent-Length: {}\r\n", SMUGGLED.len()),
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", SMUGGLED.len()),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding:\x0bchunked\r\n".to_owned(),
        "Transfer_Encoding: chunked\r\n".to_owned(),
        format!("Content-Length: +{}\r\n", SMUGGLED.len()),
        format!("Content-Length: 0, {}\r\n", SMUGGLED.len()),
        format!("Content_Length: {}\r\n", SMUGGLED.len()),
        format!("Connection: Content-Length\r\nContent-Length: {}\r\n", SMUGGLED.len()),
    ] {
        let mut http = site.connect();
        http.send(format!(
            "POST /public/form HTTP/1.1\r\nHost: app.example\r\n{head}\r\n0\r\n\r\n{SMUGGLED}\
             GET /public/end HTTP/1.1\r\n{END}"
        ));
        while http.reply().is_some() {}
        let heads = site.backend.take_heads();
        assert!(!heads.iter().any(|text| text.starts_with("GET /smug")), "{head}: {heads:?}");
    }
}

/// The backend does not read bodies, so the body of a request would be its next request if the
/// connection were used further.
pub(super) fn ignored_bodies(site: Site) {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let length = format!("Content-Length: {}\r\n", SMUGGLED.len());
    let token = format!("Authorization: {}\r\n", site.bearer());
    let chunked = "Transfer-Encoding: chunked\r\n";
    let chunk = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    let mut passed = Vec::new();
    for line in ["POST /public/form", "GET /public/form", "DELETE /public/form", "POST /orders"] {
        for connection in [
            "",
            "Connection: keep-alive\r\n",
            "Connection: close\r\n",
            upgrade,
            "Upgrade: websocket\r\n",
            "Connection: keep-alive\r\nUpgrade: websocket\r\n",
            "Connection: close\r\nUpgrade: websocket\r\n",
        ] {
            for (framing, body) in [(length.as_str(), SMUGGLED), (chunked, chunk.as_str())] {
                let mut http = site.connect();
                http.send(format!(
                    "{line} HTTP/1.1\r\nHost: app.example\r\n{token}{connection}{framing}\r\n{body}"
                ));
                let _ = http.reply();
                passed.extend(site.backend.take_heads());
            }
        }
    }
    // Time for what may still be on its way.
    std::thread::sleep(Duration::from_millis(300));
    passed.extend(site.backend.take_heads());
    assert!(!passed.is_empty());
    for head in passed {
        assert!(!head.starts_with("GET /smuggled"), "{head}");
        // The backend is told so, whatever the end user has said.
        assert!(head.to_ascii_lowercase().contains("connection: close"), "{head}");
    }
}
