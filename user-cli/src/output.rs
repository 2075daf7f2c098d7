//! The only module that writes to stdout and stderr.

use std::io::{self, Write};

use serde_json::{Map, Value};
use user_proto::{FieldValue, FieldView};

use crate::hex;

/// Writes a line to stdout.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Writes bytes to stdout as they are.
pub(crate) fn raw(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Writes a line to stderr. There is nobody to tell where that fails.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Asks for something on stderr, so that it is seen where stdout goes to a file.
pub(crate) fn prompt(text: &str) {
    let mut terminal = io::stderr().lock();
    let _ = write!(terminal, "{text}").and_then(|()| terminal.flush());
}

/// Names and values, one pair a line, the values below each other.
pub(crate) fn aligned(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let lines: Vec<_> =
        rows.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    lines.join("\n")
}

/// A message's fields as the vectors of user-proto write them: ids and codes as text, instants and
/// spans as numbers, bytes in hex, a secret that is no text as an object with its hex.
pub(crate) fn object(
    view: impl FnOnce(&mut dyn FnMut(FieldView<'_>)),
    reveal: bool,
) -> Map<String, Value> {
    let mut object = Map::new();
    view(&mut |field| {
        object.insert(field.name.to_owned(), json_value(&field, reveal));
    });
    object
}

fn json_value(field: &FieldView<'_>, reveal: bool) -> Value {
    match field.value {
        FieldValue::Text(text) => text.into(),
        FieldValue::Secret(bytes) if reveal => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => serde_json::json!({ "hex": hex::text(bytes) }),
        },
        FieldValue::Secret(_) => "[redacted]".into(),
        FieldValue::Bytes(bytes) => hex::text(bytes).into(),
        FieldValue::Uuid(id) => id.to_string().into(),
        FieldValue::Instant(number) | FieldValue::Number(number) => number.into(),
        FieldValue::Code(code) => format!("{:04x}", code.0).into(),
        FieldValue::Flag => true.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_below_each_other() {
        let rows = [("a".to_owned(), "1".to_owned()), ("user id".to_owned(), "2".to_owned())];
        assert_eq!(aligned(&rows), "a        1\nuser id  2");
    }
}
