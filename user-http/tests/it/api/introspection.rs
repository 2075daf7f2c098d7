//! Introspection (RFC 7662): only a trusted peer may ask, and only for itself.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{Api, raw, string};
use crate::http::Reply;
use crate::scripted::TOKEN;
use crate::service::LiveService;

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn introspect(api: &Api, headers: &[(&str, &str)], form: &str) -> (Reply, Value) {
    let headers = [&[FORM], headers].concat();
    let reply = raw(api.program.address, "POST /v1/introspect", &headers, form);
    api.check("POST /v1/introspect", reply)
}

#[test]
fn a_token_is_active_until_its_session_ends_or_it_expires() {
    for settings in [&[][..], &[("TOKEN_SIGNING", "EdDSA")]] {
        let service = LiveService::start_with(settings);
        let api = Api::start(&service.address);
        let (kim, lee) = (api.register(&service, "kim"), api.register(&service, "lee"));
        let token = string(&kim, "access_token");
        let ask =
            |token: &str| introspect(&api, &[], &format!("token_type_hint=x&token={token}")).1;
        let active = ask(token);
        assert_eq!(active["active"], true);
        assert_eq!(string(&active, "sub"), string(&kim, "user_id"));
        assert_eq!(string(&active, "sid"), string(&kim, "session_id"));
        let life = active["exp"].as_u64().unwrap() - active["iat"].as_u64().unwrap();
        assert_eq!(life, kim["access_expires_in"].as_u64().unwrap());
        assert_eq!(ask(&token.replace('.', "%2E"))["active"], true);
        for invalid in ["", "x", "x.y.z", string(&kim, "refresh_token"), &format!("{token}x")] {
            assert_eq!(ask(invalid), json!({"active": false}), "{invalid}");
        }
        api.call("DELETE /v1/sessions/current", Some(token), None);
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(ask(token), json!({"active": false}));
        assert_eq!(ask(string(&lee, "access_token"))["active"], true);
    }
}

#[test]
fn only_a_trusted_peer_may_ask_and_only_for_itself() {
    let service = LiveService::start();
    let api = Api::start(&service.address);
    let tokens = api.register(&service, "kim");
    let form = format!("token={}", string(&tokens, "access_token"));
    assert_eq!(introspect(&api, &[], &form).0.status, 200);
    for header in [
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-For", ""),
        ("Forwarded", "for=192.0.2.1"),
        ("Via", "1.1 proxy"),
    ] {
        let (reply, problem) = introspect(&api, &[header], &form);
        assert_eq!((reply.status, string(&problem, "code")), (403, "NOT_PERMITTED"), "{header:?}");
    }
    let untrusted = Api::start_with(&service.address, &[("TRUSTED_PROXIES", "192.0.2.1")]);
    assert_eq!(introspect(&untrusted, &[], &form).0.status, 403);
}

#[test]
fn the_form_must_have_one_token() {
    let service = LiveService::start();
    let api = Api::start(&service.address);
    for form in ["x=1", "token=a&token=b", "Token=a", "{\"token\":\"a\"}"] {
        let (reply, problem) = introspect(&api, &[], form);
        assert_eq!((reply.status, string(&problem, "field")), (422, "token"), "{form}");
    }
    let json = [("Content-Type", "application/json")];
    let reply = raw(api.program.address, "POST /v1/introspect", &json, "{\"token\":\"a\"}");
    assert_eq!(reply.status, 415);
}

#[test]
fn while_the_service_is_down_a_token_is_neither_active_nor_inactive() {
    let api = Api::start("127.0.0.1:1");
    let (reply, _) = introspect(&api, &[], &format!("token={}", &TOKEN.1[7..]));
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
}
