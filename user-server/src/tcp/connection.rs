//! One connection. Token checks are answered where they are read; whatever waits has a task of its
//! own, so replies come in any order. All that is ready goes out in one write.
//!
//! There may be very many that are idle, so what only a busy one needs is on the heap while it is
//! needed, and what all share is there once.

use std::future::poll_fn;
use std::io::{Error, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use user_proto::frame::{self, Frame};
use user_proto::limits::CONNECTION_ID;
use user_proto::{Common, ErrorReply, Reply, Request};

use super::counters::{self, Batch};
use super::in_flight::{CompletedRequest, InFlight};
use super::read_buffer::{self, ReadBuffer};
use super::write_buffer::{WriteBuffer, WriteFailure};
use super::{ConnectionLimits, Shutdown};
use crate::handler::{self, ClockReading, Handler, Peer};
use crate::metrics::{Closed, Metrics, OpenConnection};

/// How long a client that was told to go may still be answered `SHUTTING_DOWN`, and how long bytes
/// are read away from one that the server closes on. A reset instead would destroy replies on their
/// way.
const LINGER: Duration = Duration::from_secs(1);
/// What a client is told to wait that has too many hashes in flight.
const HASHING_PAUSE: Duration = Duration::from_millis(100);

/// What all connections of a server share.
pub struct ConnectionContext {
    /// Who answers.
    pub handler: Arc<Handler>,
    /// What each connection may do.
    pub limits: ConnectionLimits,
    /// The end.
    pub shutdown: Shutdown,
    /// Connections and requests, for the end to wait for.
    pub tasks: TaskTracker,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Serves one connection, which was accepted when it `began`, until it ends. What is `held` is let
/// go then.
pub fn serve<S: AsyncRead + AsyncWrite + Unpin, H>(
    mut stream: S,
    context: Arc<ConnectionContext>,
    peer: Peer,
    began: Instant,
    held: H,
) -> impl Future<Output = ()> {
    let mut connection = Connection::new(context, peer, began);
    async move {
        let ended = connection.run(&mut stream).await;
        connection.detach();
        match ended {
            Ok(()) => Box::pin(close(&mut stream)).await,
            Err(error) => tracing::debug!(%error, "a connection was lost"),
        }
        drop(held);
    }
}

/// Says one word about a connection that is not served, and ends it.
pub(super) async fn reject<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    word: ErrorReply<'static>,
) {
    let mut output = BytesMut::new();
    let said = async {
        let _ = Reply::from(word).encode(CONNECTION_ID, &mut output);
        stream.write_all(&output).await?;
        stream.flush().await
    };
    if matches!(tokio::time::timeout(LINGER, said).await, Ok(Ok(()))) {
        close(&mut stream).await;
    }
}

/// Ends writing, and reads away what still comes.
async fn close<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let polite = async {
        stream.shutdown().await?;
        while poll_fn(|context| read_buffer::poll_read(stream, context, |_| ())).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(LINGER, polite).await;
}

/// What a connection knows.
struct Connection {
    context: Arc<ConnectionContext>,
    peer: Peer,
    counters: OpenConnection,
    read_buffer: ReadBuffer,
    write_buffer: WriteBuffer,
    in_flight: InFlight,
    stage: Stage,
    /// What is said last, where the client broke the rules of the connection itself.
    close_reason: Option<Box<ErrorReply<'static>>>,
    began: Instant,
    /// When the first byte of a frame came that is not whole yet.
    frame_began: Option<Instant>,
    /// When a frame last came whole.
    last_frame: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Requests are read and answered.
    Open,
    /// The client was told to go; what it still asks is refused.
    Draining { since: Instant },
    /// Nothing more is read: the client sends no more, or was silent for too long, or framing is
    /// lost. What it is owed it gets, and then the connection ends.
    Ending,
}

impl Connection {
    fn new(context: Arc<ConnectionContext>, peer: Peer, began: Instant) -> Self {
        Self {
            peer,
            counters: context.metrics.connections.accepted(),
            context,
            read_buffer: ReadBuffer::default(),
            write_buffer: WriteBuffer::default(),
            in_flight: InFlight::default(),
            stage: Stage::Open,
            close_reason: None,
            began,
            frame_began: None,
            last_frame: None,
        }
    }

    /// Serves until the connection is to be closed; an error where it is lost already.
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
    ) -> std::io::Result<()> {
        let server = self.context.clone();
        let mut timer = pin!(tokio::time::sleep_until(self.deadline()));
        // One wait serves both: the drain comes first, and the kill only after it.
        let mut stop = pin!(server.shutdown.drain.cancelled());
        let mut drained = false;
        loop {
            let over = self.is_over();
            if over && let Some(error) = self.close_reason.take() {
                self.reply(CONNECTION_ID, &(*error).into());
            }
            self.flush(stream).await?;
            if over {
                return Ok(());
            }
            if timer.deadline() > self.deadline() {
                timer.as_mut().reset(self.deadline());
            }
            // One closure, in this order: replies first, so that who floods still lets them out.
            poll_fn(|context| {
                let mut progress = false;
                let full = !self.reads();
                while let Poll::Ready(ended) = self.in_flight.poll(context) {
                    self.finish(ended);
                    progress = true;
                }
                if progress {
                    // A place may have come free: look at what could not be looked at before. A
                    // frame that had to wait has its time from now on.
                    if full {
                        self.frame_began = None;
                    }
                    self.feed(&[]);
                }
                while stop.as_mut().poll(context).is_ready() {
                    if drained {
                        return Poll::Ready(Err(self.grace_over()));
                    }
                    drained = true;
                    stop.set(server.shutdown.kill.cancelled());
                    if self.stage == Stage::Open {
                        self.drain();
                        progress = true;
                    }
                }
                if self.reads()
                    && let Poll::Ready(read) =
                        read_buffer::poll_read(stream, context, |bytes| self.feed(bytes))
                {
                    if read? == 0 {
                        self.stage = Stage::Ending;
                        self.counters.closed = Closed::Client;
                    }
                    progress = true;
                }
                if timer.as_mut().poll(context).is_ready() {
                    if Instant::now() >= self.deadline() {
                        self.time_out();
                        self.stage = Stage::Ending;
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

    /// Writes all that is ready.
    async fn flush<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> std::io::Result<()> {
        if self.write_buffer.is_empty() {
            return Ok(());
        }
        let mut done = 0;
        let write = |context: &mut Context<'_>| {
            Poll::Ready(self.write_buffer.poll_write(stream, context, &mut done))
        };
        let written = match poll_fn(write).await {
            Poll::Ready(written) => written,
            // Only a client that does not read as fast as it asks costs a timer.
            Poll::Pending => Box::pin(self.flush_slowly(stream, done)).await,
        };
        self.write_buffer.clear();
        written
    }

    async fn flush_slowly<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        done: usize,
    ) -> std::io::Result<()> {
        let server = self.context.clone();
        let written =
            self.write_buffer.write(stream, done, server.limits.write, &server.shutdown.kill).await;
        written.map_err(|stuck| match stuck {
            WriteFailure::Lost(error) => error,
            WriteFailure::Killed => self.grace_over(),
            WriteFailure::TooSlow => {
                self.counters.closed = Closed::WriteTimeout;
                ErrorKind::TimedOut.into()
            }
        })
    }

    fn grace_over(&mut self) -> Error {
        self.counters.closed = Closed::GraceOver;
        ErrorKind::TimedOut.into()
    }

    fn reads(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Draining { .. })
            && self.in_flight.len() < self.context.limits.in_flight
    }

    fn is_over(&self) -> bool {
        match self.stage {
            Stage::Open => false,
            Stage::Draining { since } => self.in_flight.is_empty() && since.elapsed() >= LINGER,
            Stage::Ending => self.in_flight.is_empty(),
        }
    }

    /// When the connection has been silent, or a frame has been on its way, for too long.
    fn deadline(&self) -> Instant {
        let limits = &self.context.limits;
        let due = match (self.frame_began, self.last_frame) {
            (_, None) => self.began + limits.first_frame,
            // A frame that waits for a place in flight is not the client's fault.
            (Some(began), Some(_)) if self.reads() => began + limits.frame,
            // What is in flight ends by its own deadline.
            _ if !self.in_flight.is_empty() => Instant::now() + limits.idle,
            (_, Some(last)) => last + limits.idle,
        };
        match self.stage {
            Stage::Draining { since } if self.in_flight.is_empty() => due.min(since + LINGER),
            _ => due,
        }
    }

    /// Looks at the frames of what was kept and of `more`.
    fn feed(&mut self, more: &[u8]) {
        let mut input = std::mem::take(&mut self.read_buffer);
        input.feed(more, |bytes| self.frames(bytes));
        self.read_buffer = input;
        if self.stage == Stage::Ending {
            self.read_buffer.clear();
        }
        self.frame_began = match self.frame_began {
            _ if self.read_buffer.is_empty() => None,
            None => Some(Instant::now()),
            began => began,
        };
    }

    /// Answers or starts the frames at the front of `bytes`; how many bytes they take.
    fn frames(&mut self, bytes: &[u8]) -> usize {
        let (mut taken, mut end) = (0, None);
        let clocks = self.context.handler.read_clocks();
        let mut run = Batch::new(clocks.instant);
        while self.reads() {
            match frame::split(bytes.get(taken..).unwrap_or_default()) {
                Ok(Some((frame, size))) => {
                    taken += size;
                    self.last_frame = Some(clocks.instant);
                    self.frame_began = None;
                    if let Some(outcome) = self.frame(frame, clocks) {
                        run.answered(
                            counters::row(frame.kind),
                            outcome,
                            &self.context.metrics.requests,
                        );
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    end = Some(error);
                    break;
                }
            }
        }
        run.end(&self.context.metrics.requests);
        let Some(error) = end else { return taken };
        self.break_off(handler::frame_error(error), Closed::FrameError);
        bytes.len()
    }

    /// Answers a frame, or starts what will; the outcome where it was answered.
    fn frame(&mut self, frame: Frame<'_>, clocks: ClockReading) -> Option<usize> {
        if frame.id == CONNECTION_ID || self.in_flight.has(frame.id) {
            self.break_off(handler::malformed_id(), Closed::RequestId);
            return None;
        }
        if let Stage::Draining { .. } = self.stage {
            return Some(self.reply(frame.id, &handler::shutting_down().into()));
        }
        match Request::decode(frame.kind, frame.body) {
            Err(error) => Some(self.reply(frame.id, &handler::undecodable(error).into())),
            Ok((request, common)) => {
                match self.context.handler.answer_now(&request, &common, clocks) {
                    Some(reply) => Some(self.reply(frame.id, &reply)),
                    None => self.start(frame, request, common),
                }
            }
        }
    }

    /// Gives a request a task of its own, which goes on when the connection has gone: what it began
    /// is finished.
    fn start(
        &mut self,
        frame: Frame<'_>,
        request: Request<'_>,
        common: Common<'_>,
    ) -> Option<usize> {
        let hashes = Handler::hashes(&request);
        if hashes && self.in_flight.hashing() >= self.context.limits.hashing {
            return Some(self.reply(frame.id, &handler::busy(HASHING_PAUSE).into()));
        }
        self.in_flight.start(&self.context, &self.peer, frame, request, common);
        None
    }

    /// Writes down the reply of a task that has ended.
    fn finish(&mut self, ended: CompletedRequest) {
        let CompletedRequest { id, row, name, took, reply } = ended;
        let outcome = match &reply {
            Reply::ErrorReply(error) => error.code.name(),
            _ => "OK",
        };
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(request = name, id, outcome, millis, peer = %self.peer.ip);
        let outcome = self.reply(id, &reply);
        self.context.metrics.requests.answered(row, outcome, took, 1);
    }

    /// Lets what was begun go on, though nobody waits for it any more.
    fn detach(&mut self) {
        for row in self.in_flight.detach() {
            self.context.metrics.requests.unanswered(row, counters::CLIENT_GONE);
        }
    }

    /// Notes which patience is over. One that drains has none left anyway.
    fn time_out(&mut self) {
        if self.stage == Stage::Open {
            self.counters.closed = match (self.frame_began, self.last_frame) {
                (_, None) => Closed::FirstFrameTimeout,
                (Some(_), Some(_)) => Closed::FrameTimeout,
                (None, Some(_)) => Closed::IdleTimeout,
            };
        }
    }

    fn reply(&mut self, id: u32, reply: &Reply<'_>) -> usize {
        self.write_buffer.reply(id, reply)
    }

    /// Ends, and tells why: where the next frame begins, or whose a reply would be, is unknown. The
    /// reason goes out behind the replies that are owed, since to a client it is the end of the
    /// connection.
    fn break_off(&mut self, error: ErrorReply<'static>, closed: Closed) {
        tracing::info!(outcome = error.code.name(), reason = %error.message, peer = %self.peer.ip, "connection refused");
        self.close_reason = Some(Box::new(error));
        self.stage = Stage::Ending;
        self.counters.closed = closed;
    }

    /// Tells the client to go.
    fn drain(&mut self) {
        self.reply(CONNECTION_ID, &handler::shutting_down().into());
        self.stage = Stage::Draining { since: Instant::now() };
        self.counters.closed = Closed::Drained;
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;
    use crate::tcp::limiter::ConnectionSlot;

    /// What `serve` gives, without a call.
    fn size<A, B, C, D, E, F>(_: fn(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        let task = size(serve::<TcpStream, ConnectionSlot>);
        assert!(task <= 640, "the task of a connection has {task} bytes");
    }
}
