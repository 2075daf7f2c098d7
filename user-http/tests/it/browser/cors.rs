//! Pages of other origins: without CORS_ORIGINS, none can read a reply.

use serde_json::json;

use super::{JSON, start, start_with};
use crate::api::{PASSWORD, raw};
use crate::http::Reply;

const APP: &str = "https://app.example";

fn cors(reply: &Reply) -> Vec<&(String, String)> {
    let named = |name: &str| name.starts_with("access-control-");
    reply.headers.iter().filter(|(name, _)| named(name)).collect()
}

#[test]
fn there_are_no_cors_headers_unless_origins_are_named() {
    let (service, program) = start();
    service.register("kim");
    for (request, extra) in [
        ("GET /v1/me", &[][..]),
        ("OPTIONS /v1/me", &[("Access-Control-Request-Method", "PATCH")]),
        ("GET /openapi.json", &[]),
        ("GET /.well-known/jwks.json", &[]),
        ("GET /v1/unknown", &[]),
        ("GET /unknown", &[]),
        ("PUT /v1/me", &[]),
    ] {
        let headers = [&[("Origin", APP)], extra].concat();
        let reply = raw(program.address, request, &headers, "");
        assert!(cors(&reply).is_empty(), "{reply:?}");
        assert_eq!(reply.header("vary"), "absent", "{reply:?}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("cross-origin-resource-policy"), "same-origin");
        assert!(reply.header("content-security-policy").contains("frame-ancestors 'none'"));
    }
}

#[test]
fn only_named_origins_may_use_the_api_and_never_with_cookies() {
    let (service, program) =
        start_with(&[("CORS_ORIGINS", "https://app.example, http://localhost:3000")]);
    service.register("kim");
    let send = |request: &str, origin: &str, extra: &[(&str, &str)]| {
        raw(program.address, request, &[&[("Origin", origin)], extra].concat(), "")
    };
    let preflight = [
        ("Access-Control-Request-Method", "PATCH"),
        ("Access-Control-Request-Headers", "authorization,content-type"),
    ];
    let reply = send("OPTIONS /v1/me", APP, &preflight);
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("access-control-allow-origin"), APP);
    assert_eq!(reply.header("access-control-allow-methods"), "GET, POST, PATCH, DELETE");
    let allowed = reply.header("access-control-allow-headers");
    assert_eq!(allowed, "Authorization, Content-Type, Idempotency-Key, traceparent");
    assert_eq!(reply.header("access-control-allow-credentials"), "absent");
    assert_eq!(reply.header("vary"), "Origin");
    let reply = send("GET /v1/unknown", APP, &[]);
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (404, APP));
    let reply = send("GET /v1/me", "http://localhost:3000", &[]);
    assert_eq!(reply.header("access-control-allow-origin"), "http://localhost:3000");
    assert_eq!(reply.header("access-control-allow-methods"), "absent");
    for origin in [
        "https://evil.example",
        "https://app.example.evil",
        "https://app.example:8443",
        "http://app.example",
        "https://sub.app.example",
        "null",
        "https://app.example, https://evil.example",
    ] {
        for (request, extra) in [("GET /v1/me", &[][..]), ("OPTIONS /v1/me", &preflight)] {
            let reply = send(request, origin, extra);
            assert!(cors(&reply).is_empty(), "{origin}: {reply:?}");
            assert_eq!(reply.header("vary"), "Origin", "{reply:?}");
        }
    }
    for path in ["/auth/refresh", "/auth/check", "/auth/page"] {
        for request in [format!("GET {path}"), format!("OPTIONS {path}")] {
            let reply = send(&request, APP, &preflight);
            assert!(cors(&reply).is_empty(), "{request}: {reply:?}");
        }
    }
    // A page of another origin gets tokens, but no cookies.
    for (return_tokens, status) in [(false, 403), (true, 201)] {
        let body = json!({"login": "kim", "password": PASSWORD, "return_tokens": return_tokens});
        let headers = [("Origin", APP), ("Sec-Fetch-Site", "same-site"), JSON];
        let reply = raw(program.address, "POST /v1/sessions", &headers, &body.to_string());
        assert_eq!((reply.status, reply.header("set-cookie")), (status, "absent"), "{reply:?}");
        assert_eq!(reply.header("access-control-allow-origin"), APP);
    }
}
