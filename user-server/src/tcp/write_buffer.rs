//! Bytes on their way out: the replies that are ready, which leave in one write.

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

/// The room that is made at once: for some eight token checks.
const FIRST: usize = 512;

/// Replies that have not left.
#[derive(Default)]
pub(super) struct WriteBuffer(BytesMut);

/// Why they did not all leave.
pub(super) enum WriteFailure {
    /// The stream is lost.
    Lost(Error),
    /// The client did not read for too long.
    TooSlow,
    /// The server goes down.
    Killed,
}

impl WriteBuffer {
    /// Writes a reply down; its outcome.
    pub(super) fn reply(&mut self, id: u32, reply: &Reply<'_>) -> usize {
        if self.0.is_empty() {
            self.0.reserve(FIRST);
        }
        if reply.encode(id, &mut self.0).is_err() {
            // No reply of ours is that long; the client must not wait for it all the same.
            tracing::error!(id, "a reply is longer than a frame");
            let internal = handler::internal().into();
            let _ = Reply::encode(&internal, id, &mut self.0);
            return counters::outcome(&internal);
        }
        counters::outcome(reply)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes what is behind the first `done` bytes.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        context: &mut Context<'_>,
        done: &mut usize,
    ) -> Poll<std::io::Result<()>> {
        poll_write(stream, context, &self.0, done)
    }

    /// The same, while the client has patience with us and we with it.
    pub(super) async fn write<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        mut done: usize,
        patience: Duration,
        kill: &CancellationToken,
    ) -> Result<(), WriteFailure> {
        let writing = poll_fn(|context| self.poll_write(stream, context, &mut done));
        tokio::select! {
            written = tokio::time::timeout(patience, writing) => {
                written.map_or(Err(WriteFailure::TooSlow), |written| written.map_err(WriteFailure::Lost))
            }
            () = kill.cancelled() => Err(WriteFailure::Killed),
        }
    }

    /// Wipes what has left, since replies hold tokens, and gives the memory back.
    pub(super) fn clear(&mut self) {
        self.0.as_mut().zeroize();
        self.0 = BytesMut::new();
    }
}

/// Writes what is behind the first `done` of `bytes`, and lets none of it wait inside the stream.
fn poll_write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    bytes: &[u8],
    done: &mut usize,
) -> Poll<std::io::Result<()>> {
    while let Some(rest) = bytes.get(*done..).filter(|rest| !rest.is_empty()) {
        match ready!(Pin::new(&mut *stream).poll_write(context, rest))? {
            0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
            count => *done += count,
        }
    }
    Pin::new(stream).poll_flush(context)
}
