//! No secret reaches the log or an error.

use serde_json::json;

use crate::api::{Api, PASSWORD, raw, string};
use crate::program::until;
use crate::service::LiveService;

#[test]
fn no_secret_is_logged_or_repeated_in_an_error() {
    let service = LiveService::start();
    let api = Api::start_with(&service.address, &[("LOG", "trace")]);
    let tokens = api.register(&service, "kim");
    let code = service.emailed("kim@example.com", 6);
    let access = string(&tokens, "access_token").to_owned();
    let refresh = string(&tokens, "refresh_token").to_owned();
    let new_password = "tides fall at three";
    let token = Some(access.as_str());
    let mut errors = String::new();
    let mut send = |request: &str, token: Option<&str>, body: &serde_json::Value| {
        let (reply, _) = api.send(request, &[("Idempotency-Key", "key-of-kim")], token, Some(body));
        if reply.status >= 400 {
            errors += &reply.body;
        }
        reply.status
    };
    assert_eq!(send("POST /v1/sessions", None, &json!({"login": "x", "password": PASSWORD})), 401);
    let body = json!({"login": "kim", "password": PASSWORD, "extra": refresh});
    assert_eq!(send("POST /v1/sessions", None, &body), 422);
    let body = json!({"login": {"a": access}, "password": PASSWORD});
    assert_eq!(send("POST /v1/sessions", None, &body), 422);
    let body = json!({"new_password": new_password, "current_password": "wrong-and-secret"});
    assert_eq!(send("PATCH /v1/me", token, &body), 403);
    let body = json!({"new_password": new_password, "current_password": PASSWORD});
    assert_eq!(send("PATCH /v1/me", token, &body), 200);
    let body = json!({"refresh_token": refresh});
    assert_eq!(send("POST /v1/sessions/refresh", None, &body), 200);
    let path = format!("POST /v1/registrations/{}/verify", string(&tokens, "user_id"));
    assert_eq!(send(&path, None, &json!({"code": code})), 422);
    let malformed = format!("{{\"login\":\"kim\",\"password\":\"{PASSWORD}\"");
    let json = [("Content-Type", "application/json")];
    errors += &raw(api.program.address, "POST /v1/sessions", &json, &malformed).body;
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let forwarded = [form[0], ("X-Forwarded-For", "192.0.2.1")];
    raw(api.program.address, "POST /v1/introspect", &forwarded, &format!("token={access}"));
    // The last line of the log, which is written by a thread of its own.
    until(|| api.program.log().contains("refused an introspection"));
    let (log, (_, signature)) = (api.program.log(), access.rsplit_once('.').unwrap());
    for secret in
        [PASSWORD, new_password, "wrong-and-secret", &access, signature, &refresh, "key-of-kim"]
    {
        assert!(!log.contains(secret), "{secret} was logged:\n{log}");
        assert!(!errors.contains(secret), "{secret} is in an error: {errors}");
    }
    let quoted = [format!("\"{code}\""), format!("={code}")];
    assert!(!quoted.iter().any(|code| log.contains(code)), "{log}");
}
