//! One connection. Token checks are answered where they are read; whatever waits has a task of its own, so replies come in
//! any order. All that is ready goes out in one write.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use user_proto::frame::{self, Frame};
use user_proto::limits::CONNECTION_ID;
use user_proto::{Common, ErrorReply, Reply, Request};
use zeroize::Zeroize;

use super::input::{self, Rest};
use super::{ConnectionLimits, Shutdown, tally};
use crate::handler::{self, Handler, Peer};
use crate::metrics::{Closed, Metrics, OpenConnection};

/// How long a client that was told to go may still be answered `SHUTTING_DOWN`, and how long bytes are read away from one
/// that the server closes on. A reset instead would destroy replies on their way.
const LINGER: Duration = Duration::from_secs(1);
/// What a client is told to wait that has too many hashes in flight.
const HASHING_PAUSE: Duration = Duration::from_millis(100);

/// Serves one connection until it ends.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    handler: Arc<Handler>,
    peer: Peer,
    limits: ConnectionLimits,
    shutdown: Shutdown,
    tasks: TaskTracker,
    metrics: Arc<Metrics>,
) {
    let gone = CancellationToken::new();
    let _gone = gone.clone().drop_guard();
    let mut session = Session::new(handler, peer, limits, tasks, metrics, gone);
    let kill = shutdown.kill.clone();
    let ended = tokio::select! {
        ended = session.run(&mut stream, &shutdown) => ended,
        () = kill.cancelled() => {
            session.books.closed = Closed::GraceOver;
            Err(std::io::ErrorKind::TimedOut.into())
        }
    };
    session.detach();
    match ended {
        Ok(()) => close(&mut stream).await,
        Err(error) => tracing::debug!(%error, "a connection was lost"),
    }
}

/// Ends writing, and reads away what still comes.
async fn close<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let polite = async {
        stream.shutdown().await?;
        while poll_fn(|context| input::poll_read(stream, context, |_| ())).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(LINGER, polite).await;
}

/// What a connection knows.
struct Session {
    handler: Arc<Handler>,
    peer: Peer,
    limits: ConnectionLimits,
    tasks: TaskTracker,
    metrics: Arc<Metrics>,
    books: OpenConnection,
    gone: CancellationToken,
    input: Rest,
    output: BytesMut,
    running: JoinSet<Reply<'static>>,
    in_flight: Vec<Pending>,
    stage: Stage,
    /// What is said last, where the client broke the rules of the connection itself.
    farewell: Option<ErrorReply<'static>>,
    began: Instant,
    /// When the first byte of a frame came that is not whole yet.
    frame_began: Option<Instant>,
    /// When a frame last came whole.
    last_frame: Option<Instant>,
}

/// A request that has a task.
struct Pending {
    task: tokio::task::Id,
    id: u32,
    row: usize,
    name: &'static str,
    hashes: bool,
    arrived: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Requests are read and answered.
    Open,
    /// The client was told to go; what it still asks is refused.
    Draining { since: Instant },
    /// Nothing more is read: the client sends no more, or was silent for too long, or framing is lost. What it is owed it
    /// gets, and then the connection ends.
    Ending,
}

impl Session {
    fn new(
        handler: Arc<Handler>,
        peer: Peer,
        limits: ConnectionLimits,
        tasks: TaskTracker,
        metrics: Arc<Metrics>,
        gone: CancellationToken,
    ) -> Self {
        Self {
            handler,
            peer,
            limits,
            tasks,
            books: metrics.connections.accepted(),
            metrics,
            gone,
            input: Rest::default(),
            output: BytesMut::new(),
            running: JoinSet::new(),
            in_flight: Vec::new(),
            stage: Stage::Open,
            farewell: None,
            began: Instant::now(),
            frame_began: None,
            last_frame: None,
        }
    }

    /// Serves until the connection is to be closed; an error where it is lost already.
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        shutdown: &Shutdown,
    ) -> std::io::Result<()> {
        let mut timer = pin!(tokio::time::sleep_until(self.deadline()));
        let mut drain = pin!(shutdown.drain.cancelled());
        loop {
            let over = self.is_over();
            if over && let Some(error) = self.farewell.take() {
                self.reply(CONNECTION_ID, &error.into());
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
                while let Poll::Ready(Some(joined)) = self.running.poll_join_next_with_id(context) {
                    self.finish(joined);
                    progress = true;
                }
                if progress {
                    // A place may have come free: look at what could not be looked at before. A frame that had to wait
                    // has its time from now on.
                    if full {
                        self.frame_began = None;
                    }
                    self.feed(&[]);
                }
                if self.stage == Stage::Open && drain.as_mut().poll(context).is_ready() {
                    self.drain();
                    progress = true;
                }
                if self.reads()
                    && let Poll::Ready(read) = input::poll_read(stream, context, |bytes| self.feed(bytes))
                {
                    if read? == 0 {
                        self.stage = Stage::Ending;
                        self.books.closed = Closed::Client;
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

    /// Writes all that is ready, and gives the memory back.
    async fn flush<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> std::io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let written = tokio::time::timeout(self.limits.write, async {
            stream.write_all(&self.output).await?;
            stream.flush().await
        });
        let written = written.await.unwrap_or_else(|_| {
            self.books.closed = Closed::WriteTimeout;
            Err(std::io::ErrorKind::TimedOut.into())
        });
        // Replies hold tokens.
        self.output.as_mut().zeroize();
        self.output = BytesMut::new();
        written
    }

    fn reads(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Draining { .. }) && self.in_flight.len() < self.limits.in_flight
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
        let limits = &self.limits;
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
        let mut input = std::mem::take(&mut self.input);
        input.feed(more, |bytes| self.frames(bytes));
        self.input = input;
        if self.stage == Stage::Ending {
            self.input.clear();
        }
        self.frame_began = match self.frame_began {
            _ if self.input.is_empty() => None,
            None => Some(Instant::now()),
            began => began,
        };
    }

    /// Answers or starts the frames at the front of `bytes`; how many bytes they take.
    fn frames(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        let mut now = Instant::now();
        while self.reads() {
            match frame::split(bytes.get(taken..).unwrap_or_default()) {
                Ok(Some((frame, size))) => {
                    taken += size;
                    self.last_frame = Some(now);
                    self.frame_began = None;
                    let outcome = self.frame(frame);
                    // One look at the clock a frame: the end of this one is the beginning of the next.
                    let ended = Instant::now();
                    if let Some(outcome) = outcome {
                        self.metrics.requests.answered(tally::row(frame.kind), outcome, ended - now);
                    }
                    now = ended;
                }
                Ok(None) => break,
                Err(error) => {
                    self.break_off(handler::frame_error(error), Closed::FrameError);
                    return bytes.len();
                }
            }
        }
        taken
    }

    /// Answers a frame, or starts what will; the outcome where it was answered.
    fn frame(&mut self, frame: Frame<'_>) -> Option<usize> {
        if frame.id == CONNECTION_ID || self.in_flight.iter().any(|pending| pending.id == frame.id) {
            self.break_off(handler::malformed_id(), Closed::RequestId);
            return None;
        }
        if let Stage::Draining { .. } = self.stage {
            return Some(self.reply(frame.id, &handler::shutting_down().into()));
        }
        match Request::decode(frame.kind, frame.body) {
            Err(error) => Some(self.reply(frame.id, &handler::undecodable(error).into())),
            Ok((request, common)) => match self.handler.answer_now(&request, &common) {
                Some(reply) => Some(self.reply(frame.id, &reply)),
                None => self.start(frame, request, common),
            },
        }
    }

    /// Gives a request a task of its own, which goes on when the connection has gone: what it began is finished.
    fn start(&mut self, frame: Frame<'_>, request: Request<'_>, common: Common<'_>) -> Option<usize> {
        let (id, row) = (frame.id, tally::row(frame.kind));
        let (_, name) = request.row();
        let hashes = Handler::hashes(&request);
        if hashes && self.in_flight.iter().filter(|pending| pending.hashes).count() >= self.limits.hashing {
            return Some(self.reply(id, &handler::busy(HASHING_PAUSE).into()));
        }
        let (request, common) = (request.into_owned(), common.into_owned());
        let (handler, peer, gone) = (self.handler.clone(), self.peer.clone(), self.gone.clone());
        let arrived = Instant::now();
        let traceparent = common.traceparent.as_deref().filter(|text| is_traceparent(text));
        let span = tracing::info_span!("request", request = name, id, traceparent);
        let in_flight = self.metrics.requests.begin();
        let answer = async move {
            let _in_flight = in_flight;
            handler.answer(request, &common, &peer, arrived, gone).await
        };
        let answer = answer.instrument(span);
        let task = self.running.spawn(self.tasks.track_future(answer)).id();
        self.in_flight.push(Pending { task, id, row, name, hashes, arrived });
        None
    }

    /// Writes down the reply of a task that has ended.
    fn finish(&mut self, joined: Result<(tokio::task::Id, Reply<'static>), tokio::task::JoinError>) {
        let (task, reply) = match joined {
            Ok((task, reply)) => (task, reply),
            Err(error) => {
                tracing::error!(%error, "a request's task failed");
                (error.id(), handler::internal().into())
            }
        };
        let Some(place) = self.in_flight.iter().position(|pending| pending.task == task) else { return };
        let Pending { id, row, name, arrived, .. } = self.in_flight.swap_remove(place);
        let outcome = match &reply {
            Reply::ErrorReply(error) => error.code.name(),
            _ => "OK",
        };
        let took = arrived.elapsed();
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(request = name, id, outcome, millis, peer = %self.peer.ip);
        let outcome = self.reply(id, &reply);
        self.metrics.requests.answered(row, outcome, took);
    }

    /// Lets what was begun go on, though nobody waits for it any more.
    fn detach(&mut self) {
        self.running.detach_all();
        for pending in self.in_flight.drain(..) {
            self.metrics.requests.unanswered(pending.row, tally::CLIENT_GONE);
        }
    }

    /// Notes which patience is over. One that drains has none left anyway.
    fn time_out(&mut self) {
        if self.stage == Stage::Open {
            self.books.closed = match (self.frame_began, self.last_frame) {
                (_, None) => Closed::FirstFrameTimeout,
                (Some(_), Some(_)) => Closed::FrameTimeout,
                (None, Some(_)) => Closed::IdleTimeout,
            };
        }
    }

    /// Writes a reply down; its outcome.
    fn reply(&mut self, id: u32, reply: &Reply<'_>) -> usize {
        if reply.encode(id, &mut self.output).is_err() {
            // No reply of ours is that long; the client must not wait for it all the same.
            tracing::error!(id, "a reply is longer than a frame");
            let internal = handler::internal().into();
            let _ = Reply::encode(&internal, id, &mut self.output);
            return tally::outcome(&internal);
        }
        tally::outcome(reply)
    }

    /// Ends, and tells why: where the next frame begins, or whose a reply would be, is unknown. The reason goes out behind
    /// the replies that are owed, since to a client it is the end of the connection.
    fn break_off(&mut self, error: ErrorReply<'static>, closed: Closed) {
        tracing::info!(outcome = error.code.name(), reason = %error.message, peer = %self.peer.ip, "connection refused");
        self.farewell = Some(error);
        self.stage = Stage::Ending;
        self.books.closed = closed;
    }

    /// Tells the client to go.
    fn drain(&mut self) {
        self.reply(CONNECTION_ID, &handler::shutting_down().into());
        self.stage = Stage::Draining { since: Instant::now() };
        self.books.closed = Closed::Drained;
    }
}

/// Whether a text has the form of version 00 (W3C Trace Context, section 3.2). Anything else a client could write into
/// the log.
fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, length| part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match text.split('-').collect::<Vec<_>>().as_slice() {
        ["00", trace, parent, flags] => hex(trace, 32) && hex(parent, 16) && hex(flags, 2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_traceparent;

    #[test]
    fn only_a_traceparent_reaches_the_log() {
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for text in ["", "00-0-0-0", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", &"x".repeat(9000)] {
            assert!(!is_traceparent(text), "{text}");
        }
    }
}
