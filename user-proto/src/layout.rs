//! The layout of messages as data, for tools and tests that iterate over the protocol.

/// The declaration of one field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldLayout {
    /// Name of the field, as in PROTOCOL.md.
    pub name: &'static str,
    /// Kind of the field, which decides its encoding.
    pub kind: FieldKind,
    /// Tag of an optional field; `None` for a required one.
    pub tag: Option<u8>,
}

/// The condition under which a request hashes a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hashing {
    /// The request never hashes a password.
    Never,
    /// The request always hashes a password.
    Always,
    /// The request hashes a password if at least one of these optional fields is present.
    If(&'static [&'static str]),
}

/// The kind of a field. PROTOCOL.md, section 5, specifies the encoding of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// UTF-8 text.
    Text,
    /// A password, token or code: bytes that must not appear in logs.
    Secret,
    /// Opaque bytes.
    Bytes,
    /// An IPv4 or IPv6 address, as text.
    Address,
    /// A UUID of 16 bytes.
    Uuid,
    /// A point in time, in seconds since 1970-01-01T00:00:00Z.
    Instant,
    /// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
    InstantMillis,
    /// A duration in seconds.
    Seconds,
    /// A duration in milliseconds.
    Millis,
    /// An unsigned number of 32 bits.
    Number,
    /// An unsigned number of 8 bits.
    Byte,
    /// An error code.
    Code,
    /// An idempotency key of 16 bytes.
    Key,
    /// A flag without a value: it is set if its tag is present.
    Flag,
    /// A list of rows with these fields.
    List(&'static [FieldLayout]),
}

impl FieldKind {
    /// Returns the name of the kind in PROTOCOL.md.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Secret => "secret",
            Self::Bytes => "bytes",
            Self::Address => "address",
            Self::Uuid => "uuid",
            Self::Instant => "instant",
            Self::InstantMillis => "instant_ms",
            Self::Seconds => "seconds",
            Self::Millis => "millis",
            Self::Number => "number",
            Self::Byte => "byte",
            Self::Code => "error_code",
            Self::Key => "key",
            Self::Flag => "flag",
            Self::List(_) => "list",
        }
    }

    /// Returns the size in bytes of every value of this kind, or `None` if the size varies.
    #[must_use]
    pub const fn size(self) -> Option<usize> {
        match self {
            Self::Text | Self::Secret | Self::Bytes | Self::Address | Self::List(_) => None,
            Self::Uuid | Self::Key => Some(16),
            Self::Instant | Self::InstantMillis => Some(8),
            Self::Seconds | Self::Millis | Self::Number => Some(4),
            Self::Code => Some(2),
            Self::Byte => Some(1),
            Self::Flag => Some(0),
        }
    }
}
