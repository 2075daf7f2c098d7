//! One connection under load. All requests that are ready are written at once, and all replies that
//! have arrived are read at once.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::counters::{Counters, Outcome, ReplyCounter, Window};
use super::mix::Op;

const READ_SIZE: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_SIZE]);
}

/// Generator of the requests of one connection, and parser of their replies.
pub(crate) trait Protocol: Send + 'static {
    /// Appends the next request to `out` and returns its kind. `slot` identifies the request until
    /// its reply has been parsed.
    fn write_request(&mut self, slot: usize, out: &mut BytesMut) -> Op;

    /// Parses the first reply in `input`, or returns `None` if it is incomplete.
    ///
    /// # Errors
    /// A message if the bytes are not a reply to an open request.
    fn parse_reply(&mut self, input: &[u8]) -> Result<Option<ParsedReply>, String>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ParsedReply {
    /// Size of the reply in bytes.
    pub(crate) size: usize,
    /// Slot of the request that the reply belongs to.
    pub(crate) slot: usize,
    pub(crate) outcome: Outcome,
}

/// Recorder of requests and replies, shared by the connections of one thread.
#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) counters: Arc<Mutex<Counters>>,
    pub(crate) replies: Arc<ReplyCounter>,
    pub(crate) window: Window,
}

impl Recorder {
    pub(crate) fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Connection<S, P> {
    stream: S,
    protocol: P,
    recorder: Recorder,
    write_buffer: BytesMut,
    /// Bytes of an incomplete reply that were received.
    read_buffer: BytesMut,
    /// Requests in flight by slot, each with the time from which its latency counts; `None` for a
    /// free slot.
    slots: Vec<Option<(Op, Instant)>>,
    free_slots: Vec<usize>,
}

impl<S: AsyncRead + AsyncWrite + Unpin, P: Protocol> Connection<S, P> {
    /// Creates a connection on an open stream, with at most `depth` requests in flight.
    pub(crate) fn new(stream: S, protocol: P, depth: usize, recorder: Recorder) -> Self {
        Self {
            stream,
            protocol,
            recorder,
            write_buffer: BytesMut::new(),
            read_buffer: BytesMut::new(),
            slots: vec![None; depth],
            free_slots: (0..depth).rev().collect(),
        }
    }

    /// Returns true if fewer requests are in flight than the connection allows.
    pub(crate) fn has_free_slot(&self) -> bool {
        !self.free_slots.is_empty()
    }

    /// Returns true if no request is in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.free_slots.len() == self.slots.len()
    }

    /// Adds the next request to the write buffer, if a slot is free. Its latency counts from
    /// `start`.
    pub(crate) fn enqueue(&mut self, start: Instant) {
        let Some(slot) = self.free_slots.pop() else { return };
        let op = self.protocol.write_request(slot, &mut self.write_buffer);
        if let Some(entry) = self.slots.get_mut(slot) {
            *entry = Some((op, start));
        }
    }

    /// Writes the write buffer, waits for replies, and returns the time at which they arrived.
    ///
    /// Cancellation loses neither requests nor replies.
    ///
    /// # Errors
    /// A message if the connection is lost or a reply cannot be parsed.
    pub(crate) async fn exchange(&mut self) -> Result<Instant, String> {
        poll_fn(|context| {
            while !self.write_buffer.is_empty() {
                match Pin::new(&mut self.stream).poll_write(context, &self.write_buffer) {
                    Poll::Ready(Ok(written)) => self.write_buffer.advance(written),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(lost(&error))),
                    Poll::Pending => break,
                }
            }
            // TLS buffers what it could not send.
            if let Poll::Ready(Err(error)) = Pin::new(&mut self.stream).poll_flush(context) {
                return Poll::Ready(Err(lost(&error)));
            }
            BUFFER.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Err(error)) => Poll::Ready(Err(lost(&error))),
                    Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                        Poll::Ready(Err("the server closed a connection".to_owned()))
                    }
                    Poll::Ready(Ok(())) => {
                        let now = Instant::now();
                        Poll::Ready(self.receive(buffer.filled(), now).map(|()| now))
                    }
                }
            })
        })
        .await
    }

    fn receive(&mut self, bytes: &[u8], now: Instant) -> Result<(), String> {
        if self.read_buffer.is_empty() {
            let parsed = self.record_replies(bytes, now)?;
            self.read_buffer.extend_from_slice(bytes.get(parsed..).unwrap_or_default());
        } else {
            self.read_buffer.extend_from_slice(bytes);
            let mut buffer = std::mem::take(&mut self.read_buffer);
            buffer.advance(self.record_replies(&buffer, now)?);
            self.read_buffer = buffer;
        }
        Ok(())
    }

    /// Records the complete replies at the start of `input` and returns their size in bytes.
    fn record_replies(&mut self, input: &[u8], now: Instant) -> Result<usize, String> {
        let mut counters = self.recorder.counters();
        let (mut parsed, mut count) = (0, 0);
        while let Some(reply) =
            self.protocol.parse_reply(input.get(parsed..).unwrap_or_default())?
        {
            parsed += reply.size;
            count += 1;
            let request = self.slots.get_mut(reply.slot).and_then(Option::take);
            let (op, start) = request.ok_or("received a reply to no request")?;
            self.free_slots.push(reply.slot);
            counters.record_reply(op, reply.outcome, start, now, &self.recorder.window);
        }
        self.recorder.replies.add(count);
        Ok(parsed)
    }

    /// Records every request in flight as unanswered.
    pub(crate) fn record_unanswered(&mut self) {
        let mut counters = self.recorder.counters();
        for (op, _) in self.slots.iter_mut().filter_map(Option::take) {
            counters.record_unanswered(op, 1);
        }
    }

    /// Records the delay of a request that was due at `due` and sent at `now`.
    pub(crate) fn record_send_delay(&self, due: Instant, now: Instant) {
        self.recorder.counters().record_send_delay(due, now, &self.recorder.window);
    }

    /// Records `count` requests that were due but not sent, since every slot was in use.
    pub(crate) fn record_unsent(&self, count: usize) {
        self.recorder.counters().unsent += count as u64;
    }
}

fn lost(error: &io::Error) -> String {
    format!("a connection was lost: {error}")
}
