//! Hostile input on the port of the proxies: whatever is sent, only a valid token passes.

use crate::http::{Http, text};
use crate::program::Program;
use crate::service::LiveService;

#[test]
fn ambiguous_or_malformed_tokens_never_pass() {
    let service = LiveService::start();
    let (program, kim) = (Program::start(&service.address), service.register("kim"));
    let (token, cookie) = (&kim.token, format!("__Host-user={}", kim.token));
    let cases: Vec<Vec<u8>> = [
        // Duplicates, also of the same token.
        format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}"),
        format!("Authorization: Basic eDp5\r\nauthorization: Bearer {token}"),
        format!("Cookie: {cookie}; {cookie}"),
        format!("Cookie: {cookie}\r\nCookie: {cookie}"),
        format!("Cookie: {cookie}; __Host-user="),
        // Almost the right header, scheme or name.
        format!("Authorization : Bearer {token}"),
        format!("Authorization: Bearer{token}"),
        format!("Authorization: Bearer:{token}"),
        format!("Authorization: Bearer {token}, Bearer {token}"),
        format!("Authorization: Bearer\t{token}"),
        format!("Authorization: Bearer \"{token}\""),
        format!("Authorization: Bearer {token}="),
        format!("Authorization: {token}"),
        format!("Proxy-Authorization: Bearer {token}"),
        format!("X-Authorization: Bearer {token}"),
        format!("Authorization_: Bearer {token}"),
        format!("Cookie: __HOST-USER={token}"),
        format!("Cookie: \"__Host-user\"={token}"),
        format!("Cookie: __Host-user=\"{token}\""),
        format!("Cookie: __Host-user%3D{token}"),
        format!("Cookie: %5F_Host-user={token}"),
        format!("Cookie: x={cookie}"),
        format!("Set-Cookie: {cookie}"),
        format!("X-User-Id: {}\r\nX-Session-Id: {}\r\nX-Claims: {{}}", kim.user_id, kim.session_id),
        // A folded line (obs-fold).
        format!("Authorization: Bearer\r\n {token}"),
    ]
    .into_iter()
    .map(String::into_bytes)
    .chain([
        [b"Authorization: Bearer \xef\xbb\xbf", token.as_bytes()].concat(),
        [b"Authorization: Bearer ", token.as_bytes(), b"\xff"].concat(),
        [b"Authorization: Bearer ", token.as_bytes(), b"\0"].concat(),
        [b"Cookie: __Host-user=", token.as_bytes(), b"\xc3\xa4"].concat(),
    ])
    .collect();
    for case in &cases {
        let mut http = Http::connect(program.address);
        http.send([b"GET /auth/check HTTP/1.1\r\nHost: a\r\n", &case[..], b"\r\n\r\n"].concat());
        let shown = String::from_utf8_lossy(case);
        let status = http.reply().map_or(400, |reply| reply.status);
        assert!(matches!(status, 400 | 401), "{status}: {shown}");
    }
    assert_eq!(program.verdict(token).status, 200);
    assert!(!program.log().contains(token), "the log contains a token");
}

#[test]
fn requests_that_proxies_could_read_differently_are_rejected() {
    let service = LiveService::start();
    let (program, kim) = (Program::start(&service.address), service.register("kim"));
    let bearer = format!("Authorization: Bearer {}\r\n", kim.token);
    let smuggled = format!("GET /auth/check HTTP/1.1\r\nHost: a\r\n{bearer}\r\n");
    for head in [
        // Two lengths; a length beside chunks; an unknown encoding.
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 4, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
    ] {
        let mut http = Http::connect(program.address);
        let request = format!("POST /auth/check HTTP/1.1\r\nHost: a\r\n{head}\r\n{smuggled}");
        http.send(request);
        let mut replies = Vec::new();
        while let Some(reply) = http.reply() {
            replies.push(reply.status);
        }
        assert!(replies.len() <= 1 && !replies.contains(&200), "{head}: {replies:?}");
    }
    // A body that looks like a request is never read as one.
    for head in [
        format!("Content-Length: {}\r\n", smuggled.len()),
        "Transfer-Encoding: chunked\r\n".to_owned(),
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", smuggled.len()),
    ] {
        let mut http = Http::connect(program.address);
        http.send(format!("POST /auth/check HTTP/1.1\r\nHost: a\r\n{head}\r\n{smuggled}"));
        let mut replies = Vec::new();
        while let Some(reply) = http.reply() {
            replies.push(reply.status);
        }
        assert!(replies.len() <= 1 && !replies.contains(&200), "{head}: {replies:?}");
    }
}

#[test]
fn bytes_that_are_not_http_are_rejected() {
    let service = LiveService::start();
    let program = Program::start(&service.address);
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /auth/check HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /auth/check HTTP/0.9\r\n\r\n",
        b"GET /auth/check\r\n\r\n",
        b"\0\0\0\x05\x7f\0\0\0\x01",
        b"GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /auth/check HTTP/1.1\r\n: x\r\n\r\n",
        b"GET /auth/check HTTP/1.1\nHost: a\n\n",
    ] {
        let mut http = Http::connect(program.address);
        http.send(bytes);
        http.stream.shutdown(std::net::Shutdown::Write).unwrap();
        let status = http.reply().map(|reply| reply.status);
        assert!(matches!(status, None | Some(400 | 401 | 404 | 505)), "{status:?}: {bytes:?}");
    }
    assert_eq!(Http::connect(program.address).request("GET /auth/check", &[]).status, 401);
}

#[test]
fn a_request_has_exactly_one_host() {
    let service = LiveService::start();
    let (program, kim) = (Program::start(&service.address), service.register("kim"));
    for (version, hosts, expected) in [
        ("1.1", "Host: a\r\n", 200),
        ("1.1", "Host: a\r\nHost: a\r\n", 400),
        ("1.1", "Host: a\r\nHost: b\r\n", 400),
        ("1.1", "", 400),
        ("1.0", "", 200),
    ] {
        let mut http = Http::connect(program.address);
        let bearer = format!("Authorization: Bearer {}", kim.token);
        http.send(format!("GET /auth/check HTTP/{version}\r\n{hosts}{bearer}\r\n\r\n"));
        let reply = http.reply().unwrap();
        assert_eq!(reply.status, expected, "{version} {hosts:?}: {reply:?}");
    }
}

#[test]
fn what_a_stranger_states_about_a_request_is_ignored() {
    let service = LiveService::start();
    let settings = [("TRUSTED_PROXIES", "192.0.2.0/24")];
    let program = Program::start_with(&service.address, &settings);
    let kim = service.register("kim");
    let cookie = format!("__Host-user={}", kim.token);
    // This test is not a trusted proxy, so its own method counts, and its origin is not known.
    let mut http = Http::connect(program.address);
    let forged = [
        ("Cookie", cookie.as_str()),
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("Origin", "https://evil.example"),
    ];
    http.send(text("POST /auth/check", &forged));
    assert_eq!(http.reply().unwrap().status, 403);
}

#[test]
fn what_follows_connect_is_not_a_request() {
    let program = Program::start("127.0.0.1:1");
    for target in ["app.example:80", "/auth/check", "*"] {
        let mut http = Http::connect(program.address);
        http.send(format!(
            "CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\nGET /auth/check HTTP/1.1\r\nHost: a\r\n\r\n"
        ));
        let status = http.reply().map_or(400, |reply| reply.status);
        assert!(matches!(status, 400 | 405), "{target}: {status}");
        assert!(http.reply().is_none(), "{target}");
    }
}
