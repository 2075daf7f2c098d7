//! The verdicts of `/auth/check`, and the form of its replies, in front of a live service.

use std::time::{Duration, Instant};

use crate::http::{Http, Reply, get};
use crate::program::{Program, until};
use crate::service::LiveService;

/// Checks what every reply to a check has in common.
fn assert_form(reply: &Reply) {
    assert_eq!(reply.header("cache-control"), "no-store", "{reply:?}");
    assert_eq!(reply.header("set-cookie"), "absent", "{reply:?}");
    assert_eq!((reply.header("content-length"), reply.body.as_str()), ("0", ""), "{reply:?}");
    assert!(reply.head_size <= 3 * 1024, "{reply:?}");
    if reply.status != 200 {
        for name in ["x-user-id", "x-session-id", "x-claims"] {
            assert_eq!(reply.header(name), "absent", "{reply:?}");
        }
    }
}

/// Returns the status, WWW-Authenticate and X-Auth-Error of a refused check.
fn refused(reply: &Reply) -> (u16, String, String) {
    assert_form(reply);
    let header = |name| reply.header(name).to_owned();
    (reply.status, header("www-authenticate"), header("x-auth-error"))
}

fn invalid(code: &str) -> (u16, String, String) {
    (401, "Bearer error=\"invalid_token\"".to_owned(), code.to_owned())
}

fn no_token() -> (u16, String, String) {
    (401, "Bearer".to_owned(), "absent".to_owned())
}

#[test]
fn a_valid_token_passes_with_its_identity() {
    let service = LiveService::start();
    let (program, kim) = (Program::start(&service.address), service.register("kim"));
    let bearer = format!("Bearer {}", kim.token);
    let cookie = format!("theme=dark; __Host-user={}", kim.token);
    for headers in [("Authorization", bearer.as_str()), ("Cookie", cookie.as_str())] {
        let reply = program.check(&[headers]);
        assert_form(&reply);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("x-user-id"), kim.user_id);
        assert_eq!(reply.header("x-session-id"), kim.session_id);
        assert_eq!(reply.header("x-claims"), "{}");
    }
}

#[test]
fn method_path_below_query_and_upgrade_do_not_matter() {
    let service = LiveService::start();
    let (program, kim) = (Program::start(&service.address), service.register("kim"));
    let bearer = format!("Bearer {}", kim.token);
    for request in [
        "GET /auth/check",
        "POST /auth/check",
        "DELETE /auth/check/",
        "PATCH /auth/check/api/orders/7?sort=asc",
        "HEAD /auth/check?x=%00&y",
        "OPTIONS /auth/check/%2e%2e/x",
        "PROPFIND /auth/check//a//b",
        "BREW /auth/check/%ff",
    ] {
        let mut http = Http::connect(program.address);
        let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
        let headers = [&upgrade[..], &[("Authorization", bearer.as_str())]].concat();
        http.send(crate::http::text(request, &headers));
        let reply = if request.starts_with("HEAD") {
            // A reply to HEAD has no body, whatever its length says.
            http.reply().unwrap()
        } else {
            http.request(request, &headers);
            http.reply().unwrap()
        };
        assert_eq!(reply.status, 200, "{request}: {reply:?}");
    }
    for path in ["/", "/auth", "/auth/checks", "/auth%2fcheck", "/AUTH/CHECK", "//auth/check"] {
        let reply = get(program.address, path, &[("Authorization", &bearer)]);
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}

#[test]
fn without_a_usable_token_the_answer_is_401() {
    let service = LiveService::start();
    let (program, kim) = (Program::start(&service.address), service.register("kim"));
    let cookie = format!("__Host-user={}", kim.token);
    assert_eq!(refused(&program.check(&[])), no_token());
    assert_eq!(refused(&program.check(&[("Cookie", "a=b")])), no_token());
    // Authorization hides the cookie, even if it is not usable.
    let both = |value: &str| program.check(&[("Authorization", value), ("Cookie", &cookie)]);
    assert_eq!(refused(&both("Basic a2ltOnB3")), no_token());
    assert_eq!(refused(&both("Bearer x.y.z")), invalid("INVALID_TOKEN"));
    assert_eq!(refused(&both("Bearer ")), invalid("INVALID_TOKEN"));
    let altered = format!("Bearer {}x", kim.token);
    assert_eq!(refused(&both(&altered)), invalid("INVALID_TOKEN"));
    assert_eq!(program.metric("user_http_checks_total{result=\"no_token\"}"), 3.0);
    assert_eq!(program.metric("user_http_checks_total{result=\"invalid\"}"), 3.0);
}

#[test]
fn a_preflight_request_is_not_let_through() {
    let service = LiveService::start();
    let program = Program::start(&service.address);
    let reply = Http::connect(program.address).request(
        "OPTIONS /auth/check",
        &[("Origin", "https://app.example"), ("Access-Control-Request-Method", "DELETE")],
    );
    assert_eq!(refused(&reply), no_token());
    assert_eq!(reply.header("access-control-allow-origin"), "absent");
}

#[test]
fn an_expired_token_is_refused() {
    let service = LiveService::start();
    let (program, kim) = (Program::start(&service.address), service.register("kim"));
    assert_eq!(program.verdict(&kim.token).status, 200);
    service.advance(Duration::from_secs(16 * 60));
    assert_eq!(refused(&program.verdict(&kim.token)), invalid("TOKEN_EXPIRED"));
}

#[test]
fn a_session_that_ended_is_refused_within_a_second() {
    let service = LiveService::start();
    let (program, kim) = (Program::start(&service.address), service.register("kim"));
    let other = service.log_in("kim");
    assert_eq!(program.verdict(&kim.token).status, 200);
    service.log_out(&kim);
    let ended = Instant::now();
    until(|| program.verdict(&kim.token).status == 401);
    assert!(ended.elapsed() < Duration::from_secs(1), "{:?}", ended.elapsed());
    assert_eq!(refused(&program.verdict(&kim.token)), invalid("SESSION_REVOKED"));
    assert_eq!(program.verdict(&other.token).status, 200, "only that session has ended");
}

#[test]
fn a_cookie_counts_for_a_change_only_from_the_same_origin() {
    let service = LiveService::start();
    let (program, kim) = (Program::start(&service.address), service.register("kim"));
    let cookie = format!("__Host-user={}", kim.token);
    let bearer = format!("Bearer {}", kim.token);
    let check = |headers: &[(&str, &str)]| {
        program.check(&[headers, &[("Cookie", cookie.as_str())]].concat()).status
    };
    let post = ("X-Forwarded-Method", "POST");
    let proto = ("X-Forwarded-Proto", "https");
    let host = ("X-Forwarded-Host", "app.example");
    assert_eq!(check(&[("X-Forwarded-Method", "GET")]), 200);
    assert_eq!(check(&[("X-Forwarded-Method", "GET"), ("Sec-Fetch-Site", "cross-site")]), 200);
    assert_eq!(check(&[post]), 403);
    assert_eq!(check(&[post, ("Sec-Fetch-Site", "same-origin")]), 200);
    for site in ["same-site", "cross-site", "none", "nonsense"] {
        assert_eq!(check(&[post, ("Sec-Fetch-Site", site)]), 403, "{site}");
    }
    assert_eq!(check(&[post, ("Origin", "https://app.example"), proto, host]), 200);
    assert_eq!(check(&[post, ("Origin", "https://evil.example"), proto, host]), 403);
    assert_eq!(check(&[post, ("Origin", "null"), proto, host]), 403);
    // A header of the end user that the proxy passes on beside its own.
    assert_eq!(check(&[("X-Forwarded-Method", "GET"), post]), 403);
    assert_eq!(check(&[("X-Forwarded-Method", "GET, POST")]), 403);
    // The method of the check itself counts where the proxy states none.
    let own = Http::connect(program.address).request("POST /auth/check", &[("Cookie", &cookie)]);
    assert_eq!((own.status, own.header("x-auth-error")), (403, "NOT_SAME_ORIGIN"));
    assert_form(&own);
    // A token that no browser adds by itself needs no such check.
    assert_eq!(program.check(&[post, ("Authorization", &bearer)]).status, 200);
}

#[test]
fn a_connection_stays_open_unless_a_body_is_announced() {
    let service = LiveService::start();
    let (program, kim) = (Program::start(&service.address), service.register("kim"));
    let bearer = format!("Bearer {}", kim.token);
    let mut http = Http::connect(program.address);
    for number in 0..10 {
        let token = if number % 2 == 0 { &bearer } else { "Bearer x" };
        let reply = http.request("GET /auth/check", &[("Authorization", token)]);
        assert_eq!((reply.status == 200, reply.header("connection")), (number % 2 == 0, "absent"));
    }
    let empty = [("Authorization", bearer.as_str()), ("Content-Length", "0")];
    assert_eq!(http.request("POST /auth/check", &empty).header("connection"), "absent");
    for (name, value) in [("Content-Length", "5"), ("Transfer-Encoding", "chunked")] {
        let mut http = Http::connect(program.address);
        let reply = http.request("POST /auth/check", &[("Authorization", &bearer), (name, value)]);
        assert_eq!((reply.status, reply.header("connection")), (200, "close"));
        assert!(http.is_closed(), "{name}");
    }
    assert_eq!(program.metric("user_http_connections_accepted_total"), 3.0);
}

#[test]
fn while_the_service_is_down_the_answer_is_503() {
    let mut service = LiveService::start();
    let (program, kim) = (Program::start(&service.address), service.register("kim"));
    assert_eq!(program.verdict(&kim.token).status, 200);
    service.stop();
    for _ in 0..5 {
        let began = Instant::now();
        let reply = program.verdict(&kim.token);
        assert_eq!(refused(&reply), (503, "absent".to_owned(), "absent".to_owned()));
        assert_eq!(reply.header("retry-after"), "1");
        assert!(began.elapsed() < Duration::from_millis(2500), "{:?}", began.elapsed());
    }
    // Without a token, no verdict of the service is needed.
    assert_eq!(refused(&program.check(&[])), no_token());
    assert_eq!(get(program.monitor, "/readyz", &[]).status, 503);
    service.resume();
    until(|| program.verdict(&kim.token).status == 200);
    until(|| get(program.monitor, "/readyz", &[]).status == 200);
}
