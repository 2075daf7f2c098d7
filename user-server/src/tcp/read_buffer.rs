//! The read side of a connection. Each thread has one buffer that it reads into; a connection keeps
//! only the frame that is not complete yet, so an idle one keeps nothing.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use zeroize::Zeroize;

/// Size in bytes of the buffer into which a thread reads.
const THREAD_BUFFER: usize = 16 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; THREAD_BUFFER]);
}

/// Reads once, passes the bytes to `take`, and returns their number, which is zero at the end of
/// the stream. The bytes may contain a password, and are wiped afterwards.
pub(super) fn poll_read<S: AsyncRead + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    take: impl FnOnce(&[u8]),
) -> Poll<std::io::Result<usize>> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut target = ReadBuf::new(buffer);
        ready!(Pin::new(stream).poll_read(context, &mut target))?;
        let read = target.filled_mut();
        take(read);
        read.zeroize();
        Poll::Ready(Ok(read.len()))
    })
}

/// Bytes that were read but not processed: an incomplete frame, or frames that have to wait.
#[derive(Default)]
pub(super) struct ReadBuffer(BytesMut);

impl ReadBuffer {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Passes the buffered bytes followed by `bytes` to `process`, which returns the number of
    /// bytes that it has consumed. Buffers the remaining bytes.
    pub(super) fn feed(&mut self, bytes: &[u8], process: impl FnOnce(&[u8]) -> usize) {
        if self.0.is_empty() {
            let consumed = process(bytes);
            self.0.extend_from_slice(bytes.get(consumed..).unwrap_or_default());
            return;
        }
        self.0.extend_from_slice(bytes);
        let consumed = process(&self.0).min(self.0.len());
        if let Some(used) = self.0.get_mut(..consumed) {
            used.zeroize();
        }
        self.0.advance(consumed);
        if self.0.is_empty() {
            self.clear();
        }
    }

    /// Wipes the buffered bytes and frees their memory.
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
