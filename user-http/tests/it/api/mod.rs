//! The JSON API in front of a live service. Every reply is compared with the OpenAPI document.

mod calls;
mod document;
mod errors;
mod example;
mod flows;
mod introspection;
mod schema;
mod secrets;
mod tools;

use std::net::SocketAddr;

use serde_json::Value;

use crate::http::{Http, Reply, text};
use crate::program::Program;
use crate::service::LiveService;
use schema::Document;

pub(crate) const PASSWORD: &str = "tides rise at nine";

/// The program with the API turned on, and its document.
pub(crate) struct Api {
    pub(crate) program: Program,
    document: Document,
}

impl Api {
    pub(crate) fn start(addrs: &str) -> Self {
        Self::start_with(addrs, &[])
    }

    pub(crate) fn start_with(addrs: &str, settings: &[(&str, &str)]) -> Self {
        let settings = [&[("JSON_API", "1")], settings].concat();
        let program = Program::start_with(addrs, &settings);
        let document = Document::fetch(program.address);
        Self { program, document }
    }

    /// Sends a request, and compares the reply with the document. Returns its status and body.
    pub(crate) fn call(
        &self,
        request: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let (reply, json) = self.send(request, &[], token, body);
        (reply.status, json)
    }

    /// As `call`, with additional headers. Returns the whole reply too.
    pub(crate) fn send(
        &self,
        request: &str,
        headers: &[(&str, &str)],
        token: Option<&str>,
        body: Option<&Value>,
    ) -> (Reply, Value) {
        let mut headers = headers.to_vec();
        let bearer = token.map(|token| format!("Bearer {token}"));
        if let Some(bearer) = &bearer {
            headers.push(("Authorization", bearer));
        }
        let body = body.map(Value::to_string);
        if body.is_some() {
            headers.push(("Content-Type", "application/json"));
        }
        let reply = raw(self.program.address, request, &headers, body.as_deref().unwrap_or(""));
        self.check(request, reply)
    }

    /// Compares a reply with the document. Returns it with its parsed body.
    pub(crate) fn check(&self, request: &str, reply: Reply) -> (Reply, Value) {
        assert_eq!(reply.header("cache-control"), "no-store", "{request}: {reply:?}");
        assert_eq!(reply.header("access-control-allow-origin"), "absent", "{request}: {reply:?}");
        assert_eq!(reply.header("set-cookie"), "absent", "{request}: {reply:?}");
        // An application logs its user out on 401.
        let challenged = reply.header("www-authenticate") != "absent";
        assert_eq!(challenged, reply.status == 401, "{request}: {reply:?}");
        let json: Value = serde_json::from_str(&reply.body).expect(&reply.body);
        self.document.check(request, &reply, &json);
        (reply, json)
    }

    /// Registers a user with the code that was sent by email. Returns the reply with the tokens.
    pub(crate) fn register(&self, service: &LiveService, name: &str) -> Value {
        let email = format!("{name}@example.com");
        let body = serde_json::json!({"username": name, "email": email, "password": PASSWORD});
        let (status, sent) = self.call("POST /v1/registrations", None, Some(&body));
        assert_eq!(status, 202, "{sent}");
        let path = format!("POST /v1/registrations/{}/verify", string(&sent, "verification_id"));
        let code = service.emailed(&email, 6);
        let code = serde_json::json!({"code": code, "device": "a phone", "return_tokens": true});
        let (status, tokens) = self.call(&path, None, Some(&code));
        assert_eq!(status, 201, "{tokens}");
        tokens
    }
}

/// Sends one request with a body on a connection of its own.
pub(crate) fn raw(
    address: SocketAddr,
    request: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let length = body.len().to_string();
    let mut headers = headers.to_vec();
    if !body.is_empty() {
        headers.push(("Content-Length", &length));
    }
    let mut http = Http::connect(address);
    http.send(text(request, &headers) + body);
    http.reply().expect("a reply")
}

/// Returns a text of a JSON object.
pub(crate) fn string<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_else(|| panic!("no {name}: {json}"))
}
