//! The `Encoder` and `Decoder` of tokio-util over [`crate::frame`].
//!
//! `Framed` ends a stream after any error of its decoder, so this one yields raw frames and fails
//! only where framing is lost. To turn a frame into a message is a second step:
//! [`RawFrame::request`] and [`RawFrame::reply`].

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::error::{DecodeError, EncodeError};
use crate::frame::{self, FrameError};
use crate::limits::{LENGTH_FIELD, MAX_LENGTH, MIN_LENGTH};
use crate::table::{Common, Reply, Request};

/// A frame that owns its body.
#[derive(Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// The message type.
    pub kind: u8,
    /// The request id.
    pub id: u32,
    /// The fields.
    pub body: Bytes,
}

impl RawFrame {
    /// Reads the body as a request.
    ///
    /// # Errors
    /// As [`Request::decode`].
    pub fn request(&self) -> Result<(Request<'_>, Common<'_>), DecodeError> {
        Request::decode(self.kind, &self.body)
    }

    /// Reads the body as a reply.
    ///
    /// # Errors
    /// As [`Reply::decode`].
    pub fn reply(&self) -> Result<Reply<'_>, DecodeError> {
        Reply::decode(self.kind, &self.body)
    }
}

impl std::fmt::Debug for RawFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The body may hold a password.
        write!(
            f,
            "RawFrame {{ kind: {:#04x}, id: {}, body: {} bytes }}",
            self.kind,
            self.id,
            self.body.len()
        )
    }
}

/// Why a stream of frames ended.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A length that can't be.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message that has no frame.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The transport failed, or ended inside a frame.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Frames out of bytes, and bytes out of frames. A buffer that waits for a frame never takes more
/// room than the longest frame does.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameCodec;

impl Decoder for FrameCodec {
    type Item = RawFrame;
    type Error = CodecError;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<RawFrame>, CodecError> {
        let Some((found, size)) = frame::split(input)? else {
            if let Some(size) = frame::size(input)? {
                make_room(input, size);
            }
            return Ok(None);
        };
        let (kind, id) = (found.kind, found.id);
        let mut whole = input.split_to(size);
        whole.advance(LENGTH_FIELD + MIN_LENGTH);
        Ok(Some(RawFrame { kind, id, body: whole.freeze() }))
    }
}

/// Room for what usually comes at once; what tokio-util starts with.
const USUAL: usize = 8 * 1024;

/// Makes room for a frame of `size` bytes at the start of `input`. `BytesMut::reserve` would double
/// what is there, and so let a peer make a connection take two longest frames.
fn make_room(input: &mut BytesMut, size: usize) {
    if !input.try_reclaim(size.saturating_sub(input.len())) {
        let mut roomy = BytesMut::with_capacity(size.max(USUAL));
        roomy.put_slice(input);
        *input = roomy;
    }
}

impl Encoder<RawFrame> for FrameCodec {
    type Error = CodecError;

    fn encode(&mut self, frame: RawFrame, out: &mut BytesMut) -> Result<(), CodecError> {
        let length = MIN_LENGTH + frame.body.len();
        if length > MAX_LENGTH {
            return Err(EncodeError.into());
        }
        out.reserve(LENGTH_FIELD + length);
        out.put_u32(u32::try_from(length).map_err(|_| EncodeError)?);
        out.put_u8(frame.kind);
        out.put_u32(frame.id);
        out.put_slice(&frame.body);
        Ok(())
    }
}

impl Encoder<(u32, Request<'_>, Common<'_>)> for FrameCodec {
    type Error = CodecError;

    fn encode(
        &mut self,
        (id, request, common): (u32, Request<'_>, Common<'_>),
        out: &mut BytesMut,
    ) -> Result<(), CodecError> {
        Ok(request.encode(id, &common, out)?)
    }
}

impl Encoder<(u32, Reply<'_>)> for FrameCodec {
    type Error = CodecError;

    fn encode(
        &mut self,
        (id, reply): (u32, Reply<'_>),
        out: &mut BytesMut,
    ) -> Result<(), CodecError> {
        Ok(reply.encode(id, out)?)
    }
}
