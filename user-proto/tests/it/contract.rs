//! An independent implementation of the protocol, driven by PROTOCOL.md alone: it parses the tables
//! of fields, and encodes and decodes messages by them. Tests compare it with the crate.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value, json};

use crate::files::{Direction, from_hex, path, secret, to_hex};

/// One row of a table of fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) tag: Option<u8>,
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
    Value { name: String, value: Value, common: bool },
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
    /// Parses every heading of the form "### `0x03` VerifyToken" and the table of fields below it.
    pub(crate) fn read(document: &str) -> Self {
        let mut contract = Self::default();
        let mut section: Option<&mut Vec<Field>> = None;
        let mut in_table = false;
        for line in document.lines() {
            if let Some(heading) = line.strip_prefix('#') {
                section = contract.section(heading.trim_start_matches('#').trim());
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
                    });
                }
                _ => {}
            }
        }
        contract
    }

    fn section(&mut self, heading: &str) -> Option<&mut Vec<Field>> {
        if heading == "Common tags" {
            return Some(&mut self.common);
        }
        let (code, name) = heading.strip_prefix('`')?.split_once("` ")?;
        let layout = Layout { name: name.to_owned(), fields: Vec::new() };
        Some(&mut self.messages.entry(number(code)?).or_insert(layout).fields)
    }

    /// Splits a frame into its parts.
    pub(crate) fn parts(&self, frame: &[u8], direction: Direction) -> Vec<Part> {
        let layout = &self.messages[&frame[4]];
        let mut at = 9;
        let mut parts = Vec::new();
        for field in layout.fields.iter().filter(|field| field.tag.is_none()) {
            let size = fixed_size(&field.kind).unwrap_or_else(|| {
                let size = u16::from_be_bytes([frame[at], frame[at + 1]]).into();
                parts.push(Part {
                    at: at..at + 2,
                    meaning: Meaning::Length { name: field.name.clone(), size },
                });
                at += 2;
                size
            });
            parts.push(part(field, frame, at..at + size, false));
            at += size;
        }
        while at < frame.len() {
            let (tag, size) =
                (frame[at], usize::from(u16::from_be_bytes([frame[at + 1], frame[at + 2]])));
            parts.push(Part { at: at..at + 3, meaning: Meaning::Tag(tag) });
            at += 3;
            let own = layout.fields.iter().find(|field| field.tag == Some(tag));
            let common = self
                .common
                .iter()
                .find(|field| field.tag == Some(tag) && direction == Direction::Request);
            parts.push(match (own, common) {
                (Some(field), _) => part(field, frame, at..at + size, false),
                (None, Some(field)) => part(field, frame, at..at + size, true),
                (None, None) => Part { at: at..at + size, meaning: Meaning::Skipped },
            });
            at += size;
        }
        parts
    }

    /// Decodes the fields of a frame and its common tags, by name.
    pub(crate) fn fields(
        &self,
        frame: &[u8],
        direction: Direction,
    ) -> (Map<String, Value>, Map<String, Value>) {
        let (mut own, mut common) = (Map::new(), Map::new());
        for part in self.parts(frame, direction) {
            match part.meaning {
                Meaning::Value { name, value, common: false } => own.insert(name, value),
                Meaning::Value { name, value, common: true } => common.insert(name, value),
                Meaning::Tag(_) | Meaning::Length { .. } | Meaning::Skipped => None,
            };
        }
        (own, common)
    }

    /// Encodes a frame with these fields.
    pub(crate) fn frame(
        &self,
        kind: u8,
        id: u32,
        own: &Map<String, Value>,
        common: &Map<String, Value>,
    ) -> Vec<u8> {
        let mut body = Vec::new();
        for field in &self.messages[&kind].fields {
            put(field, own.get(&field.name), &mut body);
        }
        for field in &self.common {
            put(field, common.get(&field.name), &mut body);
        }
        crate::spans::frame(kind, id, &body)
    }
}

fn put(field: &Field, value: Option<&Value>, body: &mut Vec<u8>) {
    let Some(value) = value else {
        assert!(field.tag.is_some(), "the required field {} is missing", field.name);
        return;
    };
    let bytes = bytes(&field.kind, value);
    body.extend(field.tag);
    if field.tag.is_some() || fixed_size(&field.kind).is_none() {
        body.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
    }
    body.extend(bytes);
}

fn part(field: &Field, frame: &[u8], at: Range<usize>, common: bool) -> Part {
    let value = value(&field.kind, &frame[at.clone()]);
    Part { at, meaning: Meaning::Value { name: field.name.clone(), value, common } }
}

/// Returns the size of a kind in bytes, or `None` if it varies.
fn fixed_size(kind: &str) -> Option<usize> {
    match kind {
        "text" | "secret" | "address" => None,
        "uuid" | "key" => Some(16),
        "instant" => Some(8),
        "seconds" | "millis" | "number" => Some(4),
        "code" => Some(2),
        "flag" => Some(0),
        other => panic!("PROTOCOL.md uses the undefined type {other:?}"),
    }
}

fn value(kind: &str, bytes: &[u8]) -> Value {
    match kind {
        "text" | "address" => std::str::from_utf8(bytes).unwrap().into(),
        "secret" => secret(bytes),
        "key" | "code" => to_hex(bytes).into(),
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
        "key" | "code" => from_hex(text),
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
