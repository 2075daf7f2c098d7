//! How a message shows itself to tools: field by field, with a name, a tag and a value.

use uuid::Uuid;

use crate::error_code::ErrorCode;

/// One field of a message, as [`crate::Message::view`] shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldView<'a> {
    /// The field's name in the table.
    pub name: &'static str,
    /// Its tag, where it is optional.
    pub tag: Option<u8>,
    /// Its value.
    pub value: FieldValue<'a>,
}

/// A value of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FieldValue<'a> {
    /// UTF-8 text.
    Text(&'a str),
    /// A password, token or code.
    Secret(&'a [u8]),
    /// Bytes without a meaning of their own.
    Bytes(&'a [u8]),
    /// An id.
    Uuid(Uuid),
    /// Seconds since 1970.
    Instant(u64),
    /// A count, or a span of seconds or milliseconds as the field's name says.
    Number(u64),
    /// An error code.
    Code(ErrorCode),
    /// A field that says something by being there.
    Flag,
}

impl std::fmt::Debug for FieldValue<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Secret(_) => f.write_str("[redacted]"),
            Self::Bytes(bytes) => write!(f, "{bytes:02x?}"),
            Self::Uuid(id) => write!(f, "{id}"),
            Self::Instant(number) | Self::Number(number) => write!(f, "{number}"),
            Self::Code(code) => write!(f, "{code:?}"),
            Self::Flag => f.write_str("set"),
        }
    }
}
