//! The calls to the service: what it gets to know, and how each of its errors is passed on.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use user_proto::{
    Common, ErrorCode, ErrorReply, IdempotencyKey, LoggedOut, Request, TokenRefreshed, UnixSeconds,
    User,
};
use uuid::Uuid;

use crate::api::{Api, PASSWORD, string};
use crate::program::until;
use crate::scripted::{TOKEN, error, node};
use crate::service::LiveService;

fn user() -> User<'static> {
    User {
        user_id: Uuid::from_u128(1),
        username: "kim".into(),
        email: "kim@example.com".into(),
        created_at: UnixSeconds(1_795_855_000),
    }
}

#[test]
fn every_error_of_the_service_is_passed_on() {
    for code in ErrorCode::ALL {
        let scripted = node({
            let code = *code;
            move |_, _| {
                let reply = ErrorReply {
                    code,
                    message: "as scripted".into(),
                    retry_after_ms: Some(1),
                    field: Some("password".into()),
                };
                Some(reply.into())
            }
        });
        let api = Api::start(&scripted);
        let login = json!({"login": "kim", "password": "hidden password"});
        for (request, token, body) in [
            ("POST /v1/sessions", None, Some(&login)),
            ("GET /v1/me", Some(TOKEN.1.trim_start_matches("Bearer ")), None),
        ] {
            // Replies are compared with the document, which lists each status.
            let (reply, problem) = api.send(request, &[], token, body);
            assert_eq!(string(&problem, "code"), code.name());
            let kind = format!("urn:user-service:error:{:04X}", code.0);
            assert_eq!(string(&problem, "type"), kind);
            assert_eq!(string(&problem, "title"), code.meaning());
            assert_eq!(string(&problem, "detail"), "as scripted");
            assert_eq!(string(&problem, "field"), "password");
            assert_eq!((&problem["retry_after_ms"], reply.header("retry-after")), (&json!(1), "1"));
            let outcome =
                format!("{:?}", code.outcome()).to_lowercase().replace("notdone", "not_done");
            assert_eq!(string(&problem, "outcome"), outcome);
        }
        // The log is written by a thread of its own.
        let message = "the service does not accept a request of the API";
        if code.0 >> 8 == 1 {
            until(|| api.program.log().matches(message).count() == 2);
        } else {
            assert!(!api.program.log().contains(message), "{code:?}: {}", api.program.log());
        }
    }
}

#[test]
fn the_service_gets_address_deadline_trace_and_key() {
    let seen: Arc<Mutex<Vec<(u8, Common<'static>)>>> = Arc::default();
    let record = Arc::clone(&seen);
    let api = Api::start(&node(move |request, common| {
        let kind = match request {
            Request::GetUser(_) => 0x0A,
            Request::Login(_) => 0x02,
            _ => return None,
        };
        record.lock().unwrap().push((kind, common.clone()));
        Some(if kind == 0x0A { user().into() } else { error(ErrorCode::INVALID_CREDENTIALS, None) })
    }));
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = |key: &'static str, address: &'static str| {
        [
            ("X-Forwarded-For", address),
            ("traceparent", trace),
            ("X-Envoy-Expected-Rq-Timeout-Ms", "1500"),
            ("Idempotency-Key", key),
        ]
    };
    let login = json!({"login": "kim", "password": PASSWORD, "return_tokens": true});
    let token = TOKEN.1.trim_start_matches("Bearer ");
    api.send("GET /v1/me", &headers("a", "192.0.2.1"), Some(token), None);
    for (key, address) in
        [("a", "192.0.2.1"), ("a", "192.0.2.1"), ("b", "192.0.2.1"), ("a", "192.0.2.2")]
    {
        api.send("POST /v1/sessions", &headers(key, address), None, Some(&login));
    }
    let seen = seen.lock().unwrap();
    let (kind, common) = &seen[0];
    assert_eq!(*kind, 0x0A);
    assert_eq!(common.client_address.as_ref().unwrap().ip().to_string(), "192.0.2.1");
    assert_eq!(common.traceparent.as_deref(), Some(trace));
    assert!((1000..=1500).contains(&common.deadline_ms.unwrap()), "{common:?}");
    // A request that changes nothing needs no key.
    assert_eq!(common.idempotency_key, None);
    let keys: Vec<IdempotencyKey> =
        seen[1..].iter().map(|(_, common)| common.idempotency_key.unwrap()).collect();
    assert_eq!(keys.len(), 4);
    assert_eq!(keys[0], keys[1]);
    assert!(keys[0] != keys[2] && keys[0] != keys[3] && keys[2] != keys[3], "{keys:?}");
}

#[test]
fn a_node_that_does_not_answer_leads_to_504_with_an_unknown_outcome() {
    let api = Api::start_with(&node(|_, _| None), &[("API_TIMEOUT_MS", "300")]);
    let login = json!({"login": "kim", "password": PASSWORD, "return_tokens": true});
    let began = Instant::now();
    let (status, problem) = api.call("POST /v1/sessions", None, Some(&login));
    assert_eq!((status, string(&problem, "code")), (504, "DEADLINE_EXCEEDED"));
    assert_eq!(string(&problem, "outcome"), "unknown");
    assert!((250..2000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[test]
fn while_the_service_is_down_nothing_is_done() {
    let mut service = LiveService::start();
    let api = Api::start(&service.address);
    let tokens = api.register(&service, "kim");
    let token = Some(string(&tokens, "access_token"));
    service.stop();
    let (reply, problem) = api.send("GET /v1/me", &[], token, None);
    assert_eq!((reply.status, string(&problem, "code")), (503, "UNAVAILABLE"));
    assert_eq!((reply.header("retry-after"), string(&problem, "outcome")), ("1", "not_done"));
    service.resume();
    until(|| api.call("GET /v1/me", token, None).0 == 200);
}

#[test]
fn a_reply_of_another_type_or_an_invalid_one_is_a_bad_gateway() {
    let api = Api::start(&node(|_, _| Some(LoggedOut { sessions_ended: 1 }.into())));
    let (status, problem) =
        api.call("GET /v1/me", Some(TOKEN.1.trim_start_matches("Bearer ")), None);
    assert_eq!((status, string(&problem, "code")), (502, "BAD_REPLY"));
    assert_eq!(string(&problem, "outcome"), "unknown");
    until(|| api.program.log().contains("the service sent an invalid reply to the API"));
}

#[test]
fn a_change_with_an_idempotency_key_is_made_once() {
    let service = LiveService::start();
    let api = Api::start(&service.address);
    let body = json!({"username": "kim", "email": "kim@example.com", "password": PASSWORD});
    let other = json!({"username": "lee", "email": "lee@example.com", "password": PASSWORD});
    let key = [("Idempotency-Key", "a-1"), ("X-Forwarded-For", "192.0.2.1")];
    let post = |headers: &[(&str, &str)], body| {
        let (reply, json) = api.send("POST /v1/registrations", headers, None, Some(body));
        (reply.status, json)
    };
    let first = post(&key, &body);
    assert_eq!(first.0, 202);
    assert_eq!(post(&key, &body), first);
    let (status, problem) = post(&key, &other);
    assert_eq!((status, string(&problem, "code")), (409, "IDEMPOTENCY_CONFLICT"));
    // A stranger in another network has keys of their own.
    let stranger = [("Idempotency-Key", "a-1"), ("X-Forwarded-For", "192.0.2.2")];
    assert_eq!(post(&stranger, &other).0, 202);
    // A logout ends its own session, and is nevertheless answered again.
    let tokens = api.register(&service, "max");
    let (token, key) = (Some(string(&tokens, "access_token")), [("Idempotency-Key", "b")]);
    for _ in 0..2 {
        let (reply, json) = api.send("DELETE /v1/sessions/current", &key, token, None);
        assert_eq!((reply.status, json), (200, json!({"sessions_ended": 1})));
    }
    assert_eq!(api.call("DELETE /v1/sessions/current", token, None).0, 401);
}

#[test]
fn a_lost_connection_is_hidden_from_a_request_that_may_be_repeated() {
    let nodes = format!(
        "127.0.0.1:1,{}",
        node(|request, _| match request {
            Request::GetUser(_) => Some(user().into()),
            Request::RefreshToken(_) => Some(
                TokenRefreshed {
                    user_id: Uuid::from_u128(1),
                    session_id: Uuid::from_u128(2),
                    access_token: "a".into(),
                    access_expires_in: 1,
                    refresh_token: "b".into(),
                    refresh_expires_in: 2,
                }
                .into(),
            ),
            _ => None,
        })
    );
    let api = Api::start(&nodes);
    let token = TOKEN.1.trim_start_matches("Bearer ");
    for _ in 0..4 {
        assert_eq!(api.call("GET /v1/me", Some(token), None).0, 200);
        let body = json!({"refresh_token": "r"});
        assert_eq!(api.call("POST /v1/sessions/refresh", None, Some(&body)).0, 200);
    }
    std::thread::sleep(Duration::from_millis(10));
    assert_eq!(api.program.metric("user_http_api_replies_total{status=\"2xx\"}"), 9.0);
}
