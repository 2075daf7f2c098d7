//! An independent implementation of the protocol, driven by PROTOCOL.md alone: it parses the tables
//! of fields, and encodes and decodes messages by them. Tests compare it with the crate.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value, json};

use crate::files::{Direction, from_hex, path, secret, to_hex};
use crate::spans::{length_prefixed, tagged};

/// One row of a table of fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) tag: Option<u8>,
    /// Fields of a row, if this is a list.
    pub(crate) rows: Vec<Field>,
}

/// The section of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
}

/// The messages and common tags of PROTOCOL.md.
#[derive(Debug, Default)]
pub(crate) struct Contract {
    pub(crate) messages: BTreeMap<u8, Layout>,
    pub(crate) common: Vec<Field>,
}

/// A part of a frame: the range of its bytes, and their meaning.
pub(crate) struct Part {
    pub(crate) at: Range<usize>,
    pub(crate) meaning: Meaning,
}

/// The meaning of a part of a frame.
pub(crate) enum Meaning {
    Tag(u8),
    Length { name: String, size: usize },
    Count { name: String, count: usize },
    Row { number: usize, size: usize },
    Value { name: String, value: Value },
    Skipped,
}

pub(crate) fn document() -> String {
    std::fs::read_to_string(path("PROTOCOL.md")).unwrap()
}

/// Splits a row of a Markdown table into its cells.
pub(crate) fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.strip_prefix("| ")?.trim_end().strip_suffix('|')?;
    Some(row.split(" |").map(|cell| cell.trim().trim_matches('`')).collect())
}

/// Parses a hexadecimal number such as `0x0A`.
pub(crate) fn number(text: &str) -> Option<u8> {
    u8::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

impl Contract {
    /// Parses every heading of the form "### `0x03` VerifyToken" and the table of fields below it,
    /// and every heading "#### Rows of `sessions`", which follows the table with that list.
    pub(crate) fn read(document: &str) -> Self {
        let mut contract = Self::default();
        let mut message = None;
        let mut section: Option<&mut Vec<Field>> = None;
        let mut in_table = false;
        for line in document.lines() {
            if let Some(heading) = line.strip_prefix('#') {
                section = contract.section(heading.trim_start_matches('#').trim(), &mut message);
            }
            let Some(cells) = cells(line) else {
                in_table &= line.starts_with('|');
                continue;
            };
            match (cells.as_slice(), &mut section) {
                (["field", "type", "tag", ..], Some(_)) => in_table = true,
                ([name, kind, tag, ..], Some(fields)) if in_table => {
                    fields.push(Field {
                        name: (*name).into(),
                        kind: (*kind).into(),
                        tag: number(tag),
                        rows: Vec::new(),
                    });
                }
                _ => {}
            }
        }
        contract
    }

    /// Returns the fields that the section with this heading declares. `message` is the type of the
    /// last message.
    fn section(&mut self, heading: &str, message: &mut Option<u8>) -> Option<&mut Vec<Field>> {
        if heading == "Common tags" {
            return Some(&mut self.common);
        }
        if let Some(list) = heading.strip_prefix("Rows of `") {
            let list = list.strip_suffix('`')?;
            let fields = &mut self.messages.get_mut(&(*message)?)?.fields;
            return Some(&mut fields.iter_mut().find(|field| field.name == list)?.rows);
        }
        let (code, name) = heading.strip_prefix('`')?.split_once("` ")?;
        *message = number(code);
        let layout = Layout { name: name.to_owned(), fields: Vec::new() };
        Some(&mut self.messages.entry((*message)?).or_insert(layout).fields)
    }

    /// Splits a frame into its parts.
    pub(crate) fn parts(&self, frame: &[u8], direction: Direction) -> Vec<Part> {
        self.split(frame, direction).1
    }

    /// Splits a frame into its values and its parts.
    fn split(&self, frame: &[u8], direction: Direction) -> (Map<String, Value>, Vec<Part>) {
        let mut fields = self.messages[&frame[4]].fields.clone();
        if direction == Direction::Request {
            fields.extend(self.common.clone());
        }
        let mut parts = Vec::new();
        let values = split_body(&fields, frame, 9..frame.len(), &mut parts);
        (values, parts)
    }

    /// Decodes the fields of a frame and its common tags, by name.
    pub(crate) fn fields(
        &self,
        frame: &[u8],
        direction: Direction,
    ) -> (Map<String, Value>, Map<String, Value>) {
        let (values, _) = self.split(frame, direction);
        values.into_iter().partition(|(name, _)| self.common.iter().all(|tag| tag.name != *name))
    }

    /// Encodes a frame with these fields.
    pub(crate) fn frame(
        &self,
        kind: u8,
        id: u32,
        own: &Map<String, Value>,
        common: &Map<String, Value>,
    ) -> Vec<u8> {
        let mut body = encode_body(&self.messages[&kind].fields, own);
        body.extend(encode_body(&self.common, common));
        crate::spans::frame(kind, id, &body)
    }
}

/// Splits a range of a frame, which is a body or a row, into its parts. Returns the values.
fn split_body(
    fields: &[Field],
    frame: &[u8],
    range: Range<usize>,
    parts: &mut Vec<Part>,
) -> Map<String, Value> {
    let mut values = Map::new();
    let mut at = range.start;
    for field in fields.iter().filter(|field| field.tag.is_none()) {
        let value;
        (value, at) = split_required(field, frame, at, parts);
        values.insert(field.name.clone(), value);
    }
    while at < range.end {
        let (tag, size) = (frame[at], length(frame, at + 1));
        parts.push(Part { at: at..at + 3, meaning: Meaning::Tag(tag) });
        at += 3;
        if let Some(field) = fields.iter().find(|field| field.tag == Some(tag)) {
            values.insert(field.name.clone(), split_value(field, frame, at..at + size, parts));
        } else {
            parts.push(Part { at: at..at + size, meaning: Meaning::Skipped });
        }
        at += size;
    }
    assert_eq!(at, range.end);
    values
}

/// Splits a required field at an offset into its parts. Returns its value and the offset of its
/// end.
fn split_required(
    field: &Field,
    frame: &[u8],
    mut at: usize,
    parts: &mut Vec<Part>,
) -> (Value, usize) {
    let name = field.name.clone();
    if field.kind == "list" {
        let count = length(frame, at);
        parts.push(Part { at: at..at + 2, meaning: Meaning::Count { name: name.clone(), count } });
        at += 2;
        let mut rows = Vec::new();
        for number in 1..=count {
            let size = length(frame, at);
            parts.push(Part { at: at..at + 2, meaning: Meaning::Row { number, size } });
            let range = at + 2..at + 2 + size;
            rows.push(Value::Object(split_body(&field.rows, frame, range, parts)));
            at += 2 + size;
        }
        return (Value::Array(rows), at);
    }
    let size = fixed_size(&field.kind).unwrap_or_else(|| {
        let size = length(frame, at);
        parts.push(Part { at: at..at + 2, meaning: Meaning::Length { name, size } });
        at += 2;
        size
    });
    (split_value(field, frame, at..at + size, parts), at + size)
}

/// Adds the part of a value, and returns the value.
fn split_value(field: &Field, frame: &[u8], at: Range<usize>, parts: &mut Vec<Part>) -> Value {
    let value = value(&field.kind, &frame[at.clone()]);
    let meaning = Meaning::Value { name: field.name.clone(), value: value.clone() };
    parts.push(Part { at, meaning });
    value
}

/// Reads the u16 at an offset.
fn length(frame: &[u8], at: usize) -> usize {
    u16::from_be_bytes([frame[at], frame[at + 1]]).into()
}

/// Encodes fields with these values.
fn encode_body(fields: &[Field], values: &Map<String, Value>) -> Vec<u8> {
    let mut body = Vec::new();
    for field in fields {
        let Some(value) = values.get(&field.name) else {
            assert!(field.tag.is_some(), "the required field {} is missing", field.name);
            continue;
        };
        body.extend(encode_field(field, value));
    }
    body
}

fn encode_field(field: &Field, value: &Value) -> Vec<u8> {
    if field.kind == "list" {
        let rows = value.as_array().unwrap();
        let count = u16::try_from(rows.len()).unwrap().to_be_bytes().to_vec();
        let row = |row: &Value| encode_body(&field.rows, row.as_object().unwrap());
        let rows = rows.iter().map(|value| length_prefixed(&row(value)));
        return std::iter::once(count).chain(rows).collect::<Vec<_>>().concat();
    }
    let bytes = bytes(&field.kind, value);
    match field.tag {
        Some(tag) => tagged(tag, &bytes),
        None if fixed_size(&field.kind).is_none() => length_prefixed(&bytes),
        None => bytes,
    }
}

/// Returns the size of a kind in bytes, or `None` if it varies.
fn fixed_size(kind: &str) -> Option<usize> {
    match kind {
        "text" | "secret" | "bytes" | "address" => None,
        "uuid" | "key" => Some(16),
        "instant" | "instant_ms" => Some(8),
        "seconds" | "millis" | "number" => Some(4),
        "error_code" => Some(2),
        "byte" => Some(1),
        "flag" => Some(0),
        other => panic!("PROTOCOL.md uses the undefined type {other:?}"),
    }
}

fn value(kind: &str, bytes: &[u8]) -> Value {
    match kind {
        "text" | "address" => std::str::from_utf8(bytes).unwrap().into(),
        "secret" => secret(bytes),
        "key" | "bytes" => to_hex(bytes).into(),
        "error_code" => to_hex(bytes).to_uppercase().into(),
        "uuid" => {
            let hex = to_hex(bytes);
            format!(
                "{}-{}-{}-{}-{}",
                &hex[..8],
                &hex[8..12],
                &hex[12..16],
                &hex[16..20],
                &hex[20..]
            )
            .into()
        }
        "flag" => true.into(),
        _ => bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)).into(),
    }
}

fn bytes(kind: &str, value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_default();
    match kind {
        "text" | "address" => text.into(),
        "secret" => {
            value.get("hex").map_or_else(|| text.into(), |hex| from_hex(hex.as_str().unwrap()))
        }
        "key" | "bytes" | "error_code" => from_hex(text),
        "uuid" => from_hex(&text.replace('-', "")),
        "flag" => {
            assert_eq!(*value, json!(true));
            Vec::new()
        }
        _ => {
            let bytes = value.as_u64().unwrap().to_be_bytes();
            bytes[bytes.len() - fixed_size(kind).unwrap()..].to_vec()
        }
    }
}
