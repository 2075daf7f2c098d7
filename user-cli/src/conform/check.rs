//! Compares what happened in a case with what is expected.

use std::time::Duration;

use serde_json::{Map, Value};

use super::cases::{Call, Case, End};
use super::script::contains;
use super::world::{Received, State, World};

/// End of one call, as the driver reports it.
pub(super) struct CallEnd {
    pub(super) reply: Option<Map<String, Value>>,
    pub(super) error: Option<Map<String, Value>>,
    pub(super) elapsed: Duration,
}

impl CallEnd {
    /// Describes the end in a few words.
    pub(super) fn describe(&self) -> String {
        let text = |object: &Map<String, Value>, key: &str| {
            object.get(key).and_then(Value::as_str).map(str::to_owned)
        };
        match (&self.reply, &self.error) {
            (Some(reply), _) => match (text(reply, "message"), text(reply, "verdict")) {
                (Some(message), _) => format!("the reply {message}"),
                (None, Some(verdict)) => format!("the verdict {verdict}"),
                (None, None) => "an empty result".to_owned(),
            },
            (None, Some(error)) => {
                let outcome = text(error, "outcome").unwrap_or_else(|| "missing".to_owned());
                match text(error, "code") {
                    Some(code) => format!("the error {code}, outcome {outcome}"),
                    None => format!("an error of the client, outcome {outcome}"),
                }
            }
            (None, None) => "nothing".to_owned(),
        }
    }
}

/// Returns the expectations of a case that were not met, as texts. If the case has not `ended`,
/// only what cannot become right any more counts.
pub(super) fn violations(
    case: &Case,
    world: &World,
    ends: &[Vec<CallEnd>],
    ended: bool,
) -> Vec<String> {
    let state = world.lock();
    let mut found = state.violations.clone();
    for (index, (call, expected)) in case.calls.iter().zip(&case.expect.calls).enumerate() {
        let ends = ends.get(index).map(Vec::as_slice).unwrap_or_default();
        found.extend(wrong_end(call, expected, ends));
        if ended {
            found.extend(wrong_count(call, expected, &state));
        }
    }
    for (name, limit) in &case.expect.max_requests {
        let number = state.requests.iter().filter(|request| request.name == name).count();
        if number > *limit {
            found.push(format!("expected at most {limit} of {name}, found {number}"));
        }
    }
    let frames = state.requests.iter().filter(|request| request.name != "Ping").count();
    let limits = [
        ("connections", case.expect.max_connections, state.sockets),
        ("requests", case.expect.max_frames, frames),
        ("requests in flight", case.expect.max_in_flight, state.max_in_flight),
        ("requests in flight that hash", case.expect.max_hashing, state.max_hashing),
    ];
    for (what, limit, number) in limits {
        if let Some(limit) = limit.filter(|limit| number > *limit) {
            found.push(format!("expected at most {limit} {what}, found {number}"));
        }
    }
    found
}

/// Compares the ends of a call, which is made several times, with the expected one.
fn wrong_end(call: &Call, expected: &End, ends: &[CallEnd]) -> Option<String> {
    let alternatives = || std::iter::once(expected).chain(&expected.or);
    let wrong = ends.iter().find(|end| !alternatives().any(|expected| suits(expected, end)))?;
    let wanted: Vec<String> =
        alternatives().map(describe).filter(|text| !text.is_empty()).collect();
    let mut text = format!(
        "the call `{}` ended with {} after {} ms",
        call.name,
        wrong.describe(),
        wrong.elapsed.as_millis()
    );
    if let Some(retry) = wrong.error.as_ref().and_then(|error| error.get("retry_after_ms"))
        && !retry.is_null()
    {
        text += &format!(", retry_after_ms {retry}");
    }
    Some(format!("{text}; expected {}", wanted.join(", or ")))
}

/// Compares the number of times that a call was sent with the expected one.
fn wrong_count(call: &Call, expected: &End, state: &State) -> Option<String> {
    let limit = expected.times_sent?;
    let count = call.count.max(1) as u64;
    let suits =
        |request: &&Received| request.name == call.call && contains(&request.fields, &call.fields);
    let sent = match &call.token {
        Some(token) => state.asked_about(token),
        None => state.requests.iter().filter(suits).count(),
    } as u64;
    // Calls that are equal are told apart by their number only.
    (!limit.allows(sent.div_ceil(count))).then(|| {
        let by = if count == 1 { String::new() } else { format!(" by {count} calls") };
        let times = times(sent);
        match &call.token {
            Some(_) => {
                format!(
                    "the client asked the service {times} about the token of `{}`; expected \
                     {limit}",
                    call.name
                )
            }
            None => format!("the call `{}` was sent {times}{by}; expected {limit}", call.name),
        }
    })
}

fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        number => format!("{number} times"),
    }
}

fn suits(expected: &End, end: &CallEnd) -> bool {
    let elapsed = u64::try_from(end.elapsed.as_millis()).unwrap_or(u64::MAX);
    let in_time = elapsed <= expected.within_ms.unwrap_or(u64::MAX)
        && elapsed >= expected.not_before_ms.unwrap_or(0);
    let one_of = |object: &Map<String, Value>, key: &str, expected: &Option<Value>| {
        let value = object.get(key).unwrap_or(&Value::Null);
        expected.as_ref().is_none_or(|expected| match expected {
            Value::Array(allowed) => allowed.iter().any(|allowed| same(allowed, value)),
            expected => same(expected, value),
        })
    };
    let right = match (&end.reply, &end.error) {
        (Some(reply), _) => {
            let message = expected.reply.as_ref().map(|name| Value::from(name.as_str()));
            let empty = Map::new();
            let fields = reply.get("fields").and_then(Value::as_object).unwrap_or(&empty);
            expected.code.is_none()
                && expected.outcome.is_none()
                && one_of(reply, "message", &message)
                && one_of(reply, "verdict", &expected.verdict)
                && contains(fields, &expected.fields)
        }
        (None, Some(error)) => {
            expected.reply.is_none()
                && expected.verdict.is_none()
                && one_of(error, "code", &expected.code)
                && one_of(error, "outcome", &expected.outcome)
                && one_of(error, "retry_after_ms", &expected.retry_after_ms)
        }
        (None, None) => false,
    };
    in_time && right
}

/// Compares two values; texts regardless of case, since they may be hexadecimal.
fn same(expected: &Value, value: &Value) -> bool {
    match (expected.as_str(), value.as_str()) {
        (Some(expected), Some(value)) => expected.eq_ignore_ascii_case(value),
        _ => expected == value,
    }
}

/// Describes an expected end.
fn describe(expected: &End) -> String {
    let mut parts = Vec::new();
    if let Some(reply) = &expected.reply {
        parts.push(format!("the reply {reply}"));
    }
    if !expected.fields.is_empty() {
        parts.push(format!("with {}", Value::Object(expected.fields.clone())));
    }
    let values = [
        ("the verdict", &expected.verdict),
        ("the code", &expected.code),
        ("the outcome", &expected.outcome),
        ("retry_after_ms", &expected.retry_after_ms),
    ];
    for (name, value) in values {
        match value {
            None => {}
            Some(Value::Array(allowed)) => {
                let allowed: Vec<String> = allowed.iter().map(plain).collect();
                parts.push(format!("{name} {}", allowed.join(" or ")));
            }
            Some(value) => parts.push(format!("{name} {}", plain(value))),
        }
    }
    if let Some(ms) = expected.within_ms {
        parts.push(format!("within {ms} ms"));
    }
    if let Some(ms) = expected.not_before_ms {
        parts.push(format!("after {ms} ms at the earliest"));
    }
    parts.join(", ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
