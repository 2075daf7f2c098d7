//! Everything that an end user does, with every route.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{Api, PASSWORD, string};
use crate::service::LiveService;

fn start() -> (LiveService, Api) {
    let service = LiveService::start();
    let api = Api::start(&service.address);
    (service, api)
}

fn credentials(login: &str, password: &str) -> Value {
    json!({"login": login, "password": password, "return_tokens": true})
}

#[test]
fn a_registration_is_completed_with_its_code() {
    let (service, api) = start();
    let body = json!({"username": "kim", "email": "kim@example.com", "password": PASSWORD});
    let (status, sent) = api.call("POST /v1/registrations", None, Some(&body));
    assert_eq!(status, 202);
    assert!(sent["code_expires_in"].as_u64().unwrap() > 0, "{sent}");
    let id = string(&sent, "verification_id");
    let verify = format!("POST /v1/registrations/{id}/verify");
    let code = service.emailed("kim@example.com", 6);
    let wrong = if code == "000000" { "111111" } else { "000000" };
    let (status, problem) = api.call(&verify, None, Some(&json!({"code": wrong})));
    assert_eq!((status, string(&problem, "code")), (422, "INVALID_CODE"));
    let (status, tokens) =
        api.call(&verify, None, Some(&json!({"code": code, "return_tokens": true})));
    assert_eq!((status, string(&tokens, "token_type")), (201, "Bearer"));
    let token = Some(string(&tokens, "access_token"));
    let (status, user) = api.call("GET /v1/me", token, None);
    assert_eq!(status, 200);
    assert_eq!(string(&user, "user_id"), string(&tokens, "user_id"));
    assert_eq!((string(&user, "username"), string(&user, "email")), ("kim", "kim@example.com"));
    // The code can be used once.
    let (status, problem) = api.call(&verify, None, Some(&json!({"code": code})));
    assert_eq!((status, string(&problem, "code")), (422, "CODE_EXPIRED"));
    let body = json!({"username": "kim", "email": "x@example.com", "password": PASSWORD});
    let (status, problem) = api.call("POST /v1/registrations", None, Some(&body));
    assert_eq!((status, string(&problem, "code")), (409, "USERNAME_TAKEN"));
}

#[test]
fn a_username_that_was_taken_in_the_meantime_is_replaced_with_the_code() {
    let (service, api) = start();
    let body = json!({"username": "kim", "email": "other@example.com", "password": PASSWORD});
    let (_, sent) = api.call("POST /v1/registrations", None, Some(&body));
    api.register(&service, "kim");
    let verify = format!("POST /v1/registrations/{}/verify", string(&sent, "verification_id"));
    let code = service.emailed("other@example.com", 6);
    let (status, problem) = api.call(&verify, None, Some(&json!({"code": code})));
    assert_eq!((status, string(&problem, "code")), (409, "USERNAME_TAKEN"));
    assert_eq!(string(&problem, "field"), "username");
    let (status, _) = api.call(
        &verify,
        None,
        Some(&json!({"code": code, "username": "kim2", "return_tokens": true})),
    );
    assert_eq!(status, 201);
}

#[test]
fn a_code_is_sent_again_after_the_wait() {
    let (service, api) = start();
    let body = json!({"username": "kim", "email": "kim@example.com", "password": PASSWORD});
    let (_, sent) = api.call("POST /v1/registrations", None, Some(&body));
    let code = service.emailed("kim@example.com", 6);
    let id = string(&sent, "verification_id").to_owned();
    let resend = format!("POST /v1/verifications/{id}/resend");
    let (reply, problem) = api.send(&resend, &[], None, None);
    assert_eq!((reply.status, string(&problem, "code")), (429, "RATE_LIMITED"));
    let wait = problem["retry_after_ms"].as_u64().unwrap();
    assert_eq!(reply.header("retry-after"), wait.div_ceil(1000).to_string());
    assert_eq!(string(&problem, "outcome"), "not_done");
    service.advance(Duration::from_millis(wait));
    let (status, resent) = api.call(&resend, None, None);
    assert_eq!(status, 202, "{resent}");
    let verify = format!("POST /v1/registrations/{id}/verify");
    let body = json!({"code": code, "return_tokens": true});
    assert_eq!(api.call(&verify, None, Some(&body)).0, 201);
}

#[test]
fn sessions_are_opened_refreshed_listed_and_ended() {
    let (service, api) = start();
    let first = api.register(&service, "kim");
    let mut body = credentials("kim@example.com", PASSWORD);
    body["device"] = json!("<b>laptop</b>");
    let (status, second) = api.call("POST /v1/sessions", None, Some(&body));
    assert_eq!(status, 201);
    assert_eq!(string(&second, "user_id"), string(&first, "user_id"));
    let refresh = json!({"refresh_token": second["refresh_token"]});
    let (status, renewed) = api.call("POST /v1/sessions/refresh", None, Some(&refresh));
    assert_eq!(status, 200);
    assert_eq!(string(&renewed, "session_id"), string(&second, "session_id"));
    assert_ne!(string(&renewed, "refresh_token"), string(&second, "refresh_token"));
    let token = Some(string(&renewed, "access_token"));
    let (status, list) = api.call("GET /v1/sessions", token, None);
    let sessions = list["sessions"].as_array().unwrap();
    assert_eq!((status, sessions.len()), (200, 2));
    for session in sessions {
        let current = string(session, "session_id") == string(&second, "session_id");
        assert_eq!(session["current"], current, "{session}");
        // The client escapes it.
        let device = if current { "<b>laptop</b>" } else { "a phone" };
        assert_eq!(string(session, "device"), device);
    }
    let end = format!("DELETE /v1/sessions/{}", string(&first, "session_id"));
    assert_eq!(api.call(&end, token, None), (200, json!({"sessions_ended": 1})));
    assert_eq!(api.call(&end, token, None), (200, json!({"sessions_ended": 0})));
    let (status, problem) = api.call("GET /v1/me", Some(string(&first, "access_token")), None);
    assert_eq!((status, string(&problem, "code")), (401, "SESSION_REVOKED"));
    let (_, third) = api.call("POST /v1/sessions", None, Some(&credentials("kim", PASSWORD)));
    let current = "DELETE /v1/sessions/current";
    assert_eq!(api.call(current, token, None), (200, json!({"sessions_ended": 1})));
    assert_eq!(api.call("GET /v1/sessions", token, None).0, 401);
    let (_, fourth) = api.call("POST /v1/sessions", None, Some(&credentials("kim", PASSWORD)));
    let third = Some(string(&third, "access_token"));
    assert_eq!(api.call("DELETE /v1/sessions", third, None), (200, json!({"sessions_ended": 2})));
    assert_eq!(api.call("GET /v1/me", Some(string(&fourth, "access_token")), None).0, 401);
}

#[test]
fn a_stolen_refresh_token_ends_the_session() {
    let (service, api) = start();
    let tokens = api.register(&service, "kim");
    let refresh = json!({"refresh_token": tokens["refresh_token"]});
    assert_eq!(api.call("POST /v1/sessions/refresh", None, Some(&refresh)).0, 200);
    service.advance(Duration::from_secs(60));
    let (status, problem) = api.call("POST /v1/sessions/refresh", None, Some(&refresh));
    assert_eq!((status, string(&problem, "code")), (401, "SESSION_REVOKED"));
    let (status, problem) =
        api.call("POST /v1/sessions/refresh", None, Some(&json!({"refresh_token": "x"})));
    assert_eq!((status, string(&problem, "code")), (401, "INVALID_TOKEN"));
}

#[test]
fn a_user_changes_name_email_and_password_and_deletes_the_account() {
    let (service, api) = start();
    let tokens = api.register(&service, "kim");
    let token = Some(string(&tokens, "access_token"));
    let (status, changed) = api.call("PATCH /v1/me", token, Some(&json!({"username": "kim2"})));
    assert_eq!((status, string(&changed, "username")), (200, "kim2"));
    let (status, problem) = api.call("PATCH /v1/me", token, Some(&json!({})));
    assert_eq!((status, string(&problem, "code")), (422, "NOTHING_TO_UPDATE"));
    // 403, not 401: the user is still logged in.
    let body = json!({"email": "new@example.com", "current_password": "wrong password"});
    let (status, problem) = api.call("PATCH /v1/me", token, Some(&body));
    assert_eq!((status, string(&problem, "code")), (403, "INVALID_CREDENTIALS"));
    assert_eq!(string(&problem, "field"), "current_password");
    let body = json!({"email": "new@example.com", "current_password": PASSWORD});
    let (status, changed) = api.call("PATCH /v1/me", token, Some(&body));
    assert_eq!((status, string(&changed, "email")), (200, "kim@example.com"));
    let body = json!({
        "verification_id": changed["verification_id"],
        "code": service.emailed("new@example.com", 6),
    });
    let (status, changed) = api.call("POST /v1/me/email/confirm", token, Some(&body));
    assert_eq!((status, string(&changed, "email")), (200, "new@example.com"));
    let body = json!({"new_password": "tides fall at three", "current_password": PASSWORD});
    assert_eq!(api.call("PATCH /v1/me", token, Some(&body)).0, 200);
    let (status, problem) =
        api.call("POST /v1/sessions", None, Some(&credentials("kim2", PASSWORD)));
    assert_eq!((status, string(&problem, "code")), (401, "INVALID_CREDENTIALS"));
    let body = json!({"current_password": PASSWORD});
    assert_eq!(api.call("POST /v1/me/delete", token, Some(&body)).0, 403);
    let body = json!({"current_password": "tides fall at three"});
    let (status, deleted) = api.call("POST /v1/me/delete", token, Some(&body));
    assert_eq!((status, string(&deleted, "user_id")), (200, string(&tokens, "user_id")));
    assert_eq!(api.call("GET /v1/me", token, None).0, 401);
}

#[test]
fn a_password_is_reset_with_a_code() {
    let (service, api) = start();
    let tokens = api.register(&service, "kim");
    let ask =
        |email: &str| api.call("POST /v1/password-resets", None, Some(&json!({"email": email})));
    let (status, sent) = ask("kim@example.com");
    assert_eq!(status, 202);
    // An unknown address gets the same reply.
    let (unknown, other) = ask("unknown@example.com");
    assert_eq!((unknown, &other["resend_after"]), (202, &sent["resend_after"]));
    let path = format!("POST /v1/password-resets/{}/complete", string(&sent, "verification_id"));
    let code = service.emailed("kim@example.com", 11);
    let weak = json!({"code": code, "new_password": "short"});
    let (status, problem) = api.call(&path, None, Some(&weak));
    assert_eq!((status, string(&problem, "code")), (422, "INVALID_PASSWORD"));
    assert_eq!(string(&problem, "field"), "new_password");
    let body = json!({"code": code, "new_password": "tides fall at three"});
    assert_eq!(api.call(&path, None, Some(&body)), (200, json!({"sessions_ended": 1})));
    assert_eq!(api.call("GET /v1/me", Some(string(&tokens, "access_token")), None).0, 401);
    let login = credentials("kim", "tides fall at three");
    assert_eq!(api.call("POST /v1/sessions", None, Some(&login)).0, 201);
}

#[test]
fn an_access_token_expires_and_can_be_refreshed() {
    let (service, api) = start();
    let tokens = api.register(&service, "kim");
    service.advance(Duration::from_secs(tokens["access_expires_in"].as_u64().unwrap() + 1));
    let (reply, problem) = api.send("GET /v1/me", &[], Some(string(&tokens, "access_token")), None);
    assert_eq!((reply.status, string(&problem, "code")), (401, "TOKEN_EXPIRED"));
    assert_eq!(string(&problem, "type"), "urn:user-service:error:0304");
    assert_eq!(reply.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    assert_eq!(reply.header("content-type"), "application/problem+json");
    let refresh = json!({"refresh_token": tokens["refresh_token"]});
    let (_, renewed) = api.call("POST /v1/sessions/refresh", None, Some(&refresh));
    assert_eq!(api.call("GET /v1/me", Some(string(&renewed, "access_token")), None).0, 200);
}
