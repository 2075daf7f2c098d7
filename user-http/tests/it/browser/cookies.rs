//! Cookies that a login sets, that every route accepts, and that a logout clears.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Browser, JSON, SAME_ORIGIN, start, start_with};
use crate::api::{PASSWORD, raw, string};
use crate::http::get;

fn parsed(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[test]
fn a_login_sets_cookies_and_its_reply_has_no_token() {
    let (service, program) = start();
    service.register("kim");
    let mut browser = Browser::default();
    let body = json!({"login": "kim", "password": PASSWORD});
    let reply = browser.send(program.address, "POST /v1/sessions", &[SAME_ORIGIN], Some(&body));
    assert_eq!(reply.status, 201);
    let lines: Vec<&str> = reply.values("set-cookie").collect();
    let end = "; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax";
    assert!(lines[0].starts_with("__Host-user=ey"), "{lines:?}");
    assert!(lines[0].ends_with(&format!("; Path=/{end}")), "{lines:?}");
    assert!(lines[1].starts_with("__Secure-user-refresh="), "{lines:?}");
    assert!(lines[1].ends_with(&format!("; Path=/auth{end}")), "{lines:?}");
    assert_eq!(lines.len(), 2);
    let session = parsed(&reply.body);
    for name in ["access_token", "refresh_token", "token_type"] {
        assert!(session[name].is_null(), "{session}");
    }
    for (value, _) in browser.jar.values() {
        assert!(!reply.body.contains(value.as_str()), "{}", reply.body);
    }
    let me = browser.send(program.address, "GET /v1/me", &[], None);
    assert_eq!((me.status, string(&parsed(&me.body), "username")), (200, "kim"));
    let check = get(program.address, "/auth/check", &[("Cookie", &browser.header("GET /"))]);
    assert_eq!(check.status, 200);
}

#[test]
fn a_registration_sets_cookies_and_the_refresh_token_goes_only_below_auth() {
    let (service, program) = start();
    let mut browser = Browser::default();
    let body = json!({"username": "kim", "email": "kim@example.com", "password": PASSWORD});
    let sent = browser.send(program.address, "POST /v1/registrations", &[SAME_ORIGIN], Some(&body));
    let id = string(&parsed(&sent.body), "verification_id").to_owned();
    let code = json!({"code": service.emailed("kim@example.com", 6)});
    let verify = format!("POST /v1/registrations/{id}/verify");
    let reply = browser.send(program.address, &verify, &[SAME_ORIGIN], Some(&code));
    assert_eq!((reply.status, browser.jar.len()), (201, 2), "{reply:?}");
    assert_eq!(browser.header("GET /orders").matches("__").count(), 1);
    assert_eq!(browser.header("GET /authority").matches("__").count(), 1);
    assert_eq!(browser.header("GET /auth/refresh").matches("__").count(), 2);
}

#[test]
fn tokens_are_in_the_reply_only_if_the_caller_asks_for_them() {
    let (service, program) = start();
    service.register("kim");
    let mut browser = Browser::default();
    let body = json!({"login": "kim", "password": PASSWORD, "return_tokens": true});
    let reply = browser.send(program.address, "POST /v1/sessions", &[], Some(&body));
    assert_eq!((reply.status, reply.header("set-cookie")), (201, "absent"));
    let refresh = json!({"refresh_token": parsed(&reply.body)["refresh_token"]});
    let reply = browser.send(program.address, "POST /v1/sessions/refresh", &[], Some(&refresh));
    assert_eq!((reply.status, reply.header("set-cookie")), (200, "absent"));
    assert!(parsed(&reply.body)["access_token"].is_string());
}

#[test]
fn a_logout_ends_the_session_and_clears_both_cookies() {
    let (service, program) = start();
    service.register("kim");
    let address = program.address;
    for (request, sessions) in [("DELETE /v1/sessions/current", 1), ("DELETE /v1/sessions", 3)] {
        let mut browser = Browser::logged_in(&program, "kim");
        Browser::logged_in(&program, "kim");
        let token = browser.cookie("__Host-user").unwrap().to_owned();
        let reply = browser.send(address, request, &[SAME_ORIGIN], None);
        assert_eq!(reply.status, 200, "{reply:?}");
        // The registration opened a session, too.
        assert!(parsed(&reply.body)["sessions_ended"].as_u64().unwrap() >= sessions, "{reply:?}");
        assert!(browser.jar.is_empty(), "{browser:?}");
        let bearer = format!("Bearer {token}");
        assert_eq!(get(address, "/v1/me", &[("Authorization", &bearer)]).status, 401);
    }
}

#[test]
fn a_login_ends_the_previous_session_of_the_browser() {
    let (service, program) = start();
    service.register("kim");
    let mut browser = Browser::logged_in(&program, "kim");
    let before = browser.header("GET /");
    let body = json!({"login": "kim", "password": PASSWORD});
    for (password, ended) in [("wrong password", false), (PASSWORD, true)] {
        let mut body = body.clone();
        body["password"] = json!(password);
        browser.send(program.address, "POST /v1/sessions", &[SAME_ORIGIN], Some(&body));
        let old = get(program.address, "/v1/me", &[("Cookie", &before)]);
        assert_eq!(old.status == 401, ended, "{old:?}");
    }
    assert_ne!(browser.header("GET /"), before);
    assert_eq!(browser.send(program.address, "GET /v1/me", &[], None).status, 200);
}

#[test]
fn a_logout_works_with_an_expired_token_and_after_the_end_of_the_session() {
    let (service, program) = start();
    service.register("kim");
    let mut expired = Browser::logged_in(&program, "kim");
    let mut other = Browser::logged_in(&program, "kim");
    service.advance(Duration::from_secs(16 * 60));
    let current = "DELETE /v1/sessions/current";
    // All sessions need a valid token, and the cookies are needed to refresh it.
    let all = expired.send(program.address, "DELETE /v1/sessions", &[SAME_ORIGIN], None);
    assert_eq!((all.status, expired.jar.len()), (401, 2), "{all:?}");
    assert_eq!(expired.clone().send(program.address, current, &[SAME_ORIGIN], None).status, 200);
    let again = expired.send(program.address, current, &[SAME_ORIGIN], None);
    assert!(again.status == 401 || again.status == 200, "{again:?}");
    assert!(expired.jar.is_empty(), "{again:?}");
    other.jar.get_mut("__Host-user").unwrap().0 = "x.y.z".to_owned();
    let invalid = other.send(program.address, current, &[SAME_ORIGIN], None);
    assert_eq!((invalid.status, other.jar.len()), (401, 0), "{invalid:?}");
}

#[test]
fn the_end_of_the_own_session_and_of_the_account_clear_the_cookies() {
    let (service, program) = start();
    service.register("kim");
    let mut browser = Browser::logged_in(&program, "kim");
    let list = browser.send(program.address, "GET /v1/sessions", &[], None);
    let list = parsed(&list.body);
    for current in [false, true] {
        let mut sessions = list["sessions"].as_array().unwrap().iter();
        let session = sessions.find(|session| session["current"] == current).unwrap();
        let end = format!("DELETE /v1/sessions/{}", string(session, "session_id"));
        let reply = browser.send(program.address, &end, &[SAME_ORIGIN], None);
        assert_eq!((reply.status, browser.jar.is_empty()), (200, current), "{reply:?}");
    }
    let mut browser = Browser::logged_in(&program, "kim");
    let body = json!({"current_password": PASSWORD});
    let reply = browser.send(program.address, "POST /v1/me/delete", &[SAME_ORIGIN], Some(&body));
    assert_eq!((reply.status, browser.jar.len()), (200, 0), "{reply:?}");
}

#[test]
fn with_authorization_the_cookies_are_ignored() {
    let (service, program) = start();
    service.register("kim");
    let lee = service.register("lee");
    let browser = Browser::logged_in(&program, "kim");
    let cookie = browser.header("GET /");
    let bearer = format!("Bearer {}", lee.token);
    let send = |request: &str, value: &str| {
        let headers = [
            ("Cookie", cookie.as_str()),
            ("Authorization", value),
            ("Sec-Fetch-Site", "cross-site"),
        ];
        raw(program.address, request, &headers, "")
    };
    let me = send("GET /v1/me", &bearer);
    assert_eq!(string(&parsed(&me.body), "username"), "lee");
    assert_eq!(send("GET /v1/me", "Bearer x.y.z").status, 401);
    assert_eq!(send("GET /v1/me", "Basic a2ltOnB3").status, 401);
    let reply = send("DELETE /v1/sessions/current", &bearer);
    assert_eq!((reply.status, reply.header("set-cookie")), (200, "absent"));
    assert_eq!(get(program.address, "/v1/me", &[("Cookie", &cookie)]).status, 200);
}

#[test]
fn a_cookie_domain_changes_the_name_of_the_access_token_only() {
    let (service, program) = start_with(&[("COOKIE_DOMAIN", "example.com")]);
    service.register("kim");
    let mut browser = Browser::default();
    let body = json!({"login": "kim", "password": PASSWORD});
    let reply = browser.send(program.address, "POST /v1/sessions", &[SAME_ORIGIN], Some(&body));
    let lines: Vec<&str> = reply.values("set-cookie").collect();
    assert!(lines[0].starts_with("__Secure-user=ey"), "{lines:?}");
    assert!(lines[0].contains("; Path=/; Domain=example.com; "), "{lines:?}");
    assert!(lines[1].starts_with("__Secure-user-refresh="), "{lines:?}");
    assert!(!lines[1].contains("Domain"), "{lines:?}");
    let cookie = browser.header("GET /");
    for path in ["/v1/me", "/auth/check"] {
        assert_eq!(get(program.address, path, &[("Cookie", &cookie)]).status, 200, "{path}");
        let other = cookie.replace("__Secure-", "__Host-");
        assert_eq!(get(program.address, path, &[("Cookie", &other)]).status, 401, "{path}");
    }
    let out = browser.send(program.address, "DELETE /v1/sessions/current", &[SAME_ORIGIN], None);
    assert!(browser.jar.is_empty(), "{out:?}");
}

#[test]
fn a_logout_ends_the_session_of_every_cookie_that_a_host_of_the_domain_has_added() {
    let (service, program) = start_with(&[("COOKIE_DOMAIN", "example.com")]);
    for name in ["kim", "mallory"] {
        service.register(name);
    }
    let own = service.log_in("kim").token;
    let added = service.log_in("mallory").token;
    let is_active = |token: &str| {
        let bearer = format!("Bearer {token}");
        get(program.address, "/v1/me", &[("Authorization", &bearer)]).status == 200
    };
    let expired = "eyJhbGciOiJIUzI1NiJ9.e30.AAAA";
    for (request, body) in [
        ("DELETE /v1/sessions/current", String::new()),
        ("DELETE /v1/sessions", String::new()),
        ("POST /v1/sessions", json!({"login": "kim", "password": PASSWORD}).to_string()),
    ] {
        for cookies in [[&own, &added], [&added, &own]] {
            let own = service.log_in("kim").token;
            let cookie = cookies.map(|value| format!("__Secure-user={value}")).join("; ");
            let cookie = format!("{cookie}; __Secure-user={expired}; __Secure-user={own}");
            assert!(is_active(&own));
            let headers = [JSON, SAME_ORIGIN, ("Cookie", cookie.as_str())];
            let reply = raw(program.address, request, &headers, &body);
            assert!([200, 201].contains(&reply.status), "{request}: {reply:?}");
            assert!(!is_active(&own), "{request}: {reply:?}");
        }
    }
    assert!(!is_active(&own) && !is_active(&added));
}

#[test]
fn no_token_of_a_cookie_is_logged() {
    let (service, program) = start_with(&[("LOG", "trace")]);
    service.register("kim");
    let mut browser = Browser::logged_in(&program, "kim");
    let tokens: Vec<String> = browser.jar.values().map(|(value, _)| value.clone()).collect();
    browser.send(program.address, "GET /v1/me", &[], None);
    service.advance(Duration::from_secs(16 * 60));
    let refresh = browser.send(program.address, "POST /auth/refresh", &[SAME_ORIGIN], None);
    assert_eq!(refresh.status, 200);
    browser.send(program.address, "DELETE /v1/sessions/current", &[SAME_ORIGIN], None);
    let log = program.log();
    for token in tokens.iter().chain(browser.jar.values().map(|(value, _)| value)) {
        assert!(!log.contains(token.as_str()), "{log}");
    }
}
