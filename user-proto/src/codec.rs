//! A tokio-util `Encoder` and `Decoder` for frames.
//!
//! `Framed` ends a stream after any error of its decoder. Therefore this decoder yields raw frames
//! and fails only on an invalid length. [`RawFrame::request`] and [`RawFrame::reply`] decode the
//! message of a frame.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::error::{DecodeError, EncodeError};
use crate::frame::{self, FrameError};
use crate::limits::{LENGTH_FIELD, MAX_LENGTH, MIN_LENGTH};
use crate::table::{Common, Reply, Request};

/// A frame that owns its body.
#[derive(Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// Type byte of the message.
    pub kind: u8,
    /// Request id, or 0 if the frame concerns the connection itself.
    pub id: u32,
    /// Encoded fields of the message.
    pub body: Bytes,
}

impl RawFrame {
    /// Decodes the frame as a request with its common tags.
    ///
    /// # Errors
    /// Same as [`Request::decode`].
    pub fn request(&self) -> Result<(Request<'_>, Common<'_>), DecodeError> {
        Request::decode(self.kind, &self.body)
    }

    /// Decodes the frame as a reply.
    ///
    /// # Errors
    /// Same as [`Reply::decode`].
    pub fn reply(&self) -> Result<Reply<'_>, DecodeError> {
        Reply::decode(self.kind, &self.body)
    }
}

impl std::fmt::Debug for RawFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The body may contain a password.
        write!(
            f,
            "RawFrame {{ kind: {:#04x}, id: {}, body: {} bytes }}",
            self.kind,
            self.id,
            self.body.len()
        )
    }
}

/// Error that ends a stream of frames.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A received frame has an invalid length.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message to send does not fit into a frame.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The transport failed, or it ended inside a frame.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Codec for frames and messages. While a frame is incomplete, its read buffer never grows beyond
/// the size of the longest frame.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameCodec;

impl Decoder for FrameCodec {
    type Item = RawFrame;
    type Error = CodecError;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<RawFrame>, CodecError> {
        let Some((found, size)) = frame::split(input)? else {
            if let Some(size) = frame::size(input)? {
                reserve_frame(input, size);
            }
            return Ok(None);
        };
        let (kind, id) = (found.kind, found.id);
        let mut whole = input.split_to(size);
        whole.advance(LENGTH_FIELD + MIN_LENGTH);
        Ok(Some(RawFrame { kind, id, body: whole.freeze() }))
    }
}

/// Initial capacity of a read buffer in bytes, the same as that of tokio-util.
const INITIAL_CAPACITY: usize = 8 * 1024;

/// Reserves capacity for a frame of `size` bytes at the start of `input`. `BytesMut::reserve` would
/// double the capacity, so a peer could make a connection use twice the size of the longest frame.
fn reserve_frame(input: &mut BytesMut, size: usize) {
    if !input.try_reclaim(size.saturating_sub(input.len())) {
        let mut larger = BytesMut::with_capacity(size.max(INITIAL_CAPACITY));
        larger.put_slice(input);
        *input = larger;
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
