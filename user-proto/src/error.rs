//! Errors of encoding and decoding a message. The errors of a frame are in `frame`.

use std::borrow::Cow;

use crate::error_code::ErrorCode;

/// Error of decoding a message from the body of a frame. It concerns this message only; the
/// connection stays usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No request has this type byte, or no reply if a reply was to be decoded.
    #[error("unknown message type {0:#04x}")]
    UnknownType(u8),
    /// The message has an even tag that this version does not know.
    #[error("unknown even tag {0:#04x}")]
    UnknownTag(u8),
    /// A field or the tagged tail has an invalid encoding.
    #[error("field `{field}` {reason}")]
    Malformed {
        /// Name of the field, or `tail` for the tagged tail. Trailing bytes are decoded as a tail.
        field: &'static str,
        /// Encoding rule that is violated.
        reason: Reason,
    },
}

impl DecodeError {
    /// Returns the error code with which a server replies to a request that cannot be decoded.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::UnknownType(_) => ErrorCode::UNKNOWN_TYPE,
            Self::UnknownTag(_) => ErrorCode::UNKNOWN_TAG,
            Self::Malformed { .. } => ErrorCode::MALFORMED,
        }
    }

    /// Returns the name of the malformed field or the number of the unknown tag, as a server sends
    /// it in the tag `field`. Returns `None` if the error is about neither.
    #[must_use]
    pub fn field(self) -> Option<Cow<'static, str>> {
        match self {
            Self::Malformed { field, .. } => Some(Cow::Borrowed(field)),
            Self::UnknownTag(tag) => Some(Cow::Owned(format!("0x{tag:02X}"))),
            Self::UnknownType(_) => None,
        }
    }
}

/// Encoding rule that a malformed field violates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The body ends inside the field.
    #[error("is truncated")]
    Truncated,
    /// The length of a tagged value differs from the size of its type.
    #[error("has the wrong length")]
    WrongSize,
    /// Text is not valid UTF-8.
    #[error("is not valid UTF-8")]
    NotUtf8,
    /// An instant is greater than 2^53 - 1.
    #[error("exceeds 2^53-1")]
    OutOfRange,
    /// A client address is neither an IPv4 nor an IPv6 address.
    #[error("is not an IP address")]
    NotAnAddress,
    /// Tags are repeated or not in increasing order.
    #[error("has tags that are not in strictly increasing order")]
    TagOrder,
    /// A row of a list has an even tag. All tags of rows are odd.
    #[error("has a row with an even tag")]
    EvenTagInRow,
    /// Bytes follow the last row of a tagged list.
    #[error("has trailing bytes")]
    TrailingBytes,
}

/// Error of encoding a message that does not fit into a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message exceeds the maximum frame length of {} bytes", crate::limits::MAX_LENGTH)]
pub struct EncodeError;
