//! One connection. Token checks are answered where they are read; every other request has its own
//! task, so replies are sent in any order. All replies that are ready leave in one write.
//!
//! There can be very many idle connections. So what only a busy connection needs is allocated while
//! it is needed, and what all connections share exists once. The child module processes the frames.

mod requests;

use std::future::poll_fn;
use std::io::{Error, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use user_proto::limits::CONNECTION_ID;
use user_proto::{ErrorReply, Reply};

use super::context::ConnectionContext;
use super::counters;
use super::in_flight::RequestsInFlight;
use super::read_buffer::{self, ReadBuffer};
use super::watch::ConnectionWatch;
use super::write_buffer::{WriteBuffer, WriteFailure};
use crate::handler::{self, Peer};
use crate::metrics::{CloseReason, OpenConnection};

/// Time for which a drained connection still answers `SHUTTING_DOWN`, and for which incoming bytes
/// are discarded after the server has closed its side. A reset instead would destroy replies that
/// the client has not received yet.
const LINGER: Duration = Duration::from_secs(1);
/// Number of the next connection, for the log.
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// Serves one connection, which was accepted at `accepted`, until it ends, and then drops `guard`.
pub fn serve<S: AsyncRead + AsyncWrite + Unpin, G>(
    mut stream: S,
    context: Arc<ConnectionContext>,
    peer: Peer,
    accepted: Instant,
    guard: G,
) -> impl Future<Output = ()> {
    let mut connection = Connection::new(context, peer, accepted);
    async move {
        let result = connection.run(&mut stream).await;
        connection.detach();
        match result {
            Ok(()) => Box::pin(close(&mut stream)).await,
            Err(error) => tracing::debug!(%error, "connection lost"),
        }
        drop(guard);
    }
}

/// Sends one error on a connection that is not served, and closes it.
pub(super) async fn reject<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    error: ErrorReply<'static>,
) {
    let mut bytes = BytesMut::new();
    let sent = async {
        let _ = Reply::from(error).encode(CONNECTION_ID, &mut bytes);
        stream.write_all(&bytes).await?;
        stream.flush().await
    };
    if matches!(tokio::time::timeout(LINGER, sent).await, Ok(Ok(()))) {
        close(&mut stream).await;
    }
}

/// Shuts down the write side, then discards incoming bytes until the client closes its side too.
async fn close<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let closed = async {
        stream.shutdown().await?;
        while poll_fn(|context| read_buffer::poll_read(stream, context, |_| ())).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(LINGER, closed).await;
}

/// State of one connection.
struct Connection {
    context: Arc<ConnectionContext>,
    peer: Peer,
    counters: OpenConnection,
    read_buffer: ReadBuffer,
    write_buffer: WriteBuffer,
    in_flight: RequestsInFlight,
    watch: ConnectionWatch,
    /// Number of the connection, for the log.
    id: u32,
    stage: Stage,
    /// Error that is sent before the connection is closed, if the client sent an invalid frame
    /// length or request id.
    close_error: Option<Box<ErrorReply<'static>>>,
    /// Arrival of the first byte of the frame that is incomplete; `None` if there is none.
    frame_started: Option<Instant>,
    /// Arrival of the last complete frame, or of the connection before the first one.
    last_frame: Instant,
    /// Set after the first complete frame.
    has_frame: bool,
    /// Time of the last read of bytes, at which every frame in the read buffer was complete that is
    /// complete now: nothing is read while a complete frame waits.
    last_read: Instant,
    /// Time at which reading resumes, set while the peer has too many requests in flight, or was
    /// refused too many.
    resume_at: Option<Instant>,
    /// Set if the next request of an untrusted peer is answered only after its refusals are
    /// checked: the first one of every read, and those that follow a refusal.
    check_refusals: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Requests are being read and executed.
    Open,
    /// The client was notified of the shutdown; further requests are refused.
    Draining { since: Instant },
    /// Nothing more is read: the client has closed its side, was silent for too long, or framing is
    /// lost. The connection closes when the requests in flight are answered.
    Closing,
}

impl Connection {
    fn new(context: Arc<ConnectionContext>, peer: Peer, accepted: Instant) -> Self {
        Self {
            peer,
            counters: context.metrics.connections.accepted(),
            context,
            read_buffer: ReadBuffer::default(),
            write_buffer: WriteBuffer::default(),
            in_flight: RequestsInFlight::default(),
            watch: ConnectionWatch::default(),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            stage: Stage::Open,
            close_error: None,
            frame_started: None,
            last_frame: accepted,
            has_frame: false,
            last_read: accepted,
            resume_at: None,
            check_refusals: true,
        }
    }

    /// Serves the connection until it is to be closed.
    ///
    /// # Errors
    /// If the connection is lost already.
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
    ) -> std::io::Result<()> {
        let server = self.context.clone();
        let mut timer = pin!(tokio::time::sleep_until(self.deadline()));
        // One future serves both stages of the shutdown: kill comes only after drain.
        let mut stop = pin!(server.shutdown.drain.cancelled());
        let mut drained = false;
        loop {
            if self.stage != Stage::Open {
                self.answer_watch();
            }
            let finished = self.is_finished();
            if finished && let Some(error) = self.close_error.take() {
                self.reply(CONNECTION_ID, &(*error).into());
            }
            let was_full = self.write_buffer.is_full();
            self.flush(stream).await?;
            if finished {
                return Ok(());
            }
            if was_full {
                // Other connections first, so that none of them waits while this one is sent much.
                tokio::task::yield_now().await;
                // Frames may have waited for the replies to be written.
                self.resume();
                if !self.write_buffer.is_empty() {
                    continue;
                }
            }
            if timer.deadline() > self.deadline() {
                timer.as_mut().reset(self.deadline());
            }
            // One closure, in this order: replies first, so that a client that floods the
            // connection with requests does not hold them up.
            poll_fn(|context| {
                let mut progress = false;
                let full = !self.is_reading();
                while !self.write_buffer.is_full()
                    && let Poll::Ready(completed) = self.in_flight.poll(context)
                {
                    self.finish(completed);
                    progress = true;
                }
                if progress {
                    // Frames may have waited for a request in flight to end.
                    if full { self.resume() } else { self.feed(&[]) }
                }
                if self.watch.poll(context).is_ready() {
                    self.answer_watch();
                    progress = true;
                }
                while stop.as_mut().poll(context).is_ready() {
                    if drained {
                        return Poll::Ready(Err(self.grace_expired()));
                    }
                    drained = true;
                    stop.set(server.shutdown.kill.cancelled());
                    if self.stage == Stage::Open {
                        self.drain();
                        progress = true;
                    }
                }
                if self.is_reading()
                    && let Poll::Ready(read) =
                        read_buffer::poll_read(stream, context, |bytes| self.feed(bytes))
                {
                    if read? == 0 {
                        self.stage = Stage::Closing;
                        self.counters.close_reason = CloseReason::Client;
                    }
                    progress = true;
                }
                if timer.as_mut().poll(context).is_ready() {
                    if self.watch.ends_at().is_some_and(|end| Instant::now() >= end) {
                        self.answer_watch();
                        timer.as_mut().reset(self.deadline());
                    } else if self.resume_at.is_some_and(|at| Instant::now() >= at) {
                        self.resume_at = None;
                        self.feed(&[]);
                        timer.as_mut().reset(self.deadline());
                    } else if Instant::now() >= self.deadline() {
                        self.time_out();
                        self.stage = Stage::Closing;
                    } else {
                        timer.as_mut().reset(self.deadline());
                    }
                    progress = true;
                }
                if progress { Poll::Ready(std::io::Result::Ok(())) } else { Poll::Pending }
            })
            .await?;
        }
    }

    /// Writes all replies that are ready.
    async fn flush<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> std::io::Result<()> {
        if self.write_buffer.is_empty() {
            return Ok(());
        }
        let mut written = 0;
        let write = |context: &mut Context<'_>| {
            Poll::Ready(self.write_buffer.poll_write(stream, context, &mut written))
        };
        let result = match poll_fn(write).await {
            Poll::Ready(result) => result,
            // Only a client that reads more slowly than it sends requests costs a timer.
            Poll::Pending => Box::pin(self.flush_slowly(stream, written)).await,
        };
        self.write_buffer.clear();
        result
    }

    async fn flush_slowly<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        written: usize,
    ) -> std::io::Result<()> {
        let server = self.context.clone();
        let (timeout, kill) = (server.limits.write, &server.shutdown.kill);
        let result = self.write_buffer.write(stream, written, timeout, kill).await;
        result.map_err(|failure| match failure {
            WriteFailure::Lost(error) => error,
            WriteFailure::Killed => self.grace_expired(),
            WriteFailure::TimedOut => {
                self.counters.close_reason = CloseReason::WriteTimeout;
                ErrorKind::TimedOut.into()
            }
        })
    }

    fn grace_expired(&mut self) -> Error {
        self.counters.close_reason = CloseReason::GraceOver;
        ErrorKind::TimedOut.into()
    }

    fn is_reading(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Draining { .. })
            && self.in_flight.len() < self.context.limits.in_flight
            && self.resume_at.is_none()
            && !self.write_buffer.is_full()
    }

    fn is_finished(&self) -> bool {
        match self.stage {
            Stage::Open => false,
            Stage::Draining { since } => self.in_flight.is_empty() && since.elapsed() >= LINGER,
            Stage::Closing => self.in_flight.is_empty(),
        }
    }

    /// Returns the time at which the connection will have been silent, or a frame incomplete, for
    /// too long.
    fn deadline(&self) -> Instant {
        let limits = &self.context.limits;
        let due = match (self.frame_started, self.has_frame) {
            (_, false) => self.last_frame + limits.first_frame,
            // A frame that waits for a request in flight to end is not the client's fault.
            (Some(started), true) if self.is_reading() => started + limits.frame,
            // Requests in flight end by their own deadlines.
            _ if !self.in_flight.is_empty() || self.watch.is_some() => Instant::now() + limits.idle,
            (_, true) => self.last_frame + limits.idle,
        };
        let due = self.resume_at.map_or(due, |at| due.min(at));
        let due = self.watch.ends_at().map_or(due, |end| due.min(end));
        match self.stage {
            Stage::Draining { since } if self.in_flight.is_empty() => due.min(since + LINGER),
            _ => due,
        }
    }

    /// Processes the frames that had to wait. The timeout of an incomplete frame among them starts
    /// now.
    fn resume(&mut self) {
        self.frame_started = None;
        self.feed(&[]);
    }

    /// Processes the frames in the read buffer followed by `bytes`.
    fn feed(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.last_read = Instant::now();
        }
        let mut input = std::mem::take(&mut self.read_buffer);
        input.feed(bytes, |bytes| self.process_frames(bytes));
        self.read_buffer = input;
        if self.stage == Stage::Closing {
            self.read_buffer.clear();
        }
        self.frame_started = match self.frame_started {
            _ if self.read_buffer.is_empty() => None,
            None => Some(Instant::now()),
            started => started,
        };
    }

    /// Detaches the requests in flight, which continue although nothing waits for their replies.
    fn detach(&mut self) {
        let watch = self.watch.take().map(|request| request.type_index);
        for type_index in self.in_flight.detach().chain(watch) {
            self.context.metrics.requests.unanswered(type_index, counters::CLIENT_GONE);
        }
    }

    /// Sets the close reason to the timeout that has expired. A draining connection keeps its
    /// reason.
    fn time_out(&mut self) {
        if self.stage == Stage::Open {
            self.counters.close_reason = match (self.frame_started, self.has_frame) {
                (_, false) => CloseReason::FirstFrameTimeout,
                (Some(_), true) => CloseReason::FrameTimeout,
                (None, true) => CloseReason::IdleTimeout,
            };
        }
    }

    /// Adds a reply to the write buffer, and returns the index of its outcome in the request
    /// metrics.
    fn reply(&mut self, id: u32, reply: &Reply<'_>) -> usize {
        self.write_buffer.reply(id, reply)
    }

    /// Closes the connection with an error, because the start of the next frame is unknown, or the
    /// request that a reply would belong to. The error is sent after the replies to the requests in
    /// flight, because a client takes it as the end of the connection.
    fn close_with(&mut self, error: ErrorReply<'static>, reason: CloseReason) {
        tracing::info!(
            outcome = error.code.name(),
            reason = %error.message,
            peer = %self.peer.ip,
            "protocol violation; closing the connection"
        );
        self.close_error = Some(Box::new(error));
        self.stage = Stage::Closing;
        self.counters.close_reason = reason;
    }

    /// Notifies the client that the server is shutting down.
    fn drain(&mut self) {
        self.reply(CONNECTION_ID, &handler::shutting_down().into());
        self.stage = Stage::Draining { since: Instant::now() };
        self.counters.close_reason = CloseReason::Drained;
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;
    use crate::tcp::limiter::ConnectionSlot;

    /// Returns the size of the future that `serve` returns, without calling it.
    fn size<A, B, C, D, E, F>(_: fn(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        let task = size(serve::<TcpStream, ConnectionSlot>);
        assert!(task <= 640, "the task of a connection has {task} bytes");
    }
}
