//! Requests that are refused before they reach the service.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::{Api, PASSWORD, raw, string};
use crate::http::{Http, text};
use crate::scripted::{TOKEN, node, verified};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const LOGIN: &str = "{\"login\":\"kim\",\"password\":\"hidden password\"}";

/// The API in front of a node that fails the test if it is asked.
fn unasked() -> Api {
    Api::start(&node(|request, _| panic!("the service was asked: {request:?}")))
}

/// Returns status, code and `field` of a problem.
fn problem(json: &Value) -> (u64, &str, Option<&str>) {
    assert_eq!(string(json, "outcome"), "refused");
    (json["status"].as_u64().unwrap(), string(json, "code"), json["field"].as_str())
}

#[test]
fn an_invalid_body_is_refused_without_its_values() {
    let api = unasked();
    let long = format!("{{\"login\":\"{}\",\"password\":\"\"}}", "x".repeat(16 * 1024));
    let deep = "[".repeat(8000);
    for (body, headers, expected) in [
        (LOGIN, &[][..], (415, "UNSUPPORTED_MEDIA_TYPE", None)),
        (LOGIN, &[("Content-Type", "text/plain")], (415, "UNSUPPORTED_MEDIA_TYPE", None)),
        (LOGIN, &[JSON, ("Content-Encoding", "gzip")], (415, "UNSUPPORTED_MEDIA_TYPE", None)),
        (&long, &[JSON], (413, "BODY_TOO_LARGE", None)),
        ("", &[JSON], (400, "MALFORMED_BODY", None)),
        ("{\"password\":\"hidden", &[JSON], (400, "MALFORMED_BODY", None)),
        (&deep, &[JSON], (400, "MALFORMED_BODY", None)),
        ("[\"kim\",\"hidden\",null]", &[JSON], (422, "INVALID_VALUE", None)),
        ("{\"login\":\"kim\"}", &[JSON], (422, "INVALID_VALUE", Some("password"))),
        ("{\"login\":1,\"password\":\"hidden\"}", &[JSON], (422, "INVALID_VALUE", Some("login"))),
        ("{\"login\":\"\",\"password\":\"\",\"hidden\":1}", &[JSON], (422, "INVALID_VALUE", None)),
    ] {
        let reply = raw(api.program.address, "POST /v1/sessions", headers, body);
        let (reply, json) = api.check("POST /v1/sessions", reply);
        assert_eq!(problem(&json), expected, "{body}");
        assert!(!reply.body.contains("hidden"), "{reply:?}");
        let closes = matches!(reply.status, 413 | 415);
        assert_eq!(reply.header("connection"), if closes { "close" } else { "absent" });
    }
    // Without a length.
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let chunked = [JSON, ("Transfer-Encoding", "chunked")];
    let mut http = Http::connect(api.program.address);
    http.send(text("POST /v1/sessions", &chunked) + &chunk + "1\r\nx\r\n0\r\n\r\n");
    assert_eq!(http.reply().unwrap().status, 413);
    let mut http = Http::connect(api.program.address);
    http.send(text("POST /v1/sessions", &chunked) + "zz\r\n");
    assert_eq!(http.reply().unwrap().status, 400);
}

#[test]
fn a_body_may_be_as_large_as_the_limit_and_in_chunks() {
    let api = Api::start(&node(|_, _| {
        Some(crate::scripted::error(user_proto::ErrorCode::INVALID_CREDENTIALS, None))
    }));
    let padding = " ".repeat(16 * 1024 - LOGIN.len());
    let reply = raw(api.program.address, "POST /v1/sessions", &[JSON], &(padding + LOGIN));
    assert_eq!(reply.status, 401);
    let mut http = Http::connect(api.program.address);
    let (one, other) = LOGIN.split_at(10);
    let chunks = format!("{:x}\r\n{one}\r\n{:x}\r\n{other}\r\n0\r\n\r\n", one.len(), other.len());
    let chunked = [JSON, ("Transfer-Encoding", "chunked")];
    http.send(text("POST /v1/sessions", &chunked) + &chunks);
    assert_eq!(http.reply().unwrap().status, 401);
}

#[test]
fn a_body_must_arrive_in_time() {
    let address = node(|request, _| panic!("the service was asked: {request:?}"));
    let api = Api::start_with(&address, &[("API_TIMEOUT_MS", "500")]);
    let mut http = Http::connect(api.program.address);
    let began = Instant::now();
    http.send(text("POST /v1/sessions", &[JSON, ("Content-Length", "40")]) + "{\"login\"");
    let (reply, json) = api.check("POST /v1/sessions", http.reply().unwrap());
    assert_eq!((reply.status, string(&json, "code")), (408, "BODY_TIMEOUT"));
    assert!((400..2000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    assert!(http.is_closed());
}

#[test]
fn senders_of_slow_bodies_make_room_for_others() {
    let address = node(|_, _| Some(verified().into()));
    let api = Api::start_with(&address, &[("MAX_CONNECTIONS", "4")]);
    let slow: Vec<Http> = (0..20)
        .map(|_| {
            let mut http = Http::connect(api.program.address);
            http.send(text("POST /v1/sessions", &[JSON, ("Content-Length", "40")]) + "{");
            http
        })
        .collect();
    for _ in 0..10 {
        let began = Instant::now();
        assert_eq!(api.program.check(&[TOKEN]).status, 200);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    drop(slow);
}

#[test]
fn a_body_is_never_read_as_the_next_request() {
    let refused = || Some(crate::scripted::error(user_proto::ErrorCode::INVALID_CREDENTIALS, None));
    let api = Api::start(&node(move |_, _| refused()));
    let hidden = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = hidden.len().to_string();
    let length = ("Content-Length", length.as_str());
    let chunked = ("Transfer-Encoding", "chunked");
    let chunk = format!("{:x}\r\n{LOGIN}\r\n0\r\n\r\n", LOGIN.len());
    for (request, headers, body, status) in [
        ("GET /v1/me", &[length][..], hidden, 401),
        ("DELETE /v1/sessions/current", &[length], hidden, 401),
        ("PATCH /v1/me", &[JSON, length], hidden, 401),
        ("POST /v1/sessions", &[length], hidden, 415),
        ("POST /v1/sessions", &[JSON, length], hidden, 400),
        ("POST /v1/none", &[length], hidden, 404),
        ("PUT /v1/me", &[length], hidden, 405),
        // Two lengths: the connection is closed after the reply.
        ("POST /v1/sessions", &[JSON, ("Content-Length", "3"), chunked], &chunk, 401),
        ("POST /v1/sessions", &[JSON, length, ("Content-Length", "0")], hidden, 400),
        ("POST /v1/sessions", &[JSON, ("Content-Length", "+41")], hidden, 400),
        ("POST /v1/sessions", &[JSON, ("Transfer-Encoding", "xchunked")], hidden, 400),
    ] {
        let mut http = Http::connect(api.program.address);
        http.send(text(request, headers) + body);
        let reply = http.reply().unwrap();
        assert_eq!(reply.status, status, "{request} {headers:?}: {reply:?}");
        // Whatever follows is the reply to this request, or nothing.
        http.send(text("OPTIONS /v1/me", &[]));
        if let Some(next) = http.reply() {
            assert_eq!(next.status, 204, "{request} {headers:?}: {next:?}");
        }
    }
}

#[test]
fn without_a_usable_token_the_answer_is_401() {
    let api = unasked();
    for (headers, code) in [
        (&[][..], "NO_TOKEN"),
        (&[("Cookie", "__Secure-user=a.b.c; user=a.b.c")], "NO_TOKEN"),
        (&[("Authorization", "Basic a2ltOnB3")], "NO_TOKEN"),
        (&[("Authorization", "Bearer")], "INVALID_TOKEN"),
        (&[("Authorization", "Bearer a b")], "INVALID_TOKEN"),
        (&[TOKEN, TOKEN], "INVALID_TOKEN"),
    ] {
        for request in ["GET /v1/me", "PATCH /v1/me", "DELETE /v1/sessions/current"] {
            let (reply, json) = api.send(request, headers, None, None);
            assert_eq!((reply.status, string(&json, "code")), (401, code), "{headers:?}");
            let header = reply.header("www-authenticate");
            assert_eq!(header == "Bearer", code == "NO_TOKEN", "{header}");
        }
    }
    // Only Authorization and the cookie count.
    let query = raw(api.program.address, "GET /v1/me?access_token=a.b.c", &[], "");
    assert_eq!(query.status, 401);
}

#[test]
fn another_path_or_method_is_a_problem_too() {
    let api = unasked();
    let id = "018f4e5a-0000-7000-8000-000000000001";
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/me/",
        "/v1//me",
        "/V1/me",
        "/v2/me",
        "/v1/registrations/x/verify",
        "/v1/registrations/%ff/verify",
        &format!("/v1/registrations/{}/verify", id.replace('-', "")),
        &format!("/v1/registrations/{{{id}}}/verify"),
        "/auth/checks",
    ] {
        let reply = raw(api.program.address, &format!("POST {path}"), &[JSON], LOGIN);
        let json: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(problem(&json), (404, "NOT_FOUND", None), "{path}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    for (request, allow) in [
        ("PUT /v1/me", "GET,HEAD,PATCH"),
        ("POST /v1/me", "GET,HEAD,PATCH"),
        ("GET /v1/registrations", "POST"),
        (&format!("GET /v1/sessions/{id}"), "DELETE"),
        ("TRACE /v1/sessions/current", "DELETE"),
        ("BREW /openapi.json", "GET,HEAD"),
    ] {
        let reply = raw(api.program.address, request, &[TOKEN], "");
        let json: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(problem(&json), (405, "METHOD_NOT_ALLOWED", None), "{request}");
        assert_eq!(reply.header("allow"), allow, "{request}");
    }
    // A preflight request of another site gets no permission.
    let preflight =
        [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "PATCH")];
    let reply = raw(api.program.address, "OPTIONS /v1/me", &preflight, "");
    assert_eq!((reply.status, reply.header("allow")), (204, "GET,HEAD,PATCH"));
    assert!(reply.headers.iter().all(|(name, _)| !name.starts_with("access-control")));
}

#[test]
fn an_idempotency_key_must_be_visible_ascii() {
    let api = unasked();
    let long = "x".repeat(65);
    for value in ["", "a b", &long, "ä"] {
        let headers = [("Idempotency-Key", value)];
        let body = json!({"login": "kim", "password": PASSWORD});
        let (_, json) = api.send("POST /v1/sessions", &headers, None, Some(&body));
        assert_eq!(problem(&json), (400, "INVALID_IDEMPOTENCY_KEY", None), "{value}");
    }
}

#[test]
fn head_is_answered_as_get_without_a_body() {
    let api = Api::start(&node(|_, _| Some(verified().into())));
    let mut http = Http::connect(api.program.address);
    http.send(text("HEAD /v1/me", &[]));
    // The length is that of the reply to GET.
    http.stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut head = String::new();
    use std::io::Read;
    let mut chunk = [0; 4096];
    while !head.contains("\r\n\r\n") {
        let count = http.stream.read(&mut chunk).unwrap();
        head.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
    }
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}
