//! Splitting a byte stream into frames. Reads lengths, types and request ids, but no messages.

use crate::error_code::ErrorCode;
use crate::limits::{LENGTH_FIELD, MAX_LENGTH, MIN_LENGTH};

/// A frame that borrows from the read buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Type byte of the message.
    pub kind: u8,
    /// Request id, or 0 if the frame concerns the connection itself.
    pub id: u32,
    /// Encoded fields of the message: the bytes after the request id.
    pub body: &'a [u8],
}

impl std::fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The body may contain a password.
        write!(
            f,
            "Frame {{ kind: {:#04x}, id: {}, body: {} bytes }}",
            self.kind,
            self.id,
            self.body.len()
        )
    }
}

/// Error about the length field of a frame. The start of the next frame is unknown, so the
/// connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is greater than 65,535.
    #[error("frame length {0} exceeds the maximum of {MAX_LENGTH}")]
    TooLong(u32),
    /// The length is less than 5.
    #[error("frame length {0} is less than the minimum of {MIN_LENGTH}")]
    TooShort(u32),
}

impl FrameError {
    /// Returns the error code that a server sends before it closes the connection.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::TooLong(_) => ErrorCode::FRAME_TOO_LONG,
            Self::TooShort(_) => ErrorCode::FRAME_TOO_SHORT,
        }
    }

    /// Guesses another protocol from the four bytes that were read as the length, such as `TLS` or
    /// `HTTP`. Returns `None` if they match none that is known here.
    #[must_use]
    pub fn looks_like(self) -> Option<&'static str> {
        let Self::TooLong(length) = self else { return None };
        match &length.to_be_bytes() {
            [0x16, 0x03, ..] => Some("TLS"),
            b"SSH-" => Some("SSH"),
            b"GET " | b"POST" | b"PUT " | b"HEAD" | b"OPTI" | b"DELE" | b"PATC" | b"CONN"
            | b"PRI " | b"HTTP" => Some("HTTP"),
            // The greeting of a server.
            b"220 " | b"220-" | b"421 " | b"421-" => Some("SMTP or FTP"),
            b"554 " | b"554-" => Some("SMTP"),
            // An error of a server, such as `-ERR unknown command`; the command of a client.
            b"-ERR" | b"-NOA" | b"-DEN" | b"-LOA" | [b'*', b'1'..=b'9', b'\r', b'\n'] => {
                Some("Redis")
            }
            // An error of a server, and three bytes of its length. The greeting of MySQL is not
            // recognised: it begins like any length of this protocol in the wrong byte order.
            b"E\0\0\0" => Some("PostgreSQL"),
            _ => None,
        }
    }
}

/// Returns the first frame of `input` and its size in bytes, including the length field. Returns
/// `None` if the frame is incomplete.
///
/// # Errors
/// Fails if the length is less than 5 or greater than 65,535, as soon as its four bytes are
/// present.
pub fn split(input: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let Some((head, rest)) = input.split_first_chunk::<LENGTH_FIELD>() else { return Ok(None) };
    let length = check(u32::from_be_bytes(*head))?;
    let Some(content) = rest.get(..length) else { return Ok(None) };
    // `check` rejects lengths under 5, so the header is complete here.
    let Some(([kind, i0, i1, i2, i3], body)) = content.split_first_chunk::<MIN_LENGTH>() else {
        return Ok(None);
    };
    let frame = Frame { kind: *kind, id: u32::from_be_bytes([*i0, *i1, *i2, *i3]), body };
    Ok(Some((frame, LENGTH_FIELD + length)))
}

/// Returns the size in bytes of the frame at the start of `input`, including the length field, or
/// `None` if `input` is shorter than a length field.
///
/// # Errors
/// Same as [`split`].
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
