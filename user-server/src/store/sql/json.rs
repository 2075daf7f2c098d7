//! Values in the arguments and results of stored functions: UUIDs as text, and bytes in the
//! hexadecimal form of PostgreSQL.

use std::fmt::Write as _;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

/// Reads a UUID.
pub(super) fn uuid<'de, D: Deserializer<'de>>(from: D) -> Result<Uuid, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

/// Reads a UUID or null.
pub(super) fn optional_uuid<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Uuid>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
}

/// Reads a list of UUIDs.
pub(super) fn uuids<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Uuid>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.into_iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

/// Returns a UUID as text, or `None` for null.
pub(super) fn id(id: impl Into<Option<Uuid>>) -> Option<String> {
    id.into().map(|id| id.to_string())
}

/// Returns bytes in hexadecimal form.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
