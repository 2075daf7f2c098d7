//! The state of a connection, from which it is known how long it may last: hyper reports neither
//! when a request begins nor how long a connection has been idle.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::ConnectionLimits;
use crate::metrics::CloseReason;

/// State of a connection, shared between its stream, its requests and the listener.
#[derive(Debug)]
pub(crate) struct Activity(Mutex<State>);

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    since: Instant,
    /// True once a request has arrived on the connection.
    used: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The connection is idle: no byte of a further request has arrived.
    Idle,
    /// A request has begun but its head is not complete, or the connection has just been accepted.
    Head,
    /// A request is being answered.
    Request,
    /// The body of a request is arriving.
    Body,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { phase: Phase::Head, since: Instant::now(), used: false }))
    }

    /// Records that bytes of a request have arrived.
    fn received(&self) {
        self.change(|state| {
            if state.phase == Phase::Idle {
                (state.phase, state.since) = (Phase::Head, Instant::now());
            }
        });
    }

    /// Records that the head of a request is complete.
    pub(super) fn request_began(&self) {
        self.change(|state| {
            *state = State { phase: Phase::Request, since: Instant::now(), used: true };
        });
    }

    /// Records that the body of the current request is awaited, so that a sender that does not
    /// send it does not occupy the connection while others wait for one. Ends when the returned
    /// guard is dropped.
    pub(crate) fn awaits_body(&self) -> AwaitedBody<'_> {
        self.change(|state| state.phase = Phase::Body);
        AwaitedBody(self)
    }

    /// Records that the reply to the current request is ready.
    pub(super) fn request_ended(&self) {
        self.change(|state| (state.phase, state.since) = (Phase::Idle, Instant::now()));
    }

    /// Returns the reason to close the connection if it has been in its current phase for too long,
    /// otherwise `None`. The time of a request is bounded by its handler.
    pub(super) fn expired(&self, limits: &ConnectionLimits) -> Option<CloseReason> {
        let state = self.get();
        let age = state.since.elapsed();
        match state.phase {
            Phase::Head if age >= limits.head_time => Some(CloseReason::HeadTimeout),
            Phase::Idle if age >= limits.idle_time => Some(CloseReason::Idle),
            _ => None,
        }
    }

    /// Returns the rank in which the connection is closed to make room for another one, the lowest
    /// first: connections without any complete request, and the oldest of them. Returns `None`
    /// while a request is being answered.
    pub(super) fn eviction_rank(&self) -> Option<(bool, Instant)> {
        let state = self.get();
        match state.phase {
            Phase::Request => None,
            Phase::Body => Some((false, state.since)),
            Phase::Idle | Phase::Head => Some((state.used, state.since)),
        }
    }

    fn get(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Guard of a body that is awaited.
pub(crate) struct AwaitedBody<'a>(&'a Activity);

impl Drop for AwaitedBody<'_> {
    fn drop(&mut self) {
        self.0.change(|state| {
            if state.phase == Phase::Body {
                state.phase = Phase::Request;
            }
        });
    }
}

/// A stream that records in an [`Activity`] when bytes arrive.
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.received();
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
