//! The read buffer and the write buffer of a connection. Both overwrite passwords and tokens with
//! zeros as soon as they are no longer needed.

use bytes::BytesMut;
use zeroize::{Zeroize, Zeroizing};

use crate::limits::MAX_FRAME;

/// Size in bytes from which on a write buffer accepts no further frame.
const FULL: usize = 65_536;

/// The write buffer of a connection. Its capacity suffices for [`FULL`] bytes and the longest
/// frame, so the buffer never moves, and wiping it wipes the only copy.
pub(super) struct WriteBuffer(BytesMut);

impl WriteBuffer {
    pub(super) fn new() -> Self {
        Self(BytesMut::with_capacity(FULL + MAX_FRAME))
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= FULL
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the buffer to append one frame to.
    pub(super) fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.0
    }

    /// Overwrites the content with zeros and empties the buffer.
    pub(super) fn wipe(&mut self) {
        self.0.as_mut().zeroize();
        self.0.clear();
    }

    /// Overwrites the unused capacity, which contains the bytes of a frame that did not fit.
    pub(super) fn wipe_spare(&mut self) {
        self.0.spare_capacity_mut().zeroize();
    }
}

impl Drop for WriteBuffer {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// The read buffer of a connection, with a capacity of one frame of maximum length. All bytes after
/// the content are zero.
pub(super) struct ReadBuffer {
    bytes: Zeroizing<Vec<u8>>,
    filled: usize,
}

impl ReadBuffer {
    pub(super) fn new() -> Self {
        Self { bytes: Zeroizing::new(vec![0; MAX_FRAME]), filled: 0 }
    }

    /// Returns the bytes that were read and not yet consumed.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// Returns the free part of the buffer, to read into.
    pub(super) fn unfilled(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.filled..).unwrap_or_default()
    }

    /// Adds the first `count` bytes of the free part to the content.
    pub(super) fn advance(&mut self, count: usize) {
        self.filled += count;
    }

    /// Removes the first `used` bytes and overwrites them with zeros.
    pub(super) fn consume(&mut self, used: usize) {
        let left = self.filled - used;
        self.bytes.copy_within(used..self.filled, 0);
        self.bytes.get_mut(left..self.filled).unwrap_or_default().zeroize();
        self.filled = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_buffer_never_moves_and_wipes_its_content() {
        let mut buffer = WriteBuffer::new();
        let at = buffer.bytes().as_ptr();
        buffer.buffer_mut().extend_from_slice(&[7; FULL - 1]);
        assert!(!buffer.is_full());
        buffer.buffer_mut().extend_from_slice(&[7; MAX_FRAME]);
        assert!(buffer.is_full());
        assert_eq!(buffer.bytes().as_ptr(), at);
        buffer.wipe();
        assert!(buffer.bytes().is_empty());
        buffer.buffer_mut().resize(FULL, 0);
        assert_eq!(buffer.bytes().as_ptr(), at);
    }

    #[test]
    fn consumed_bytes_of_a_read_buffer_are_zero() {
        let mut buffer = ReadBuffer::new();
        assert_eq!(buffer.unfilled().len(), MAX_FRAME);
        buffer.unfilled()[..5].copy_from_slice(&[1, 2, 3, 4, 5]);
        buffer.advance(5);
        buffer.consume(3);
        assert_eq!(buffer.bytes(), [4, 5]);
        assert!(buffer.unfilled().iter().all(|byte| *byte == 0));
        buffer.unfilled()[0] = 6;
        buffer.advance(1);
        buffer.consume(0);
        assert_eq!(buffer.bytes(), [4, 5, 6]);
        buffer.consume(3);
        assert!(buffer.bytes().is_empty());
        assert!(buffer.unfilled().iter().all(|byte| *byte == 0));
    }
}
