//! The positions of the fields in an encoded body, computed from the view of the message. Tests use
//! them to remove a tag, truncate a field or corrupt a value of any message.

use std::ops::Range;

use user_proto::{FieldValue, FieldView};

/// The kind of a field, as far as it matters for corrupting it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Bytes,
    Instant,
    Fixed,
    /// A list, with the spans of the fields of each row, relative to the start of the row.
    List(Vec<Vec<Span>>),
}

/// The position of a field in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) name: &'static str,
    pub(crate) tag: Option<u8>,
    pub(crate) kind: Kind,
    /// Range of the field, including its tag and its length.
    pub(crate) whole: Range<usize>,
    /// Range of the value.
    pub(crate) value: Range<usize>,
}

impl Span {
    /// Returns `true` if values of this kind have a fixed size.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self.kind, Kind::Fixed | Kind::Instant)
    }
}

/// Returns the spans of the fields of a view, in the order of the wire.
pub(crate) fn spans(view: impl Fn(&mut dyn FnMut(FieldView<'_>))) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    view(&mut |field| {
        let start = size(&spans);
        let (kind, size) = measure(field.value);
        let length = if matches!(kind, Kind::Text | Kind::Bytes) { 2 } else { 0 };
        let head = if field.tag.is_some() { 3 } else { length };
        let value = start + head..start + head + size;
        spans.push(Span { name: field.name, tag: field.tag, kind, whole: start..value.end, value });
    });
    spans
}

fn measure(value: FieldValue<'_>) -> (Kind, usize) {
    match value {
        FieldValue::Text(text) => (Kind::Text, text.len()),
        FieldValue::Secret(bytes) => (Kind::Bytes, bytes.len()),
        FieldValue::Bytes(bytes) => (Kind::Bytes, bytes.len()),
        FieldValue::Key(bytes) => (Kind::Fixed, bytes.len()),
        FieldValue::Uuid(_) => (Kind::Fixed, 16),
        FieldValue::Instant(_) | FieldValue::InstantMillis(_) => (Kind::Instant, 8),
        FieldValue::Number(_) => (Kind::Fixed, 4),
        FieldValue::Byte(_) => (Kind::Fixed, 1),
        FieldValue::Code(_) => (Kind::Fixed, 2),
        FieldValue::Flag => (Kind::Fixed, 0),
        FieldValue::List(list) => {
            let row = |index| spans(|visit| list.view(index, visit));
            let rows: Vec<_> = (0..list.len()).map(row).collect();
            let total = rows.iter().fold(2, |total, row| total + 2 + size(row));
            (Kind::List(rows), total)
        }
    }
}

/// Returns the size in bytes of a body or a row with these fields.
pub(crate) fn size(spans: &[Span]) -> usize {
    spans.last().map_or(0, |last| last.whole.end)
}

/// Encodes a frame with this body.
pub(crate) fn frame(kind: u8, id: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 5).unwrap();
    [&length.to_be_bytes(), [kind].as_slice(), &id.to_be_bytes(), body].concat()
}

/// Encodes bytes with their length in front.
pub(crate) fn length_prefixed(bytes: &[u8]) -> Vec<u8> {
    [u16::try_from(bytes.len()).unwrap().to_be_bytes().as_slice(), bytes].concat()
}

/// Encodes a tag with its value.
pub(crate) fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    [[tag].as_slice(), &length_prefixed(value)].concat()
}

/// Returns `body` with the bytes in the range `at` replaced by `with`.
pub(crate) fn splice(body: &[u8], at: Range<usize>, with: &[u8]) -> Vec<u8> {
    [&body[..at.start], with, &body[at.end..]].concat()
}
