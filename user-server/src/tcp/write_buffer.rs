//! The write side of a connection: replies that are ready, which leave in one write.

use std::future::poll_fn;
use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWrite;
use tokio_util::sync::CancellationToken;
use user_proto::Reply;
use zeroize::Zeroize;

use super::counters;
use crate::handler;

/// Initial capacity of the write buffer in bytes, enough for about eight token checks.
const INITIAL_CAPACITY: usize = 512;

/// Number of bytes from which on no further reply is added to those that wait to be written. A
/// reply of one frame may still exceed it.
const FULL: usize = 32 * 1024;

/// Replies that have not been written yet.
#[derive(Default)]
pub(super) struct WriteBuffer(BytesMut);

/// Reason for which replies were not written completely.
pub(super) enum WriteFailure {
    /// The connection was lost with this I/O error.
    Lost(Error),
    /// The client did not read in time.
    TimedOut,
    /// The grace period of the shutdown is over.
    Killed,
}

impl WriteBuffer {
    /// Adds the reply to the request `id`, and returns the index of its outcome in the request
    /// metrics.
    pub(super) fn reply(&mut self, id: u32, reply: &Reply<'_>) -> usize {
        if self.0.is_empty() {
            self.0.reserve(INITIAL_CAPACITY);
        }
        if reply.encode(id, &mut self.0).is_err() {
            // No reply is that long; but if one were, the client must not wait for it in vain.
            tracing::error!(id, "a reply is longer than the maximum frame");
            let internal = handler::internal().into();
            let _ = Reply::encode(&internal, id, &mut self.0);
            return counters::outcome_index(&internal);
        }
        counters::outcome_index(reply)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if the replies must be written before there are more of them: a client that
    /// sends requests but reads no replies does not fill the memory.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= FULL
    }

    /// Polls to write the replies after the first `written` bytes, and advances `written`.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        context: &mut Context<'_>,
        written: &mut usize,
    ) -> Poll<std::io::Result<()>> {
        poll_write(stream, context, &self.0, written)
    }

    /// Writes the replies after the first `written` bytes, within `timeout` and until `kill` is
    /// cancelled.
    pub(super) async fn write<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        mut written: usize,
        timeout: Duration,
        kill: &CancellationToken,
    ) -> Result<(), WriteFailure> {
        let write = poll_fn(|context| self.poll_write(stream, context, &mut written));
        tokio::select! {
            result = tokio::time::timeout(timeout, write) => match result {
                Ok(result) => result.map_err(WriteFailure::Lost),
                Err(_) => Err(WriteFailure::TimedOut),
            },
            () = kill.cancelled() => Err(WriteFailure::Killed),
        }
    }

    /// Wipes the replies, which may contain tokens, and frees their memory.
    pub(super) fn clear(&mut self) {
        self.0.as_mut().zeroize();
        self.0 = BytesMut::new();
    }
}

/// Writes the bytes after the first `written` ones, and flushes the stream.
fn poll_write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    bytes: &[u8],
    written: &mut usize,
) -> Poll<std::io::Result<()>> {
    while let Some(rest) = bytes.get(*written..).filter(|rest| !rest.is_empty()) {
        match ready!(Pin::new(&mut *stream).poll_write(context, rest))? {
            0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
            count => *written += count,
        }
    }
    Pin::new(stream).poll_flush(context)
}
