//! One connection's shared state: what is on its way out, and who waits for what. Callers put
//! frames in, the task in `drive` takes them out and brings the answers; neither waits for the
//! other while it holds the lock.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::buffer::Outgoing;
use super::error::{Cause, Error};
use super::state::{Answer, Phase, Sent, State, Waiting};
use crate::error_code::ErrorCode;
use crate::frame::Frame;
use crate::limits;
use crate::message::{Message, ReplyMessage, RequestMessage};
use crate::table::{Common, ErrorReply, Ping, Pong, encode, encode_with};

/// The most requests in flight that a server can talk this client into.
const MOST_IN_FLIGHT: u32 = 65_536;
/// A server answers within its longest deadline of 30 s. A reply that nobody awaits and that is
/// this old won't come.
const ABANDONED_FOR_GOOD: Duration = Duration::from_secs(60);

pub(super) struct Connection {
    state: Mutex<State>,
    /// A permit a request in flight. Closed when the connection takes no more.
    slots: Semaphore,
    /// There is something to write, or nothing more will come.
    wake: Notify,
    /// The write buffer was emptied.
    room: Notify,
    cut: Notify,
    ended: watch::Sender<bool>,
}

impl Connection {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State::new()),
            slots: Semaphore::new(limits::DEFAULT_MAX_IN_FLIGHT as usize),
            wake: Notify::new(),
            room: Notify::new(),
            cut: Notify::new(),
            ended: watch::Sender::new(false),
        }
    }

    /// Queues a request, once there is room for it. `None` where the connection takes no more
    /// requests.
    pub(super) async fn send<M: RequestMessage>(
        &self,
        request: &M,
        common: &mut Common<'_>,
        deadline: Option<Instant>,
    ) -> Result<Option<Sent>, Error> {
        let permit = match self.slots.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                self.retire_if_stuck();
                let Ok(permit) = self.slots.acquire().await else { return Ok(None) };
                permit
            }
        };
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
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
                        state.queue(true, |id, out| encode_with(id, request, common, out))?;
                    permit.forget();
                    self.wake.notify_one();
                    return Ok(Some(sent));
                }
            }
            room.await;
        }
    }

    /// Queues a ping whose reply nobody awaits.
    pub(super) fn ping(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open && !state.out.is_full() {
            // A ping always fits a frame.
            let _ = state.queue(false, |id, out| encode(id, &Ping {}, out));
            self.wake.notify_one();
        }
    }

    /// Brings a reply to who waits for it.
    pub(super) fn deliver(&self, frame: Frame<'_>) {
        let mut state = self.lock();
        let Some(waiting) = state.waiting.remove(&frame.id) else { return };
        if waiting.counted {
            self.release(&mut state);
        }
        let going_down = frame.kind == ErrorReply::TYPE && is_shutting_down(frame.body);
        state.served |= !going_down;
        if frame.kind == Pong::TYPE
            && let Ok(pong) = Pong::decode_owned(frame.body)
        {
            self.learn(&mut state, &pong);
        }
        drop(state);
        // Whoever has gone away does not mind.
        let _ = waiting
            .answer
            .send(Answer::Reply { kind: frame.kind, body: Zeroizing::new(frame.body.to_vec()) });
    }

    /// Takes in what the server tells of its limits.
    fn learn(&self, state: &mut State, pong: &Pong) {
        state.idle_timeout = pong.idle_timeout.map(|seconds| Duration::from_secs(seconds.into()));
        let Some(most) = pong.max_in_flight.map(|most| most.clamp(1, MOST_IN_FLIGHT)) else {
            return;
        };
        let before = std::mem::replace(&mut state.max_in_flight, most);
        if most > before {
            let more = most - before;
            let repaid = more.min(state.debt);
            state.debt -= repaid;
            self.slots.add_permits((more - repaid) as usize);
        } else {
            let fewer = before - most;
            let forgotten =
                u32::try_from(self.slots.forget_permits(fewer as usize)).unwrap_or(fewer);
            state.debt += fewer.saturating_sub(forgotten);
        }
    }

    fn release(&self, state: &mut State) {
        match state.debt.checked_sub(1) {
            Some(less) => state.debt = less,
            None => self.slots.add_permits(1),
        }
    }

    /// Sends what is queued, then nothing more; replies still come.
    pub(super) fn retire(&self) {
        self.leave(&mut self.lock(), Phase::Retired);
    }

    /// Sends nothing more, not even what is queued: the server has said that it would not do it.
    pub(super) fn retire_unsent(&self) {
        let unsent = {
            let mut state = self.lock();
            self.leave(&mut state, Phase::Retired);
            state.out.wipe();
            let taken = state.taken;
            state.waiting.extract_if(|_, waiting| waiting.end > taken).collect::<Vec<_>>()
        };
        for (_, waiting) in unsent {
            let _ = waiting.answer.send(Answer::NotSent);
        }
    }

    /// Replies that nobody awaits and that never come would hold their places for ever.
    fn retire_if_stuck(&self) {
        let mut state = self.lock();
        let is_stuck = |waiting: &Waiting| {
            waiting.answer.is_closed() && waiting.since.elapsed() > ABANDONED_FOR_GOOD
        };
        if state.waiting.values().any(is_stuck) {
            self.leave(&mut state, Phase::Retired);
        }
    }

    /// The end: everybody who still waits is told what became of their request.
    pub(super) fn end(&self, cause: &Cause) {
        let (waiting, written, served) = {
            let mut state = self.lock();
            self.leave(&mut state, Phase::Ended);
            state.out.wipe();
            (std::mem::take(&mut state.waiting), state.written, state.served)
        };
        for waiting in waiting.into_values() {
            let _ = waiting.answer.send(match cause {
                Cause::Told(reply) => Answer::Told(reply.clone()),
                // No request is read before the certificate of its client was accepted.
                Cause::KeptOut(why) if !served => Answer::KeptOut(why.clone()),
                _ if waiting.end > written => Answer::NotSent,
                cause => Answer::Lost(cause.clone()),
            });
        }
        self.ended.send_replace(true);
    }

    fn leave(&self, state: &mut State, phase: Phase) {
        if state.phase != Phase::Ended {
            state.phase = phase;
        }
        self.slots.close();
        self.room.notify_waiters();
        self.wake.notify_one();
    }

    /// Ends it without waiting for replies.
    pub(super) fn cut(&self) {
        self.cut.notify_one();
    }

    pub(super) async fn until_cut(&self) {
        self.cut.notified().await;
    }

    pub(super) async fn until_wake(&self) {
        self.wake.notified().await;
    }

    pub(super) async fn ended(&self) {
        // The sender lives as long as `self`.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Swaps `batch`, which was written, for what is queued. False where nothing is queued and
    /// nothing will be.
    pub(super) fn take(&self, batch: &mut Outgoing) -> bool {
        let mut state = self.lock();
        std::mem::swap(&mut state.out, batch);
        state.taken += batch.bytes().len() as u64;
        self.room.notify_waiters();
        !batch.bytes().is_empty() || state.phase == Phase::Open
    }

    pub(super) fn wrote(&self, bytes: usize) {
        self.lock().written += bytes as u64;
    }

    pub(super) fn has_written(&self, end: u64) -> bool {
        self.lock().written >= end
    }

    pub(super) fn takes_requests(&self) -> bool {
        self.lock().phase == Phase::Open
    }

    /// Whether it ever answered anything but that it is going down.
    pub(super) fn has_served(&self) -> bool {
        self.lock().served
    }

    /// Whether somebody waits for a reply.
    pub(super) fn is_awaited(&self) -> bool {
        self.lock().waiting.values().any(|waiting| !waiting.answer.is_closed())
    }

    /// Whether the server would read one more request now.
    pub(super) fn has_room(&self) -> bool {
        let state = self.lock();
        state.waiting.len() < state.max_in_flight as usize
    }

    pub(super) fn idle_timeout(&self) -> Option<Duration> {
        self.lock().idle_timeout
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is left, in milliseconds. Never 0, which would say that it is over.
fn millis_until(deadline: Instant) -> u32 {
    let left = deadline.saturating_duration_since(Instant::now()).as_millis();
    u32::try_from(left).unwrap_or(u32::MAX).max(1)
}

fn is_shutting_down(body: &[u8]) -> bool {
    ErrorReply::decode_owned(body).is_ok_and(|reply| reply.code == ErrorCode::SHUTTING_DOWN)
}

#[cfg(test)]
mod tests;
