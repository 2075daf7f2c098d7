//! Frames: where one ends and the next begins. Knows lengths, types and ids; no message.

use crate::error_code::ErrorCode;
use crate::limits::{LENGTH_FIELD, MAX_LENGTH, MIN_LENGTH};

/// A frame, borrowed from the read buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The message type.
    pub kind: u8,
    /// The request id.
    pub id: u32,
    /// The fields: what follows the id.
    pub body: &'a [u8],
}

impl std::fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The body may hold a password.
        write!(
            f,
            "Frame {{ kind: {:#04x}, id: {}, body: {} bytes }}",
            self.kind,
            self.id,
            self.body.len()
        )
    }
}

/// A length that can't be. Where the next frame starts is unknown, so the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Over 65,535.
    #[error("a frame of {0} bytes, where {MAX_LENGTH} is the most")]
    TooLong(u32),
    /// Under 5.
    #[error("a frame of {0} bytes, where {MIN_LENGTH} is the least")]
    TooShort(u32),
}

impl FrameError {
    /// The code that a server answers before it closes.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::TooLong(_) => ErrorCode::FRAME_TOO_LONG,
            Self::TooShort(_) => ErrorCode::FRAME_TOO_SHORT,
        }
    }

    /// The protocol that a peer seems to speak whose first four bytes gave this length.
    #[must_use]
    pub fn looks_like(self) -> Option<&'static str> {
        let Self::TooLong(length) = self else { return None };
        match &length.to_be_bytes() {
            [0x16, 0x03, ..] => Some("TLS"),
            b"SSH-" => Some("SSH"),
            b"GET " | b"POST" | b"PUT " | b"HEAD" | b"OPTI" | b"DELE" | b"PATC" | b"CONN"
            | b"PRI " => Some("HTTP"),
            _ => None,
        }
    }
}

/// The first frame of `input` and how many bytes it takes, or `None` where more must be read first.
///
/// # Errors
/// A length under 5 or over 65,535, as soon as its four bytes are there.
pub fn split(input: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let Some((head, rest)) = input.split_first_chunk::<LENGTH_FIELD>() else { return Ok(None) };
    let length = check(u32::from_be_bytes(*head))?;
    let Some(content) = rest.get(..length) else { return Ok(None) };
    // `check` lets no length under 5 through, so the header is always whole here.
    let Some(([kind, i0, i1, i2, i3], body)) = content.split_first_chunk::<MIN_LENGTH>() else {
        return Ok(None);
    };
    let frame = Frame { kind: *kind, id: u32::from_be_bytes([*i0, *i1, *i2, *i3]), body };
    Ok(Some((frame, LENGTH_FIELD + length)))
}

/// How many bytes the frame at the start of `input` takes in all, once its length is there.
///
/// # Errors
/// As [`split`].
pub fn size(input: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some(head) = input.first_chunk::<LENGTH_FIELD>() else { return Ok(None) };
    Ok(Some(LENGTH_FIELD + check(u32::from_be_bytes(*head))?))
}

fn check(length: u32) -> Result<usize, FrameError> {
    match usize::try_from(length) {
        Ok(size) if size < MIN_LENGTH => Err(FrameError::TooShort(length)),
        Ok(size) if size <= MAX_LENGTH => Ok(size),
        _ => Err(FrameError::TooLong(length)),
    }
}
