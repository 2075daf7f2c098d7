//! The cases, as `behaviour.json` contains them. `docs/CONFORMANCE.md` describes the format.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::values::Fields;

/// The cases that this program contains.
const BEHAVIOUR: &str = include_str!("../../../user-proto/vectors/behaviour.json");
/// Tokens for the cases of the verifier.
const TOKENS: &str = include_str!("../../../user-proto/vectors/tokens.json");

/// A case: what the server does, what the client is told to do, and what is expected of it.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) id: String,
    /// Section of PROTOCOL.md.
    pub(crate) section: String,
    pub(crate) level: Level,
    /// End of a sentence that begins with "The client".
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) needs: Vec<Need>,
    /// Fields of the Pong with which the server answers a Ping by itself.
    #[serde(default = "default_pong")]
    pub(crate) pong: Option<Fields>,
    /// Fields of the Keys with which the server answers GetKeys by itself.
    pub(crate) keys: Option<Fields>,
    /// Age of the revocations above which the verifier asks the server.
    pub(crate) age_limit_ms: Option<u64>,
    pub(crate) server: Vec<Step>,
    pub(crate) calls: Vec<Call>,
    pub(crate) expect: Expectation,
}

#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Level {
    Must,
    Should,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
        }
    }
}

/// Part of a client that a case needs.
#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Need {
    Tls,
    ClientCertificate,
    TwoAddresses,
    Verifier,
}

/// Step of the server.
#[derive(Deserialize, Debug)]
#[serde(untagged)]
pub(crate) enum Step {
    Accept(Accept),
    Expect(ExpectRequest),
    Reply(Reply),
    Serve(Serve),
    Send(Send),
    Quiet(Quiet),
    Wait(Wait),
    Stall(Stall),
    Close(Close),
    Closed(Closed),
    Refuse(Refuse),
    Listen(Listen),
    Mark(Mark),
    Ended(Ended),
}

/// Way in which a connection is accepted.
#[derive(Deserialize, Debug, Clone, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accept {
    /// Name of the connection.
    pub(crate) accept: String,
    /// Index of the address; any if it is missing.
    pub(crate) address: Option<usize>,
    /// TLS alert with which the server rejects the client's certificate.
    pub(crate) alert: Option<String>,
    /// ALPN protocol of the server; `none` if it does not use ALPN.
    pub(crate) alpn: Option<String>,
    /// Certificate that the client must refuse.
    pub(crate) certificate: Option<Unacceptable>,
    /// Speaks no TLS although the client does.
    #[serde(default)]
    pub(crate) plain: bool,
    /// Accepts every later connection in the same way.
    #[serde(default)]
    pub(crate) repeat: bool,
}

/// Certificate of a server that a client must refuse.
#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unacceptable {
    Untrusted,
    OtherName,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectRequest {
    pub(crate) expect: String,
    #[serde(rename = "as")]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) fields: Fields,
    #[serde(default)]
    pub(crate) common: Fields,
    #[serde(default = "one")]
    pub(crate) count: usize,
    pub(crate) on: Option<String>,
    pub(crate) not_on: Option<String>,
    /// Request with the same idempotency key.
    pub(crate) same_key_as: Option<String>,
    pub(crate) within_ms: Option<u64>,
    pub(crate) not_before_ms: Option<u64>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reply {
    pub(crate) reply: ReplyContent,
    #[serde(default)]
    pub(crate) fields: Fields,
    /// Requests to reply to.
    pub(crate) to: Option<String>,
    /// Connection to write to, if the reply is to no request.
    pub(crate) on: Option<String>,
    /// Request id, instead of that of the request.
    pub(crate) id: Option<u32>,
    /// Bytes that are appended to the body.
    pub(crate) tail: Option<String>,
    /// Length of the frame to which an odd tag without meaning fills it up.
    pub(crate) pad_to: Option<usize>,
    /// Size of the pieces in which the bytes are written.
    pub(crate) pieces: Option<usize>,
}

#[derive(Deserialize, Debug)]
#[serde(untagged)]
pub(crate) enum ReplyContent {
    Message(String),
    Raw(RawReply),
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawReply {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) body: String,
}

/// Declares steps that consist of a few values.
macro_rules! steps {
    ($($name:ident { $($field:ident: $type:ty),* })*) => {
        $(
            #[derive(Deserialize, Debug)]
            #[serde(deny_unknown_fields)]
            pub(crate) struct $name { $(pub(crate) $field: $type),* }
        )*
    };
}

steps! {
    Send { send: String, on: String }
    Serve {
        serve: String, reply: Option<String>, fields: Option<Fields>, close: Option<Closing>, for_ms: u64
    }
    Quiet { quiet_ms: u64, except: Option<String> }
    Wait { wait_ms: u64 }
    Stall { stall: String }
    Close { close: Closing, on: String }
    Closed { closed: String, within_ms: Option<u64> }
    Refuse { refuse: usize }
    Listen { listen: usize }
    Mark { mark: String }
    Ended { ended: String, within_ms: Option<u64> }
}

#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Closing {
    Fin,
    Rst,
}

/// Call that the driver makes.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    /// Name of the request, or `verify` or `close`.
    pub(crate) call: String,
    #[serde(rename = "as")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) fields: Fields,
    pub(crate) key: Option<String>,
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) token: Option<String>,
    #[serde(default = "one")]
    pub(crate) count: usize,
    /// Mark, or name of a call, that starts this one.
    pub(crate) after: Option<String>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    #[serde(default)]
    pub(crate) calls: Vec<End>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) max_frames: Option<usize>,
    pub(crate) max_in_flight: Option<usize>,
    pub(crate) max_hashing: Option<usize>,
}

/// Expected end of a call.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    /// Further ends that are as good as this one.
    #[serde(default)]
    pub(crate) or: Vec<End>,
    pub(crate) reply: Option<String>,
    #[serde(default)]
    pub(crate) fields: Fields,
    #[serde(default, deserialize_with = "present")]
    pub(crate) code: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) outcome: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) retry_after_ms: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) verdict: Option<Value>,
    pub(crate) times_sent: Option<Limit>,
    pub(crate) within_ms: Option<u64>,
    pub(crate) not_before_ms: Option<u64>,
}

/// Limits of a number.
#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(untagged)]
pub(crate) enum Limit {
    Exactly(u64),
    Range {
        #[serde(default)]
        min: u64,
        max: u64,
    },
}

impl Limit {
    pub(crate) fn allows(self, number: u64) -> bool {
        match self {
            Self::Exactly(expected) => number == expected,
            Self::Range { min, max } => (min..=max).contains(&number),
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(number) => write!(f, "{number}"),
            Self::Range { min, max } => write!(f, "{min} to {max}"),
        }
    }
}

fn one() -> usize {
    1
}

fn default_pong() -> Option<Fields> {
    let pong = json!({ "max_in_flight": 256, "idle_timeout": 300, "max_hashing": 32 });
    pong.as_object().cloned()
}

/// Distinguishes a value of `null` from a missing one.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Returns all cases, in the order of the file.
///
/// # Errors
/// If the file does not have its format.
pub(crate) fn load() -> Result<Vec<Case>, String> {
    let mut cases: Value = serde_json::from_str(BEHAVIOUR).map_err(|error| error.to_string())?;
    let tokens: Value = serde_json::from_str(TOKENS).map_err(|error| error.to_string())?;
    fill_in(&mut cases, &tokens);
    let version = cases.get("version").and_then(Value::as_u64);
    if version != Some(1) {
        return Err(format!("version {version:?} of behaviour.json is not 1"));
    }
    let each = cases.get_mut("cases").and_then(Value::as_array_mut);
    let each = std::mem::take(each.ok_or("behaviour.json has no cases")?);
    let parse = |case: Value| {
        let id = case.get("id").cloned().unwrap_or_default();
        serde_json::from_value(case).map_err(|error| format!("case {id}: {error}"))
    };
    each.into_iter().map(parse).collect()
}

/// Replaces `$jwks`, `$now_ms` and `$token:NAME` by the values of `tokens`.
fn fill_in(value: &mut Value, tokens: &Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| fill_in(value, tokens)),
        Value::Object(object) => object.values_mut().for_each(|value| fill_in(value, tokens)),
        Value::String(text) => {
            if let Some(filled) = text.strip_prefix('$').and_then(|name| constant(name, tokens)) {
                *value = filled;
            }
        }
        _ => {}
    }
}

fn constant(name: &str, tokens: &Value) -> Option<Value> {
    match name {
        "jwks" => Some(tokens.get("jwks")?.to_string().into()),
        "now_ms" => Some((tokens.get("now")?.as_u64()? * 1000).into()),
        _ => {
            let name = name.strip_prefix("token:")?;
            let named = |token: &&Value| token.get("name").and_then(Value::as_str) == Some(name);
            tokens.get("vectors")?.as_array()?.iter().find(named)?.get("token").cloned()
        }
    }
}

/// Returns the cases with these ids, or with ids that begin with one of these groups.
///
/// # Errors
/// The first text that selects nothing.
pub(crate) fn select(all: Vec<Case>, wanted: &[String]) -> Result<Vec<Case>, String> {
    let selects = |wanted: &String, case: &Case| {
        let rest = case.id.strip_prefix(wanted.trim_end_matches(['.', '*']));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if let Some(nothing) = wanted.iter().find(|id| !all.iter().any(|case| selects(id, case))) {
        return Err(nothing.clone());
    }
    let is_wanted =
        |case: &Case| wanted.is_empty() || wanted.iter().any(|wanted| selects(wanted, case));
    Ok(all.into_iter().filter(is_wanted).collect())
}

/// Returns the ids of cases that resemble `wanted`: of its group, or with one of its words.
pub(crate) fn similar(all: &[Case], wanted: &str) -> Vec<String> {
    let words: Vec<&str> = wanted.split(['.', '_', '-']).filter(|word| word.len() > 2).collect();
    let resembles = |case: &&Case| words.iter().any(|word| case.id.contains(word));
    all.iter().filter(resembles).map(|case| case.id.clone()).take(8).collect()
}

impl Case {
    pub(crate) fn needs(&self, need: Need) -> bool {
        self.needs.contains(&need)
    }
}
