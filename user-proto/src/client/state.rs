//! What a connection knows under its lock: the frames on their way out, who waits for which reply,
//! and how many may.

use std::collections::HashMap;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::oneshot;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::buffer::Outgoing;
use super::error::{Cause, NoHandshake};
use crate::error::EncodeError;
use crate::limits;
use crate::table::ErrorReply;

pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) out: Outgoing,
    /// The offset in the outgoing stream at which `out` begins, and up to which it was written.
    pub(super) taken: u64,
    pub(super) written: u64,
    pub(super) waiting: HashMap<u32, Waiting>,
    pub(super) last_id: u32,
    pub(super) max_in_flight: u32,
    /// Permits to withhold, since the server allows fewer than are given out.
    pub(super) debt: u32,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) served: bool,
}

#[derive(PartialEq, Eq, Clone, Copy)]
pub(super) enum Phase {
    Open,
    /// Replies still come, requests go elsewhere.
    Retired,
    Ended,
}

/// A request in flight. It stays when its caller has gone, since its id and its place are taken
/// until the reply.
pub(super) struct Waiting {
    pub(super) answer: oneshot::Sender<Answer>,
    pub(super) end: u64,
    pub(super) since: Instant,
    pub(super) counted: bool,
}

/// What a request that was queued comes to.
pub(super) enum Answer {
    Reply {
        kind: u8,
        body: Zeroizing<Vec<u8>>,
    },
    /// It was not written whole, so nobody has executed it.
    NotSent,
    /// The server has refused this client's certificate, so nobody has executed it.
    KeptOut(NoHandshake),
    Lost(Cause),
    /// An error about the connection, which ended it.
    Told(ErrorReply<'static>),
}

/// A request that was queued.
pub(super) struct Sent {
    /// Where its frame ends in the outgoing stream.
    pub(super) end: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Sent {
    pub(super) async fn answer(self) -> Answer {
        // The sender goes without a word only with its runtime.
        self.answer.await.unwrap_or(Answer::Lost(Cause::ClosedHere))
    }
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Open,
            out: Outgoing::new(),
            taken: 0,
            written: 0,
            waiting: HashMap::new(),
            last_id: limits::CONNECTION_ID,
            max_in_flight: limits::DEFAULT_MAX_IN_FLIGHT,
            debt: 0,
            idle_timeout: None,
            served: false,
        }
    }

    /// Writes a frame under a free id, and waits for its reply.
    pub(super) fn queue(
        &mut self,
        counted: bool,
        write: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<Sent, EncodeError> {
        let id = self.free_id();
        if let Err(error) = write(id, self.out.tail()) {
            self.out.wipe_spare();
            return Err(error);
        }
        self.last_id = id;
        let end = self.taken + self.out.bytes().len() as u64;
        let (sender, answer) = oneshot::channel();
        self.waiting.insert(id, Waiting { answer: sender, end, since: Instant::now(), counted });
        Ok(Sent { end, answer })
    }

    /// The next id that no request in flight has; they are few, so one is near.
    fn free_id(&self) -> u32 {
        let mut id = self.last_id.wrapping_add(1);
        while id == limits::CONNECTION_ID || self.waiting.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_neither_in_flight_nor_that_of_the_connection() {
        let mut state = State::new();
        let mut next = |last| {
            state.last_id = last;
            let _ = state.queue(true, |_, _| Ok(()));
            state.last_id
        };
        assert_eq!([next(u32::MAX), next(0), next(u32::MAX), next(2)], [1, 2, 3, 4]);
    }
}
