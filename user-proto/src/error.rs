//! What can be wrong with a message. What can be wrong with a frame is in `frame`.

use crate::error_code::ErrorCode;

/// Why a body is no message. It costs one reply; the connection lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No message has this type, or it goes in the other direction.
    #[error("no message of this direction has the type {0:#04x}")]
    UnknownType(u8),
    /// An even tag that this version does not know.
    #[error("the tag {0:#04x} is not known, and even tags must be")]
    UnknownTag(u8),
    /// A field, or the tail's structure, is not as the protocol says.
    #[error("{field}: {reason}")]
    Malformed {
        /// The field's name, or `tail` for the tagged tail. Trailing bytes are read as a tail.
        field: &'static str,
        /// What is wrong with it.
        reason: Reason,
    },
}

impl DecodeError {
    /// The code that a server answers.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::UnknownType(_) => ErrorCode::UNKNOWN_TYPE,
            Self::UnknownTag(_) => ErrorCode::UNKNOWN_TAG,
            Self::Malformed { .. } => ErrorCode::MALFORMED,
        }
    }

    /// The field at fault, where one is.
    #[must_use]
    pub fn field(self) -> Option<&'static str> {
        match self {
            Self::Malformed { field, .. } => Some(field),
            Self::UnknownType(_) | Self::UnknownTag(_) => None,
        }
    }
}

/// What is wrong with a malformed field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The body ends inside the field.
    #[error("the body ends inside it")]
    Truncated,
    /// A tagged value's length is not the length of its type.
    #[error("its length is not that of its type")]
    WrongSize,
    /// Text that is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// An instant past 2^53 - 1.
    #[error("it is past 2^53-1")]
    OutOfRange,
    /// A client address that is neither IPv4 nor IPv6.
    #[error("it is not an IP address")]
    NotAnAddress,
    /// Tags that do not strictly increase.
    #[error("its tags do not strictly increase")]
    TagOrder,
}

/// Why a message has no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message is longer than a frame can be ({} bytes)", crate::limits::MAX_LENGTH)]
pub struct EncodeError;
