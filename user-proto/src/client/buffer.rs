//! A write buffer that leaves no password behind.

use bytes::BytesMut;
use zeroize::Zeroize;

use crate::limits::MAX_FRAME;

/// From here on a buffer takes no further frame.
const FULL: usize = 64 * 1024;

/// Frames on their way out. It has room for one longest frame past [`FULL`] from the start, so it never moves, and
/// wiping it wipes the only copy.
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
}
