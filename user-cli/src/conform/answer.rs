//! The answers of a driver, and the mistakes in them.

use serde_json::{Map, Value};

/// Values of `outcome`.
const OUTCOMES: [&str; 3] = ["not_done", "refused", "unknown"];
/// Values of `verdict`.
const VERDICTS: [&str; 5] = ["valid", "invalid", "expired", "revoked", "unavailable"];

/// Answer of the driver to one message.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Ok(Map<String, Value>),
    Error(Map<String, Value>),
    /// The client cannot do this.
    Unsupported(String),
    /// The driver has failed, or has broken its protocol.
    Failed(String),
}

impl Answer {
    /// Reads a line of the driver: the id of the message, and the answer to it.
    ///
    /// # Errors
    /// A text that begins with "the driver", if no message can be assigned to the line.
    pub(super) fn read(line: &[u8]) -> Result<(u64, Self), String> {
        let Ok(Value::Object(object)) = serde_json::from_slice(line) else {
            return Err("the driver wrote a line to stdout that is no JSON object".to_owned());
        };
        let id = match object.get("id") {
            None => return Err("the driver wrote an answer without `id`".to_owned()),
            Some(id) => id.as_u64().ok_or_else(|| {
                format!(
                    "the driver wrote an answer with the `id` {id}; expected the number of the \
                     message"
                )
            })?,
        };
        let answer = Self::of(&object).ok_or(
            "the driver wrote an answer without `ok` or `error` as an object, or `unsupported` or \
             `failed` as a text",
        )?;
        Ok((id, answer))
    }

    fn of(object: &Map<String, Value>) -> Option<Self> {
        let object_of = |key: &str| object.get(key).and_then(Value::as_object).cloned();
        let text_of = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
        let checked = |result: Map<String, Value>, answer: fn(Map<String, Value>) -> Self| {
            let mistake = mistake_in(&result);
            mistake
                .map_or_else(|| answer(result), |text| Self::Failed(format!("the driver {text}")))
        };
        if let Some(result) = object_of("ok") {
            return Some(checked(result, Self::Ok));
        }
        if let Some(mut error) = object_of("error") {
            // A missing outcome is a mistake as well.
            error.entry("outcome").or_insert(Value::Null);
            return Some(checked(error, Self::Error));
        }
        let unsupported = text_of("unsupported").map(Self::Unsupported);
        unsupported.or_else(|| text_of("failed").map(Self::Failed))
    }
}

/// Describes a value in the result of a call that a driver cannot mean.
fn mistake_in(result: &Map<String, Value>) -> Option<String> {
    let of = |key: &str| result.get(key);
    let one_of = |key: &str, allowed: &[&str]| {
        let value = of(key)?;
        let is_allowed = value.as_str().is_some_and(|text| allowed.contains(&text));
        let allowed = allowed.join("`, `");
        (!is_allowed)
            .then(|| format!("answered with the `{key}` {value}; expected one of `{allowed}`"))
    };
    let is_code =
        |text: &str| text.len() == 4 && text.chars().all(|digit| digit.is_ascii_hexdigit());
    let code = of("code").filter(|code| !code.is_null() && !code.as_str().is_some_and(is_code));
    let code = code.map(|code| {
        format!(
            "answered with the `code` {code}; expected a text of four hexadecimal digits, such as \
             \"0301\", or null"
        )
    });
    let retry = of("retry_after_ms").filter(|retry| !retry.is_null() && !retry.is_u64());
    let retry = retry.map(|retry| {
        format!("answered with the `retry_after_ms` {retry}; expected an integer or null")
    });
    code.or(retry).or_else(|| one_of("outcome", &OUTCOMES)).or_else(|| one_of("verdict", &VERDICTS))
}
