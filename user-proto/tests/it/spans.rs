//! Where each field of an encoded body is, from what the message shows of itself: what lets a test
//! drop a tag, cut a field short or spoil a value in any message.

use std::ops::Range;

use user_proto::{FieldValue, FieldView};

/// A type of field as far as it can be spoiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Counted,
    Instant,
    Fixed,
}

/// A field's place in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) name: &'static str,
    pub(crate) tag: Option<u8>,
    pub(crate) kind: Kind,
    /// The field with its tag and its length.
    pub(crate) whole: Range<usize>,
    /// The value alone.
    pub(crate) value: Range<usize>,
}

impl Span {
    /// Its place as a name in an error.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self.kind, Kind::Fixed | Kind::Instant)
    }
}

/// The spans of the fields that `view` shows, in the order of the wire.
pub(crate) fn spans(view: impl Fn(&mut dyn FnMut(FieldView<'_>))) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    view(&mut |field| {
        let start = spans.last().map_or(0, |last| last.whole.end);
        let (kind, size) = measure(field.value);
        let counted = if matches!(kind, Kind::Text | Kind::Counted) { 2 } else { 0 };
        let head = if field.tag.is_some() { 3 } else { counted };
        let value = start + head..start + head + size;
        spans.push(Span { name: field.name, tag: field.tag, kind, whole: start..value.end, value });
    });
    spans
}

fn measure(value: FieldValue<'_>) -> (Kind, usize) {
    match value {
        FieldValue::Text(text) => (Kind::Text, text.len()),
        FieldValue::Secret(bytes) => (Kind::Counted, bytes.len()),
        FieldValue::Bytes(bytes) => (Kind::Fixed, bytes.len()),
        FieldValue::Uuid(_) => (Kind::Fixed, 16),
        FieldValue::Instant(_) => (Kind::Instant, 8),
        FieldValue::Number(_) => (Kind::Fixed, 4),
        FieldValue::Code(_) => (Kind::Fixed, 2),
        FieldValue::Flag => (Kind::Fixed, 0),
    }
}

/// A frame around a body.
pub(crate) fn frame(kind: u8, id: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 5).unwrap();
    [&length.to_be_bytes(), [kind].as_slice(), &id.to_be_bytes(), body].concat()
}

/// A tag with its value.
pub(crate) fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap();
    [[tag].as_slice(), &length.to_be_bytes(), value].concat()
}

/// `body` with `with` in place of the bytes `at`.
pub(crate) fn splice(body: &[u8], at: Range<usize>, with: &[u8]) -> Vec<u8> {
    [&body[..at.start], with, &body[at.end..]].concat()
}
