//! One connection under load: requests that are under way in numbered slots, bytes that wait to be
//! written, and replies as they come. All that is ready goes out in one write, and all that has
//! come is read at once.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::engine::Live;
use super::mix::Op;
use super::tally::{Tally, Verdict, Window};

const SCRATCH: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// What a connection says, and how it understands what is answered.
pub(super) trait Dialogue: Send + 'static {
    /// Writes the next request under the number of this slot.
    fn ask(&mut self, slot: usize, out: &mut BytesMut) -> Op;

    /// The first reply of `input`, or none where it is not whole yet.
    ///
    /// # Errors
    /// Words on what came instead of a reply.
    fn hear(&mut self, input: &[u8]) -> Result<Option<Heard>, String>;
}

/// A reply at the front of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard {
    /// How many bytes it takes.
    pub(super) size: usize,
    pub(super) slot: usize,
    pub(super) verdict: Verdict,
}

/// What the connections of a thread have in common.
#[derive(Clone)]
pub(super) struct Books {
    pub(super) tally: Arc<Mutex<Tally>>,
    pub(super) live: Arc<Live>,
    pub(super) window: Window,
}

pub(super) struct Link<S, D> {
    stream: S,
    dialogue: D,
    books: Books,
    output: BytesMut,
    /// A reply that is not whole yet.
    rest: BytesMut,
    slots: Vec<Option<(Op, Instant)>>,
    free: Vec<usize>,
}

impl<S: AsyncRead + AsyncWrite + Unpin, D: Dialogue> Link<S, D> {
    pub(super) fn new(stream: S, dialogue: D, depth: usize, books: Books) -> Self {
        let (output, rest) = (BytesMut::new(), BytesMut::new());
        Self {
            stream,
            dialogue,
            books,
            output,
            rest,
            slots: vec![None; depth],
            free: (0..depth).rev().collect(),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Writes down a request that counts from `start`.
    pub(super) fn ask(&mut self, start: Instant) {
        let Some(slot) = self.free.pop() else { return };
        let op = self.dialogue.ask(slot, &mut self.output);
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some((op, start));
        }
    }

    /// Notes that what was asked counts from `due` and is sent at `now`.
    pub(super) fn was_due(&self, due: Instant, now: Instant) {
        self.tally().sent(due, now, &self.books.window);
    }

    /// So many were due and could not be sent: everything that may be under way was.
    pub(super) fn never_sent(&self, count: usize) {
        self.tally().unsent += count as u64;
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.books.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what waits, and waits for replies; when they came. Nothing is lost where it is given
    /// up in between.
    pub(super) async fn exchange(&mut self) -> Result<Instant, String> {
        poll_fn(|context| {
            while !self.output.is_empty() {
                match Pin::new(&mut self.stream).poll_write(context, &self.output) {
                    Poll::Ready(Ok(written)) => self.output.advance(written),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(told(&error))),
                    Poll::Pending => break,
                }
            }
            // TLS may have taken what it has not sent.
            if let Poll::Ready(Err(error)) = Pin::new(&mut self.stream).poll_flush(context) {
                return Poll::Ready(Err(told(&error)));
            }
            BUFFER.with_borrow_mut(|buffer| {
                let mut room = ReadBuf::new(buffer);
                match Pin::new(&mut self.stream).poll_read(context, &mut room) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Err(error)) => Poll::Ready(Err(told(&error))),
                    Poll::Ready(Ok(())) if room.filled().is_empty() => {
                        Poll::Ready(Err("the server has closed a connection".to_owned()))
                    }
                    Poll::Ready(Ok(())) => {
                        let now = Instant::now();
                        Poll::Ready(self.hear(room.filled(), now).map(|()| now))
                    }
                }
            })
        })
        .await
    }

    fn hear(&mut self, more: &[u8], now: Instant) -> Result<(), String> {
        if self.rest.is_empty() {
            let taken = self.replies(more, now)?;
            self.rest.extend_from_slice(more.get(taken..).unwrap_or_default());
        } else {
            self.rest.extend_from_slice(more);
            let mut rest = std::mem::take(&mut self.rest);
            rest.advance(self.replies(&rest, now)?);
            self.rest = rest;
        }
        Ok(())
    }

    /// Counts the replies at the front of `input`; how many bytes they take.
    fn replies(&mut self, input: &[u8], now: Instant) -> Result<usize, String> {
        let mut tally = self.books.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut taken, mut count) = (0, 0);
        while let Some(heard) = self.dialogue.hear(input.get(taken..).unwrap_or_default())? {
            taken += heard.size;
            count += 1;
            let asked = self.slots.get_mut(heard.slot).and_then(Option::take);
            let (op, start) = asked.ok_or("a reply came that nobody awaits")?;
            self.free.push(heard.slot);
            tally.reply(op, heard.verdict, start, now, &self.books.window);
        }
        self.books.live.add(count);
        Ok(taken)
    }

    /// What is still under way has no reply any more.
    pub(super) fn give_up(&mut self) {
        let mut tally = self.books.tally.lock().unwrap_or_else(PoisonError::into_inner);
        for (op, _) in self.slots.iter_mut().filter_map(Option::take) {
            tally.unanswered(op, 1);
        }
    }
}

fn told(error: &io::Error) -> String {
    format!("a connection was lost: {error}")
}
