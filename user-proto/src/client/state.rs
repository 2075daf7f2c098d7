//! The state of a connection that its lock protects: the frames to be written, the pending replies,
//! and the idle timeout of the server.

use std::collections::HashMap;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::oneshot;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::buffer::WriteBuffer;
use super::error::{CloseReason, HandshakeError};
use crate::error::EncodeError;
use crate::frame::FrameError;
use crate::limits;
use crate::table::ErrorReply;

pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) out: WriteBuffer,
    /// Offset in the outgoing stream at which the content of the write buffer `out` begins.
    pub(super) taken: u64,
    /// Offset in the outgoing stream up to which all bytes have been written.
    pub(super) written: u64,
    pub(super) pending: HashMap<u32, Pending>,
    pub(super) last_id: u32,
    pub(super) idle_timeout: Option<Duration>,
    /// `true` once the server has answered anything except `SHUTTING_DOWN`.
    pub(super) served: bool,
    /// Error of the first bytes of the peer, which were not a frame, until a call reports it.
    pub(super) not_a_service: Option<FrameError>,
}

#[derive(PartialEq, Eq, Clone, Copy)]
pub(super) enum Phase {
    Open,
    /// The connection accepts no further requests; replies are still received.
    Retired,
    Closed,
}

/// A request in flight. It stays registered if its call is dropped, because the request id and the
/// slot are in use until the reply arrives.
pub(super) struct Pending {
    pub(super) outcome: oneshot::Sender<Outcome>,
    /// Offset in the outgoing stream at which the frame of the request ends.
    pub(super) end: u64,
    pub(super) since: Instant,
    pub(super) slots: TakenSlots,
}

/// Slots that a request in flight occupies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TakenSlots {
    /// No slot: a ping that the connection itself sends.
    None,
    /// A slot of the limit of all requests.
    One,
    /// A slot of the limit of all requests, and one of the limit of requests that hash a password.
    Hashing,
}

/// Outcome of a request that was queued.
pub(super) enum Outcome {
    Reply {
        kind: u8,
        body: Zeroizing<Vec<u8>>,
    },
    /// The request was not written completely, so the server did not execute it.
    NotSent,
    /// The server rejected this client in the TLS handshake, so it did not execute the request.
    Rejected(HandshakeError),
    /// The connection was lost after the request was written.
    Lost(CloseReason),
    /// The server closed the connection with this error, and did not execute the request.
    ServerError(ErrorReply<'static>),
    /// The first bytes of the peer were not a frame, so it is no user service.
    NotAService {
        error: FrameError,
        /// `true` if the request was written completely.
        sent: bool,
    },
}

/// Handle of a request that was queued on a connection: its end in the outgoing stream, and the
/// receiver of its outcome.
pub(super) struct Sent {
    /// Offset in the outgoing stream at which the frame of the request ends.
    pub(super) end: u64,
    outcome: oneshot::Receiver<Outcome>,
}

impl Sent {
    pub(super) async fn outcome(self) -> Outcome {
        // The sender is dropped without a value only if the runtime shuts down.
        self.outcome.await.unwrap_or(Outcome::Lost(CloseReason::ClosedByClient))
    }
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Open,
            out: WriteBuffer::new(),
            taken: 0,
            written: 0,
            pending: HashMap::new(),
            last_id: limits::CONNECTION_ID,
            idle_timeout: None,
            served: false,
            not_a_service: None,
        }
    }

    /// Appends a frame with a free request id to the write buffer, and registers the request as
    /// pending. `write` encodes the frame with the id that it is passed.
    pub(super) fn queue(
        &mut self,
        slots: TakenSlots,
        write: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<Sent, EncodeError> {
        let id = self.free_id();
        if let Err(error) = write(id, self.out.buffer_mut()) {
            self.out.wipe_spare();
            return Err(error);
        }
        self.last_id = id;
        let end = self.taken + self.out.bytes().len() as u64;
        let (sender, outcome) = oneshot::channel();
        let pending = Pending { outcome: sender, end, since: Instant::now(), slots };
        self.pending.insert(id, pending);
        Ok(Sent { end, outcome })
    }

    /// Returns the next id that no request in flight uses. Few are in use, so the search is short.
    fn free_id(&self) -> u32 {
        let mut id = self.last_id.wrapping_add(1);
        while id == limits::CONNECTION_ID || self.pending.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_request_id_is_not_in_flight_and_not_that_of_the_connection() {
        let mut state = State::new();
        let mut next = |last| {
            state.last_id = last;
            let _ = state.queue(TakenSlots::One, |_, _| Ok(()));
            state.last_id
        };
        assert_eq!([next(u32::MAX), next(0), next(u32::MAX), next(2)], [1, 2, 3, 4]);
    }
}
