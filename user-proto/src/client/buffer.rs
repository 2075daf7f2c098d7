//! Buffers of a connection that leave no password and no token behind.

use bytes::BytesMut;
use zeroize::{Zeroize, Zeroizing};

use crate::limits::MAX_FRAME;

/// From here on an outgoing buffer takes no further frame.
const FULL: usize = 65_536;

/// Frames on their way out. It has room for one longest frame past [`FULL`] from the start, so it
/// never moves, and wiping it wipes the only copy.
pub(super) struct Outgoing(BytesMut);

impl Outgoing {
    pub(super) fn new() -> Self {
        Self(BytesMut::with_capacity(FULL + MAX_FRAME))
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= FULL
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Where to append one frame.
    pub(super) fn tail(&mut self) -> &mut BytesMut {
        &mut self.0
    }

    /// Wipes and forgets what it holds.
    pub(super) fn wipe(&mut self) {
        self.0.as_mut().zeroize();
        self.0.clear();
    }

    /// Wipes what a frame that was taken back has left behind.
    pub(super) fn wipe_spare(&mut self) {
        self.0.spare_capacity_mut().zeroize();
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Bytes that came. It holds one longest frame and no more, and what lies behind them is zero.
pub(super) struct Incoming {
    bytes: Zeroizing<Vec<u8>>,
    filled: usize,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self { bytes: Zeroizing::new(vec![0; MAX_FRAME]), filled: 0 }
    }

    /// What came and is not used up.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// Where to read to.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.filled..).unwrap_or_default()
    }

    /// So much was read.
    pub(super) fn add(&mut self, count: usize) {
        self.filled += count;
    }

    /// Wipes and forgets the first `used` bytes.
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
    fn it_never_moves_and_wipes_all() {
        let mut buffer = Outgoing::new();
        let at = buffer.bytes().as_ptr();
        buffer.tail().extend_from_slice(&[7; FULL - 1]);
        assert!(!buffer.is_full());
        buffer.tail().extend_from_slice(&[7; MAX_FRAME]);
        assert!(buffer.is_full());
        assert_eq!(buffer.bytes().as_ptr(), at);
        buffer.wipe();
        assert!(buffer.bytes().is_empty());
        buffer.tail().resize(FULL, 0);
        assert_eq!(buffer.bytes().as_ptr(), at);
    }

    #[test]
    fn what_was_used_of_what_came_is_zero() {
        let mut buffer = Incoming::new();
        assert_eq!(buffer.room().len(), MAX_FRAME);
        buffer.room()[..5].copy_from_slice(&[1, 2, 3, 4, 5]);
        buffer.add(5);
        buffer.consume(3);
        assert_eq!(buffer.bytes(), [4, 5]);
        assert!(buffer.room().iter().all(|byte| *byte == 0));
        buffer.room()[0] = 6;
        buffer.add(1);
        buffer.consume(0);
        assert_eq!(buffer.bytes(), [4, 5, 6]);
        buffer.consume(3);
        assert!(buffer.bytes().is_empty());
        assert!(buffer.room().iter().all(|byte| *byte == 0));
    }
}
