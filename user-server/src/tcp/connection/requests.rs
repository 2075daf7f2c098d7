//! The requests of a connection: the processing of its frames, and the replies.

use std::time::Duration;

use tokio::time::Instant;
use user_proto::frame::{self, Frame};
use user_proto::limits::{CONNECTION_ID, TRUSTED_TYPES};
use user_proto::{Common, Reply, Request};

use super::super::counters::{self, Batch};
use super::super::in_flight::CompletedRequest;
use super::super::refusals::RefusalLimiter;
use super::super::request_limiter::RequestOrigin;
use super::super::watch::WatchRequest;
use super::{Connection, Stage};
use crate::domain::{ClientNetwork, Exhausted};
use crate::handler::{self, ClockReading, Handler, PendingWatch};
use crate::metrics::CloseReason;

/// Retry delay sent to a client with too many requests in flight.
const BUSY_RETRY_AFTER: Duration = Duration::from_millis(100);
/// Time after which the server again tries to start a request that has to wait for other requests
/// of its peer.
const SLOT_RETRY_AFTER: Duration = Duration::from_millis(20);

/// Pause of a connection of an untrusted peer after a refused request, in which its other
/// connections have their turn.
const REFUSAL_PAUSE: Duration = Duration::from_millis(2);

/// Result of processing a frame.
enum Processed {
    /// The frame was answered. The value is the index of the outcome in the request metrics.
    Answered(usize),
    /// A task will answer the request of the frame, or the connection closes.
    Started,
    /// The frame has to wait until this time, since its peer has too many other requests in flight
    /// or was refused too many. It stays in the read buffer.
    WaitUntil(Instant),
}

impl Connection {
    /// Answers or starts the complete frames at the front of `bytes`, and returns the number of
    /// bytes that they take.
    pub(super) fn process_frames(&mut self, bytes: &[u8]) -> usize {
        let (mut consumed, mut frame_error) = (0, None);
        let clocks = self.context.handler.read_clocks();
        let mut batch = Batch::new(clocks.instant);
        self.check_refusals = true;
        while self.is_reading() {
            match frame::split(bytes.get(consumed..).unwrap_or_default()) {
                Ok(Some((frame, size))) => {
                    self.last_frame = clocks.instant;
                    self.has_frame = true;
                    self.frame_started = None;
                    match self.process_frame(frame, clocks) {
                        Processed::Answered(outcome) => {
                            let requests = &self.context.metrics.requests;
                            batch.answered(counters::type_index(frame.kind), outcome, requests);
                        }
                        Processed::Started => {}
                        Processed::WaitUntil(at) => {
                            self.resume_at = Some(at);
                            break;
                        }
                    }
                    consumed += size;
                }
                Ok(None) => break,
                Err(error) => {
                    frame_error = Some(error);
                    break;
                }
            }
        }
        batch.end(&self.context.metrics.requests);
        let Some(error) = frame_error else { return consumed };
        self.close_with(handler::frame_error(error), CloseReason::FrameError);
        bytes.len()
    }

    /// Answers a frame, or starts a task that will answer it.
    fn process_frame(&mut self, frame: Frame<'_>, clocks: ClockReading) -> Processed {
        if frame.id == CONNECTION_ID || self.is_in_flight(frame.id) {
            self.close_with(handler::malformed_id(), CloseReason::RequestId);
            return Processed::Started;
        }
        if let Stage::Draining { .. } = self.stage {
            return self.answer(frame, &handler::shutting_down().into());
        }
        if std::mem::take(&mut self.check_refusals)
            && let Some(peer) = self.counted_peer()
            && let Err(Exhausted { until }) = self.context.refusals.check(peer, clocks.instant)
        {
            return Processed::WaitUntil(until);
        }
        if !self.peer.trusted && TRUSTED_TYPES.contains(&frame.kind) {
            return self.answer(frame, &handler::not_permitted().into());
        }
        match Request::decode(frame.kind, frame.body) {
            Err(error) => self.answer(frame, &handler::undecodable(error).into()),
            Ok((request, common)) => {
                if let Some(reply) = self.context.handler.answer_now(&request, &common, clocks) {
                    return self.answer(frame, &reply);
                }
                match self.context.handler.watch(&request, &common, self.last_read) {
                    Some(watch) => self.start_watch(frame, watch, clocks.instant),
                    None => self.start(frame, request, common),
                }
            }
        }
    }

    fn answer(&mut self, frame: Frame<'_>, reply: &Reply<'_>) -> Processed {
        if let Some(peer) = self.counted_peer()
            && RefusalLimiter::counts(reply)
        {
            let now = Instant::now();
            self.check_refusals = true;
            self.resume_at = Some(now + REFUSAL_PAUSE);
            self.context.refusals.add(peer, now);
        }
        Processed::Answered(self.reply(frame.id, reply))
    }

    /// Returns the network by which refused requests are counted, or `None` if the peer is trusted.
    fn counted_peer(&self) -> Option<ClientNetwork> {
        (!self.peer.trusted).then(|| self.peer.ip.into())
    }

    fn is_in_flight(&self, id: u32) -> bool {
        self.in_flight.contains(id) || self.watch.is(id)
    }

    /// Answers a request that waits for revocations, if there are any, or leaves it waiting. Only
    /// one can wait.
    fn start_watch(&mut self, frame: Frame<'_>, watch: PendingWatch, now: Instant) -> Processed {
        if self.watch.is_some() {
            return self.answer(frame, &handler::busy(BUSY_RETRY_AFTER).into());
        }
        if watch.is_due(now) {
            let reply = self.context.handler.answer_watch(&watch);
            return self.answer(frame, &reply);
        }
        let type_index = counters::type_index(frame.kind);
        self.watch.set(WatchRequest { id: frame.id, type_index, watch });
        Processed::Started
    }

    /// Answers the request that waits for revocations, if there is one. The wait is the client's
    /// wish: it counts neither as latency nor as idle time.
    pub(super) fn answer_watch(&mut self) {
        let Some(request) = self.watch.take() else { return };
        let now = Instant::now();
        let reply = self.context.handler.answer_watch(&request.watch);
        let outcome = self.reply(request.id, &reply);
        self.last_frame = now;
        let requests = &self.context.metrics.requests;
        requests.answered(request.type_index, outcome, now.elapsed(), 1);
    }

    /// Starts a task that executes a request, unless the request is refused or has to wait. The
    /// task continues if the connection closes, so that a change that it has begun is completed.
    fn start(&mut self, frame: Frame<'_>, request: Request<'_>, common: Common<'_>) -> Processed {
        if let Some(refusal) = Handler::refuse_too_large(&request) {
            return self.answer(frame, &refusal.into());
        }
        let hashes = Handler::hashes(&request);
        if hashes && self.in_flight.hashing() >= self.context.limits.hashing {
            return self.answer(frame, &handler::busy(BUSY_RETRY_AFTER).into());
        }
        let network = self.peer.client_network(&common);
        let end_user = network.filter(|_| self.peer.trusted);
        if end_user.is_some_and(|user| self.is_full_for(user, hashes)) {
            return self.answer(frame, &handler::busy(BUSY_RETRY_AFTER).into());
        }
        let origin = match (self.peer.trusted, network) {
            (false, Some(network)) => RequestOrigin::Untrusted(network),
            (_, network) => RequestOrigin::Trusted(network),
        };
        if network.is_none() {
            self.context.unnamed.count(&self.context.metrics.connections, self.peer.ip);
        }
        let Some(slot) = self.context.requests.acquire(origin, frame.body.len()) else {
            // A gateway has other end users to serve; an untrusted peer waits.
            return match self.peer.trusted {
                true => self.answer(frame, &handler::busy(BUSY_RETRY_AFTER).into()),
                false => Processed::WaitUntil(Instant::now() + SLOT_RETRY_AFTER),
            };
        };
        let charge = match self.counted_peer() {
            Some(peer) => match self.context.refusals.charge(peer, Instant::now()) {
                Ok(charge) => Some(charge),
                Err(Exhausted { until }) => return Processed::WaitUntil(until),
            },
            None => None,
        };
        let (peer, frame) = ((self.id, &self.peer), (frame, self.last_read));
        self.in_flight.start(&self.context, peer, frame, request, common, (slot, end_user, charge));
        Processed::Started
    }

    /// Returns true if an end user of a trusted peer has its part of this connection's requests in
    /// flight.
    fn is_full_for(&self, user: ClientNetwork, hashes: bool) -> bool {
        let limits = &self.context.limits;
        self.in_flight.is_full_for(user, limits.in_flight, false)
            || hashes && self.in_flight.is_full_for(user, limits.hashing, true)
    }

    /// Logs and counts a completed request, and adds its reply to the write buffer.
    pub(super) fn finish(&mut self, completed: CompletedRequest) {
        let CompletedRequest { id, type_index, span, duration, reply, slot: _slot, charge } =
            completed;
        if let (Some(peer), Some(charge)) = (self.counted_peer(), charge)
            && !RefusalLimiter::counts(&reply)
        {
            self.context.refusals.refund(peer, charge, Instant::now());
        }
        let outcome = match &reply {
            Reply::ErrorReply(error) => error.code.name(),
            _ => "OK",
        };
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(parent: &span, outcome, duration_ms, "a request was answered");
        let outcome = self.reply(id, &reply);
        self.context.metrics.requests.answered(type_index, outcome, duration, 1);
    }
}
