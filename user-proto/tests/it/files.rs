//! The files of vectors: JSON with one vector per line, for readable diffs.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use user_proto::{ErrorCode, FieldValue, FieldView};

/// The direction of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Request,
    Reply,
}

/// A vector of a valid frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Valid {
    pub(crate) name: String,
    pub(crate) message: String,
    pub(crate) direction: Direction,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) id: u32,
    pub(crate) fields: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) common: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    pub(crate) hex: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) canonical_hex: Option<String>,
}

impl Valid {
    /// Returns the encoding of the fields.
    pub(crate) fn canonical(&self) -> Vec<u8> {
        from_hex(self.canonical_hex.as_ref().unwrap_or(&self.hex))
    }
}

/// The effect of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// The server sends the error with request id 0 and closes the connection.
    Frame,
    /// The server sends the error with the request id of the message.
    Message,
    /// No error: the receiver waits for more bytes.
    Incomplete,
}

/// A vector of invalid or incomplete bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invalid {
    pub(crate) name: String,
    pub(crate) direction: Direction,
    pub(crate) level: Level,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    pub(crate) why: String,
    pub(crate) hex: String,
}

/// A valid vector, to be truncated to every shorter body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Truncation {
    /// Name of the valid vector.
    pub(crate) of: String,
    /// Lengths at which the truncated body is still valid: before the tail, and between two tags.
    pub(crate) valid_at: Vec<usize>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ValidFile {
    pub(crate) about: String,
    pub(crate) vectors: Vec<Valid>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct InvalidFile {
    pub(crate) about: String,
    pub(crate) truncations_about: String,
    pub(crate) vectors: Vec<Invalid>,
    pub(crate) truncations: Vec<Truncation>,
}

/// Returns the path of a file, relative to this crate.
pub(crate) fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}

pub(crate) fn load<T: DeserializeOwned>(relative: &str) -> T {
    let text = std::fs::read_to_string(path(relative)).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

pub(crate) fn valid() -> ValidFile {
    load("vectors/valid.json")
}

pub(crate) fn invalid() -> InvalidFile {
    load("vectors/invalid.json")
}

/// Formats a JSON object with these keys and values.
pub(crate) fn render(parts: &[(&str, String)]) -> String {
    let parts: Vec<String> =
        parts.iter().map(|(name, value)| format!("  {}: {value}", json!(name))).collect();
    format!("{{\n{}\n}}\n", parts.join(",\n"))
}

/// Formats a JSON array with one item per line and keys in the order of the struct.
pub(crate) fn list<T: Serialize>(items: &[T]) -> String {
    let lines: Vec<String> =
        items.iter().map(|item| format!("    {}", serde_json::to_string(item).unwrap())).collect();
    format!("[\n{}\n  ]", lines.join(",\n"))
}

/// Returns the fields of a view as JSON, by name.
pub(crate) fn fields(view: impl Fn(&mut dyn FnMut(FieldView<'_>))) -> Map<String, Value> {
    let mut fields = Map::new();
    view(&mut |field| {
        fields.insert(field.name.to_owned(), value(field.value));
    });
    fields
}

fn value(value: FieldValue<'_>) -> Value {
    match value {
        FieldValue::Text(text) => text.into(),
        FieldValue::Secret(bytes) => secret(bytes),
        FieldValue::Bytes(bytes) | FieldValue::Key(bytes) => to_hex(bytes).into(),
        FieldValue::Uuid(id) => id.to_string().into(),
        FieldValue::Instant(number)
        | FieldValue::InstantMillis(number)
        | FieldValue::Number(number) => number.into(),
        FieldValue::Byte(number) => number.into(),
        FieldValue::Code(code) => code_text(code).into(),
        FieldValue::Flag => true.into(),
        FieldValue::List(list) => {
            let row = |index| fields(|visit| list.view(index, visit)).into();
            (0..list.len()).map(row).collect::<Vec<Value>>().into()
        }
    }
}

/// Returns a secret as JSON: text, or an object with hexadecimal digits if it is not UTF-8.
pub(crate) fn secret(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).map_or_else(|_| json!({ "hex": to_hex(bytes) }), Value::from)
}

pub(crate) fn code_text(code: ErrorCode) -> String {
    format!("{:04X}", code.0)
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn from_hex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).expect("two hex digits")
        })
        .collect()
}
