//! The read side of a connection. Each thread has one buffer that it reads into; a connection keeps
//! only the frame that is not complete yet, so an idle one keeps nothing.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use user_proto::frame;
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
            self.append(bytes.get(consumed..).unwrap_or_default());
            return;
        }
        self.append(bytes);
        let consumed = process(&self.0).min(self.0.len());
        if let Some(used) = self.0.get_mut(..consumed) {
            used.zeroize();
        }
        self.0.advance(consumed);
        if self.0.is_empty() {
            self.clear();
        }
    }

    /// Appends bytes. The capacity does not double beyond the frame at the front and one read,
    /// since an attacker may have many connections, each with most of a long frame.
    fn append(&mut self, bytes: &[u8]) {
        if !self.0.try_reclaim(bytes.len()) {
            let length = self.0.len().saturating_add(bytes.len());
            // In a long buffer, the length field is complete, unless it was split before one read.
            let start = if self.0.is_empty() { bytes } else { &self.0 };
            let capacity = match frame::size(start) {
                Ok(Some(frame)) if length >= THREAD_BUFFER / 2 => {
                    length.max(frame.saturating_add(THREAD_BUFFER))
                }
                _ => length.next_power_of_two(),
            };
            let mut grown = BytesMut::with_capacity(capacity);
            grown.extend_from_slice(&self.0);
            self.clear();
            self.0 = grown;
        }
        self.0.extend_from_slice(bytes);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds a stream in pieces of these sizes and returns the largest capacity, after checking
    /// that every byte was processed once and in order.
    fn largest(stream: &[u8], pieces: impl Iterator<Item = usize>) -> usize {
        let (mut buffer, mut seen, mut largest) = (ReadBuffer::default(), Vec::new(), 0);
        let mut rest = stream;
        for piece in pieces {
            let (bytes, later) = rest.split_at(piece.min(rest.len()));
            rest = later;
            buffer.feed(bytes, |bytes| {
                let mut used = 0;
                while let Ok(Some((_, size))) = frame::split(&bytes[used..]) {
                    used += size;
                }
                seen.extend_from_slice(&bytes[..used]);
                used
            });
            largest = largest.max(buffer.0.capacity());
            if rest.is_empty() {
                break;
            }
        }
        assert!(rest.is_empty() && seen == stream && buffer.is_empty() && buffer.0.capacity() == 0);
        largest
    }

    #[test]
    fn a_long_frame_takes_its_own_size_and_one_read() {
        let mut stream = Vec::new();
        for length in [60_000_u32, 5, 65_535, 17, 40_000, 16_384] {
            stream.extend_from_slice(&length.to_be_bytes());
            stream.extend((0..length).map(|byte| u8::try_from((byte + 7) % 251).unwrap()));
        }
        for piece in [1, 3, 1460, 9000, THREAD_BUFFER] {
            let largest = largest(&stream, std::iter::repeat(piece));
            assert!(largest <= 65_539 + THREAD_BUFFER, "{piece}: {largest}");
        }
        // A length field in two pieces.
        let largest = largest(&stream[..60_004], [2, THREAD_BUFFER].into_iter().cycle());
        assert!(largest <= 60_004 + THREAD_BUFFER, "{largest}");
    }

    #[test]
    fn a_frame_of_which_little_has_arrived_takes_little() {
        let mut buffer = ReadBuffer::default();
        let mut bytes = 60_000_u32.to_be_bytes().to_vec();
        bytes.resize(1000, 0);
        buffer.feed(&bytes, |_| 0);
        assert!(buffer.0.capacity() <= 1024, "{}", buffer.0.capacity());
    }
}
