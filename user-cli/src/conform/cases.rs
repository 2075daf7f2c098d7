//! The cases, as `behaviour.json` contains them. `docs/CONFORMANCE.md` describes the format.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::values::Fields;

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
    /// Host of the addresses that the driver is told, instead of 127.0.0.1.
    pub(crate) host: Option<String>,
    #[serde(default)]
    pub(crate) allow_plaintext: bool,
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
        serve: String,
        reply: Option<String>,
        fields: Option<Fields>,
        close: Option<Closing>,
        for_ms: Option<u64>,
        until: Option<String>
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
    /// Way of checking a token with which the repetitions of `verify` end.
    pub(crate) until: Option<Until>,
}

/// Way in which a verifier has checked a token.
#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Until {
    /// In memory.
    Local,
    /// With VerifyToken.
    Asked,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    #[serde(default)]
    pub(crate) calls: Vec<End>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) max_frames: Option<usize>,
    /// Maximum numbers of requests by their names.
    #[serde(default)]
    pub(crate) max_requests: BTreeMap<String, usize>,
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

impl Case {
    /// Returns the longest time limit of a step in milliseconds.
    pub(crate) fn longest_step(&self) -> u64 {
        let limits = self.server.iter().map(|step| match step {
            Step::Expect(step) => step.within_ms,
            Step::Closed(step) => step.within_ms,
            Step::Ended(step) => step.within_ms,
            Step::Serve(step) => step.for_ms,
            Step::Quiet(step) => Some(step.quiet_ms),
            Step::Wait(step) => Some(step.wait_ms),
            _ => None,
        });
        limits.flatten().max().unwrap_or_default()
    }

    pub(crate) fn needs(&self, need: Need) -> bool {
        self.needs.contains(&need)
    }
}
