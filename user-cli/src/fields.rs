//! The fields of a message as text and as JSON.

use std::time::Duration;

use serde_json::{Map, Value};
use user_proto::{FieldValue, FieldView, ListView};

use crate::{format, hex};

/// Returns the label of a field: its name with spaces instead of underscores, and without `_ms`,
/// since the printed value contains the unit.
pub(crate) fn label(name: &str) -> String {
    name.strip_suffix("_ms").unwrap_or(name).replace('_', " ")
}

/// Formats the value of a field as text, in the unit that follows from the field's name. Secrets
/// are shown only with `reveal`.
pub(crate) fn text(field: &FieldView<'_>, reveal: bool) -> String {
    match field.value {
        FieldValue::Text(text) => format::printable(text).into_owned(),
        FieldValue::Secret(bytes) if reveal => match std::str::from_utf8(bytes) {
            Ok(text) => format::printable(text).into_owned(),
            Err(_) => hex::encode(bytes),
        },
        FieldValue::Secret(bytes) => format!("[redacted, {} bytes]", bytes.len()),
        FieldValue::Bytes(bytes) | FieldValue::Key(bytes) => hex::encode(bytes),
        FieldValue::Uuid(id) => id.to_string(),
        FieldValue::Instant(at) => format::timestamp(at, format::unix_now()),
        FieldValue::InstantMillis(at) => format::timestamp(at / 1000, format::unix_now()),
        FieldValue::Number(number) if field.name.ends_with("_ms") => {
            format::duration(Duration::from_millis(number))
        }
        FieldValue::Number(number) if is_seconds(field.name) => format::seconds(number),
        FieldValue::Number(number) => number.to_string(),
        FieldValue::Byte(number) => number.to_string(),
        FieldValue::Code(code) => format!("{} ({:04X})", code.name(), code.0),
        FieldValue::Flag => "yes".to_owned(),
        FieldValue::List(list) if list.len() == 1 => "1 row".to_owned(),
        FieldValue::List(list) => format!("{} rows", list.len()),
    }
}

/// Formats the rows of a list as lines of a table, with a header.
pub(crate) fn list(list: ListView<'_>, reveal: bool) -> Vec<Vec<String>> {
    let mut names: Vec<&str> = Vec::new();
    for index in 0..list.len() {
        list.view(index, &mut |field| {
            if !names.contains(&field.name) {
                names.push(field.name);
            }
        });
    }
    let mut table = vec![names.iter().map(|name| label(name)).collect::<Vec<_>>()];
    for index in 0..list.len() {
        let mut cells = vec![String::new(); names.len()];
        list.view(index, &mut |field| {
            let column = names.iter().position(|name| *name == field.name);
            if let Some(cell) = column.and_then(|column| cells.get_mut(column)) {
                *cell = text(&field, reveal);
            }
        });
        table.push(cells);
    }
    table
}

fn is_seconds(name: &str) -> bool {
    name.ends_with("expires_in")
        || matches!(name, "resend_after" | "idle_timeout" | "access_life" | "refresh_after")
}

/// Returns the fields of a message as JSON, by the convention of all JSON output: ids and codes are
/// strings, times are strings as in RFC 3339, durations are numbers of milliseconds with a name
/// that ends with `_ms`, other numbers are numbers, lists are arrays of objects, bytes are hex. A
/// secret that is not UTF-8 is an object with its hex. Secrets are shown only with `reveal`.
pub(crate) fn json_object(
    view: impl FnOnce(&mut dyn FnMut(FieldView<'_>)),
    reveal: bool,
) -> Map<String, Value> {
    let mut object = Map::new();
    view(&mut |field| {
        let (name, value) = json_entry(&field, reveal);
        object.insert(name, value);
    });
    object
}

fn json_entry(field: &FieldView<'_>, reveal: bool) -> (String, Value) {
    match field.value {
        FieldValue::Number(seconds) if is_seconds(field.name) => {
            (format!("{}_ms", field.name), seconds.saturating_mul(1000).into())
        }
        // A name that ends with `_ms` is that of a duration.
        FieldValue::InstantMillis(_) => {
            (field.name.trim_end_matches("_ms").to_owned(), json_value(field, reveal))
        }
        _ => (field.name.to_owned(), json_value(field, reveal)),
    }
}

fn json_value(field: &FieldView<'_>, reveal: bool) -> Value {
    match field.value {
        FieldValue::Text(text) => text.into(),
        FieldValue::Secret(bytes) if reveal => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => serde_json::json!({ "hex": hex::encode(bytes) }),
        },
        FieldValue::Secret(_) => "[redacted]".into(),
        FieldValue::Bytes(bytes) | FieldValue::Key(bytes) => hex::encode(bytes).into(),
        FieldValue::Uuid(id) => id.to_string().into(),
        FieldValue::Instant(at) => format::rfc_3339(at).into(),
        FieldValue::InstantMillis(at) => format::rfc_3339(at / 1000).into(),
        FieldValue::Byte(number) => number.into(),
        FieldValue::Number(number) => number.into(),
        FieldValue::Code(code) => format!("{:04X}", code.0).into(),
        FieldValue::Flag => true.into(),
        FieldValue::List(list) => {
            let row = |index| json_object(|see| list.view(index, see), reveal);
            (0..list.len()).map(row).map(Value::Object).collect()
        }
    }
}
