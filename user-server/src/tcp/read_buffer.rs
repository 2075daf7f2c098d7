//! Bytes on their way in. Each thread has one buffer to read into; a connection keeps only the
//! frame that is not whole yet, so a silent one keeps nothing.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use zeroize::Zeroize;

const SCRATCH: usize = 16 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// Reads once and lets `take` look at what came; zero at the end of the stream. What was read may
/// hold a password and is wiped.
pub(super) fn poll_read<S: AsyncRead + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    take: impl FnOnce(&[u8]),
) -> Poll<std::io::Result<usize>> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut room = ReadBuf::new(buffer);
        ready!(Pin::new(stream).poll_read(context, &mut room))?;
        let read = room.filled_mut();
        take(read);
        read.zeroize();
        Poll::Ready(Ok(read.len()))
    })
}

/// What came and was not a whole frame, or could not be looked at yet.
#[derive(Default)]
pub(super) struct ReadBuffer(BytesMut);

impl ReadBuffer {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets `frames` take from the front of what is left and of `more`; it says how many bytes it
    /// took.
    pub(super) fn feed(&mut self, more: &[u8], frames: impl FnOnce(&[u8]) -> usize) {
        if self.0.is_empty() {
            let taken = frames(more);
            self.0.extend_from_slice(more.get(taken..).unwrap_or_default());
            return;
        }
        self.0.extend_from_slice(more);
        let taken = frames(&self.0).min(self.0.len());
        if let Some(used) = self.0.get_mut(..taken) {
            used.zeroize();
        }
        self.0.advance(taken);
        if self.0.is_empty() {
            self.clear();
        }
    }

    /// Forgets all, and gives the memory back.
    pub(super) fn clear(&mut self) {
        self.0.as_mut().zeroize();
        self.0 = BytesMut::new();
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        self.clear();
    }
}
