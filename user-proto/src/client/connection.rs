//! The shared state of one connection: the frames to be written and the pending replies.
//!
//! Calls queue frames; the task in `drive` writes them and delivers the replies. Neither side waits
//! for the other while it has locked the state.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, SemaphorePermit, watch};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::buffer::WriteBuffer;
use super::error::{CloseReason, Error};
use super::slots::Slots;
use super::state::{Outcome, Pending, Phase, Sent, State, TakenSlots};
use crate::error_code::{ErrorClass, ErrorCode};
use crate::frame::{Frame, FrameError};
use crate::limits;
use crate::message::{Message, ReplyMessage, RequestMessage};
use crate::table::{Common, ErrorReply, Ping, Pong, encode, encode_with};

/// Upper bound of the limits of requests in flight that the client accepts from a server.
const MAX_IN_FLIGHT: u32 = 65_536;
/// Age after which the reply to an abandoned request is no longer expected. It exceeds the longest
/// deadline of 30 s, within which a server answers.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

pub(super) struct Connection {
    state: Mutex<State>,
    slots: Slots,
    /// Slots of the requests that hash a password, each of which also uses one of `slots`. The
    /// server refuses further ones, so they wait here instead.
    hashing_slots: Slots,
    /// Notified when there are bytes to write, and when no further request will be queued.
    write_ready: Notify,
    /// Notified when the write buffer was emptied.
    drained: Notify,
    /// Notified to close the connection without waiting for replies.
    aborted: Notify,
    /// `true` after the connection was closed.
    closed: watch::Sender<bool>,
}

impl Connection {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State::new()),
            slots: Slots::new(limits::DEFAULT_MAX_IN_FLIGHT),
            hashing_slots: Slots::new(limits::DEFAULT_MAX_HASHING),
            write_ready: Notify::new(),
            drained: Notify::new(),
            aborted: Notify::new(),
            closed: watch::Sender::new(false),
        }
    }

    /// Queues a request as soon as a slot is free and the write buffer is not full. The time until
    /// `deadline` is sent with the request. Returns `None` if the connection accepts no more
    /// requests.
    pub(super) async fn send<M: RequestMessage>(
        &self,
        request: &M,
        common: &mut Common<'_>,
        deadline: Option<Instant>,
    ) -> Result<Option<Sent>, Error> {
        // First, so that a request that waits for it holds up no other.
        let hashing = match request.hashes() {
            false => None,
            true => match self.slot(&self.hashing_slots).await {
                None => return Ok(None),
                hashing => hashing,
            },
        };
        let Some(permit) = self.slot(&self.slots).await else { return Ok(None) };
        let taken = if hashing.is_some() { TakenSlots::Hashing } else { TakenSlots::One };
        loop {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            {
                let mut state = self.lock();
                if state.phase != Phase::Open {
                    return Ok(None);
                }
                if !state.out.is_full() {
                    if let Some(deadline) = deadline {
                        common.deadline_ms = Some(millis_until(deadline));
                    }
                    let sent =
                        state.queue(taken, |id, out| encode_with(id, request, common, out))?;
                    permit.forget();
                    if let Some(hashing) = hashing {
                        hashing.forget();
                    }
                    self.write_ready.notify_one();
                    return Ok(Some(sent));
                }
            }
            drained.await;
        }
    }

    /// Waits for a slot of the limit `slots`. Returns `None` if the connection accepts no more
    /// requests.
    async fn slot<'a>(&self, slots: &'a Slots) -> Option<SemaphorePermit<'a>> {
        if let Some(permit) = slots.try_acquire() {
            return Some(permit);
        }
        self.retire_if_stuck();
        slots.acquire().await
    }

    /// Queues a ping that the connection itself sends. No call awaits the reply.
    pub(super) fn ping(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open && !state.out.is_full() {
            // A ping always fits into a frame.
            let _ = state.queue(TakenSlots::None, |id, out| encode(id, &Ping {}, out));
            self.write_ready.notify_one();
        }
    }

    /// Passes the reply in `frame` to the call that awaits it.
    pub(super) fn deliver(&self, frame: Frame<'_>) {
        let mut state = self.lock();
        let Some(pending) = state.pending.remove(&frame.id) else { return };
        self.release(&pending);
        let shutting_down = frame.kind == ErrorReply::TYPE && is_shutting_down(frame.body);
        state.served |= !shutting_down;
        if frame.kind == Pong::TYPE
            && let Ok(pong) = Pong::decode_owned(frame.body)
        {
            self.apply_limits(&mut state, &pong);
        }
        drop(state);
        // The call may have been dropped.
        let _ = pending
            .outcome
            .send(Outcome::Reply { kind: frame.kind, body: Zeroizing::new(frame.body.to_vec()) });
    }

    /// Adopts the limits that the server advertises in a pong.
    fn apply_limits(&self, state: &mut State, pong: &Pong) {
        state.idle_timeout = pong.idle_timeout.map(|seconds| Duration::from_secs(seconds.into()));
        if let Some(max) = pong.max_in_flight {
            self.slots.set_max(max.clamp(1, MAX_IN_FLIGHT));
        }
        if let Some(max) = pong.max_hashing {
            self.hashing_slots.set_max(max.clamp(1, MAX_IN_FLIGHT));
        }
    }

    /// Frees the slots of a request that was answered.
    fn release(&self, pending: &Pending) {
        if pending.slots != TakenSlots::None {
            self.slots.release();
        }
        if pending.slots == TakenSlots::Hashing {
            self.hashing_slots.release();
        }
    }

    /// Stops accepting requests. Requests in the write buffer are still written, and replies are
    /// still received.
    pub(super) fn retire(&self) {
        self.enter(&mut self.lock(), Phase::Retired);
    }

    /// Stops accepting requests and discards those that were not yet passed to the writer, because
    /// the server announced that it does not execute them.
    pub(super) fn retire_unsent(&self) {
        let unsent = {
            let mut state = self.lock();
            self.enter(&mut state, Phase::Retired);
            state.out.wipe();
            let taken = state.taken;
            state.pending.extract_if(|_, pending| pending.end > taken).collect::<Vec<_>>()
        };
        for (_, pending) in unsent {
            let _ = pending.outcome.send(Outcome::NotSent);
        }
    }

    /// Retires the connection if the reply to an abandoned request is overdue. Otherwise such
    /// requests would occupy their slots forever.
    fn retire_if_stuck(&self) {
        let mut state = self.lock();
        let is_stuck = |pending: &Pending| {
            pending.outcome.is_closed() && pending.since.elapsed() > ABANDONED_AFTER
        };
        if state.pending.values().any(is_stuck) {
            self.enter(&mut state, Phase::Retired);
        }
    }

    /// Marks the connection as closed for this reason, and reports the outcome of its request to
    /// every pending call.
    pub(super) fn close(&self, reason: &CloseReason) {
        let (pending, written, served) = {
            let mut state = self.lock();
            self.enter(&mut state, Phase::Closed);
            state.out.wipe();
            if let CloseReason::Frame(error) = reason
                && !state.served
                && state.pending.is_empty()
            {
                state.not_a_service = Some(*error);
            }
            (std::mem::take(&mut state.pending), state.written, state.served)
        };
        for pending in pending.into_values() {
            let unwritten = pending.end > written;
            let _ = pending.outcome.send(match reason {
                // A server at its limit of connections says so before it reads a request.
                CloseReason::ServerError(reply) if reply.code == ErrorCode::BUSY && !served => {
                    Outcome::ServerError(reply.clone())
                }
                // It would reject the same bytes on another connection too.
                CloseReason::ServerError(reply) if unwritten && concerns_protocol(reply) => {
                    Outcome::ServerError(reply.clone())
                }
                // A server reads no request before it has accepted the client's certificate.
                CloseReason::Rejected(error) if !served => Outcome::Rejected(error.clone()),
                CloseReason::Frame(error) if !served => {
                    Outcome::NotAService { error: *error, sent: !unwritten }
                }
                _ if unwritten => Outcome::NotSent,
                reason => Outcome::Lost(reason.clone()),
            });
        }
        self.closed.send_replace(true);
    }

    fn enter(&self, state: &mut State, phase: Phase) {
        if state.phase != Phase::Closed {
            state.phase = phase;
        }
        self.slots.close();
        self.hashing_slots.close();
        self.drained.notify_waiters();
        self.write_ready.notify_one();
    }

    /// Makes the task of the connection close it without waiting for replies.
    pub(super) fn abort(&self) {
        self.aborted.notify_one();
    }

    pub(super) async fn aborted(&self) {
        self.aborted.notified().await;
    }

    pub(super) async fn write_ready(&self) {
        self.write_ready.notified().await;
    }

    /// Waits until the connection is closed.
    pub(super) async fn closed(&self) {
        // The sender is a field of `self`, so it exists while this function runs.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Replaces the content of `batch`, which was written, with the queued frames. Returns `false`
    /// if no frame is queued and none will be.
    pub(super) fn take(&self, batch: &mut WriteBuffer) -> bool {
        let mut state = self.lock();
        std::mem::swap(&mut state.out, batch);
        state.taken += batch.bytes().len() as u64;
        self.drained.notify_waiters();
        !batch.bytes().is_empty() || state.phase == Phase::Open
    }

    /// Records that `bytes` further bytes of the outgoing stream were written.
    pub(super) fn record_written(&self, bytes: usize) {
        self.lock().written += bytes as u64;
    }

    /// Returns `true` if the outgoing stream was written up to the offset `end`.
    pub(super) fn has_written(&self, end: u64) -> bool {
        self.lock().written >= end
    }

    pub(super) fn accepts_requests(&self) -> bool {
        self.lock().phase == Phase::Open
    }

    /// Returns `true` if the server has answered anything except `SHUTTING_DOWN`.
    pub(super) fn has_served(&self) -> bool {
        self.lock().served
    }

    /// Returns the error of the first bytes of a peer that is no user service, unless a call has
    /// reported it.
    pub(super) fn take_not_a_service(&self) -> Option<FrameError> {
        self.lock().not_a_service.take()
    }

    /// Returns `true` if a call awaits a reply.
    pub(super) fn is_awaited(&self) -> bool {
        self.lock().pending.values().any(|pending| !pending.outcome.is_closed())
    }

    /// Returns `true` if fewer requests are in flight than the server accepts.
    pub(super) fn has_free_slot(&self) -> bool {
        self.lock().pending.len() < self.slots.max() as usize
    }

    /// Returns the idle timeout of the server, if it has advertised one.
    pub(super) fn idle_timeout(&self) -> Option<Duration> {
        self.lock().idle_timeout
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can leave the state inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the time until `deadline` in milliseconds. Never 0, which would mean that the deadline
/// has passed.
fn millis_until(deadline: Instant) -> u32 {
    let left = deadline.saturating_duration_since(Instant::now()).as_millis();
    u32::try_from(left).unwrap_or(u32::MAX).max(1)
}

/// Returns `true` if the server says that this client violates the protocol.
pub(super) fn concerns_protocol(reply: &ErrorReply<'_>) -> bool {
    reply.code.class() == ErrorClass::Protocol
}

fn is_shutting_down(body: &[u8]) -> bool {
    ErrorReply::decode_owned(body).is_ok_and(|reply| reply.code == ErrorCode::SHUTTING_DOWN)
}

#[cfg(test)]
mod tests;
