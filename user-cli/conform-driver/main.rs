//! Driver of `user-cli conform` for the client of user-proto, as docs/CONFORMANCE.md describes it.
//! With `--fault NAME`, it makes a mistake that clients have made, to test that a case finds it.

mod faults;
#[path = "../src/conform/values.rs"]
#[allow(dead_code, reason = "the server uses the other functions")]
mod values;

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use user_proto::client::{Client, Config, Error, Pool, PoolConfig, Tls, TlsOptions};
use user_proto::verifier::{Verifier, VerifierConfig, VerifyError};
use user_proto::{Common, ErrorOutcome, IdempotencyKey, Message, Request, RequestMessage};

use faults::Fault;
use values::{Fields, Layout};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The client under test.
struct Driver {
    connections: Connections,
    verifier: Option<Verifier>,
    fault: Option<Fault>,
}

/// A client of one node, or of several.
enum Connections {
    One(Client),
    Several(Pool),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let fault = match arguments.as_slice() {
        [] => None,
        [option, name] if option == "--fault" => Some(Fault::named(name)?),
        _ => return Err("usage: conform-driver [--fault NAME]".into()),
    };
    let (sender, mut lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let mut driver: Option<Arc<Driver>> = None;
    while let Some(line) = lines.recv().await {
        let message: Value = serde_json::from_str(&line)?;
        let id = message.get("id").cloned().unwrap_or_default();
        match (&driver, message.get("op").and_then(Value::as_str)) {
            (None, Some("connect")) => {
                driver = Some(Arc::new(Driver::connect(&message, fault).await?));
                answer(&id, "ok", json!({}));
            }
            (Some(driver), Some(op)) => {
                let (driver, op) = (Arc::clone(driver), op.to_owned());
                tokio::spawn(async move {
                    let (key, value) = match driver.answer(&op, &message).await {
                        Ok(answer) => answer,
                        Err(error) => ("failed", error.to_string().into()),
                    };
                    answer(&id, key, value);
                });
            }
            _ => return Err("expected `connect` first".into()),
        }
    }
    Ok(())
}

/// Writes one answer as a line.
fn answer(id: &Value, key: &str, value: Value) {
    let mut answer = Map::new();
    answer.insert("id".to_owned(), id.clone());
    answer.insert(key.to_owned(), value);
    let mut stdout = std::io::stdout().lock();
    // Without a reader, there is no one to answer.
    let _ = writeln!(stdout, "{}", Value::Object(answer)).and_then(|()| stdout.flush());
}

impl Driver {
    async fn connect(message: &Value, fault: Option<Fault>) -> Result<Self, Failure> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let mut addresses: Vec<String> = message
            .get("addresses")
            .and_then(Value::as_array)
            .map(|addresses| addresses.iter().filter_map(|one| text(Some(one))).collect())
            .unwrap_or_default();
        let tls = match message.get("tls") {
            None | Some(Value::Null) => None,
            Some(tls) => {
                let read = |key| text(tls.get(key)).map(std::fs::read).transpose();
                let (ca, cert, key) = (read("ca")?, read("cert")?, read("key")?);
                Some(Tls::new(&TlsOptions {
                    authorities: ca.as_deref(),
                    certificate: cert.as_deref(),
                    key: key.as_deref(),
                    server_name: text(tls.get("server_name")).as_deref(),
                })?)
            }
        };
        let allow_plaintext = message.get("allow_plaintext") == Some(&Value::Bool(true));
        let mut config = Config { tls, allow_plaintext, ..Config::default() };
        if let Some(fault) = fault {
            addresses = fault.between(addresses).await?;
            fault.change(&mut config);
        }
        let pool = PoolConfig { client: config.clone(), ..PoolConfig::default() };
        let verifier = match message.get("verifier") {
            None | Some(Value::Null) => None,
            Some(options) => {
                let limit = options.get("age_limit_ms").and_then(Value::as_u64).unwrap_or(5_000);
                let config = VerifierConfig {
                    issuer: text(options.get("issuer")).unwrap_or_default(),
                    audience: text(options.get("audience")).unwrap_or_default(),
                    age_limit: Duration::from_millis(limit),
                    ..VerifierConfig::default()
                };
                Some(Verifier::connect(&addresses, pool.clone(), config)?)
            }
        };
        let connections = match addresses.as_slice() {
            [address] => Connections::One(Client::with_config(address.as_str(), config)),
            addresses => Connections::Several(Pool::start(addresses, pool)),
        };
        let driver = Self { connections, verifier, fault };
        if fault == Some(Fault::NoHashingWindow) {
            // The reply raises the limit.
            let _ = driver.call(user_proto::Ping {}, Common::default()).await;
        }
        Ok(driver)
    }

    /// Returns the key and the value of the answer to a message.
    async fn answer(&self, op: &str, message: &Value) -> Result<(&'static str, Value), Failure> {
        match op {
            "call" => {
                let (request, common) = match request(message)? {
                    Some(request) => request,
                    None => return Ok(("unsupported", "it makes no idempotency keys".into())),
                };
                let mut result = self.dispatch(&request, &common).await;
                if self.fault == Some(Fault::RepeatsUnknownClass) {
                    for _ in 0..5 {
                        if !result.as_ref().is_err_and(faults::is_of_unknown_class) {
                            break;
                        }
                        result = self.dispatch(&request, &common).await;
                    }
                }
                Ok(match result {
                    Ok((name, fields)) => ("ok", json!({ "message": name, "fields": fields })),
                    Err(error) => ("error", self.describe(&error)),
                })
            }
            "verify" => {
                let token = message.get("token").and_then(Value::as_str).unwrap_or_default();
                let verifier = self.verifier.as_ref().ok_or("there is no verifier")?;
                let result = match verifier.verify_local(token) {
                    None if self.fault == Some(Fault::NeverAsks) => Err(VerifyError::Invalid),
                    _ => verifier.verify(token).await,
                };
                let verdict = match result {
                    Err(VerifyError::Invalid) if self.fault == Some(Fault::AcceptsAnySignature) => {
                        "valid"
                    }
                    Err(VerifyError::Expired) if self.fault == Some(Fault::AcceptsExpired) => {
                        "valid"
                    }
                    Ok(_) => "valid",
                    Err(VerifyError::Invalid) => "invalid",
                    Err(VerifyError::Expired) => "expired",
                    Err(VerifyError::Revoked) => "revoked",
                    Err(VerifyError::Unavailable) => "unavailable",
                };
                Ok(("ok", json!({ "verdict": verdict })))
            }
            "close" => {
                match &self.connections {
                    Connections::One(client) => client.close().await,
                    Connections::Several(pool) => pool.close().await,
                }
                Ok(("ok", json!({})))
            }
            _ => Err(format!("there is no op `{op}`").into()),
        }
    }

    async fn call<M: RequestMessage>(
        &self,
        request: M,
        common: Common<'_>,
    ) -> Result<(&'static str, Fields), Error> {
        let reply = match &self.connections {
            Connections::One(client) => client.call_with(request, common).await?,
            Connections::Several(pool) => pool.call_with(request, common).await?,
        };
        Ok((M::Reply::NAME, values::decode(|see| reply.view(see))))
    }

    async fn dispatch(
        &self,
        request: &Request<'static>,
        common: &Common<'_>,
    ) -> Result<(&'static str, Fields), Error> {
        macro_rules! dispatch {
            ($($name:ident)*) => {
                match request.clone() {
                    $(Request::$name(message) => self.call(message, common.clone()).await,)*
                }
            };
        }
        user_proto::for_each_request!(dispatch)
    }

    fn describe(&self, error: &Error) -> Value {
        let outcome = match error.outcome() {
            _ if self.fault == Some(Fault::AlertIsUnknown) && faults::is_alert(error) => "unknown",
            _ if self.fault.is_some_and(|fault| fault.denies(error)) => "not_done",
            ErrorOutcome::Unknown => "unknown",
            ErrorOutcome::Refused => "refused",
            ErrorOutcome::NotDone => "not_done",
        };
        let retry = match error {
            Error::Refused(reply) => reply.retry_after_ms,
            _ => None,
        };
        json!({
            "code": error.code().map(|code| format!("{:04x}", code.0)),
            "outcome": outcome,
            "retry_after_ms": retry,
            "message": error.to_string(),
        })
    }
}

/// Returns the request of a message `call`, with its common tags, or `None` if it is to have a key
/// that the client makes.
fn request(message: &Value) -> Result<Option<(Request<'static>, Common<'static>)>, Failure> {
    let name = message.get("message").and_then(Value::as_str).unwrap_or_default();
    let none = Fields::new();
    let fields = message.get("fields").and_then(Value::as_object).unwrap_or(&none);
    let layout = Layout::named(name).ok_or("there is no such message")?;
    let body = layout.encode(fields)?;
    let (request, _) = Request::decode(layout.kind, &body)?;
    let idempotency_key = match message.get("key").and_then(Value::as_str) {
        Some("auto") => return Ok(None),
        Some(hex) => {
            let bytes = values::from_hex(hex).ok_or("the key is not hex")?;
            Some(IdempotencyKey(bytes.try_into().map_err(|_| "the key has not 16 bytes")?))
        }
        None => None,
    };
    let deadline = message.get("deadline_ms").and_then(Value::as_u64);
    let deadline_ms = deadline.map(u32::try_from).transpose()?;
    let common = Common { idempotency_key, deadline_ms, ..Common::default() };
    Ok(Some((request.into_owned(), common)))
}
