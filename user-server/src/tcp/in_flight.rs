//! The requests of a connection that are executed in tasks. Nothing is allocated while there are
//! none.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{Instrument, Span};
use user_proto::frame::Frame;
use user_proto::{Common, Reply, Request};

use super::context::ConnectionContext;
use super::counters;
use super::request_limiter::{END_USER_DIVISORS, RequestSlot};
use crate::domain::{ClientNetwork, NetworkCharge};
use crate::handler::{self, Handler, Peer};

/// The requests of a connection that are executed in tasks.
#[derive(Default)]
pub(super) struct RequestsInFlight(Option<Box<RequestTasks>>);

struct RequestTasks {
    tasks: JoinSet<(Reply<'static>, RequestSlot)>,
    requests: Vec<PendingRequest>,
    /// Guard that is dropped when the connection closes. It then cancels the requests' token, so
    /// that no further password is hashed for a client that has left.
    gone: DropGuard,
}

/// A request that a task executes.
struct PendingRequest {
    task: Id,
    id: u32,
    /// Index of the message type in the request metrics.
    type_index: usize,
    span: Span,
    hashes: bool,
    /// Network of the end user of a trusted peer, or `None` if it is not known or the peer is not
    /// trusted.
    end_user: Option<ClientNetwork>,
    charge: Option<NetworkCharge>,
    arrived: Instant,
}

/// A request that a task has executed, with its reply.
pub(super) struct CompletedRequest {
    pub(super) id: u32,
    /// Index of the message type in the request metrics.
    pub(super) type_index: usize,
    /// Names the request in the log.
    pub(super) span: Span,
    pub(super) duration: Duration,
    pub(super) reply: Reply<'static>,
    /// Slot of the request, which its reply occupies too until it is in the write buffer. `None` if
    /// the task failed.
    pub(super) slot: Option<RequestSlot>,
    /// Charge of the request if its peer is not trusted.
    pub(super) charge: Option<NetworkCharge>,
}

impl RequestsInFlight {
    fn requests(&self) -> &[PendingRequest] {
        self.0.as_deref().map(|tasks| tasks.requests.as_slice()).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.requests().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests().is_empty()
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        self.requests().iter().any(|request| request.id == id)
    }

    /// Returns the number of requests in flight that hash a password, or wait to do so.
    pub(super) fn hashing(&self) -> usize {
        self.requests().iter().filter(|request| request.hashes).count()
    }

    /// Returns true if an end user of a trusted peer already has the largest permitted part of the
    /// connection's `limit` of requests in flight, or of those that hash if `hashing` is set.
    pub(super) fn is_full_for(&self, user: ClientNetwork, limit: usize, hashing: bool) -> bool {
        let counted = |request: &&PendingRequest| request.hashes || !hashing;
        user.prefixes().zip(END_USER_DIVISORS).any(|(prefix, divisor)| {
            let within = |request: &PendingRequest| {
                request.end_user.is_some_and(|network| prefix.contains(network))
            };
            let count = self.requests().iter().filter(counted).filter(|one| within(one)).count();
            count >= (limit / divisor).max(1)
        })
    }

    /// Spawns the task that executes a request, which arrived at `arrived` over the connection with
    /// this number, on behalf of `end_user` if a trusted peer named one.
    pub(super) fn start(
        &mut self,
        connection: &Arc<ConnectionContext>,
        (connection_id, peer): (u32, &Peer),
        (frame, arrived): (Frame<'_>, Instant),
        request: Request<'_>,
        mut common: Common<'_>,
        (slot, end_user, charge): (RequestSlot, Option<ClientNetwork>, Option<NetworkCharge>),
    ) {
        // Before it is copied: only a valid value is used, and a valid one is short.
        common.traceparent = common.traceparent.filter(|text| is_traceparent(text));
        let tasks = self.0.get_or_insert_with(|| {
            let gone = CancellationToken::new().drop_guard();
            Box::new(RequestTasks { tasks: JoinSet::new(), requests: Vec::new(), gone })
        });
        let (id, type_index) = (frame.id, counters::type_index(frame.kind));
        let (_, name) = request.row();
        let hashes = Handler::hashes(&request);
        let (request, common) = (request.into_owned(), common.into_owned());
        let (handler, peer, gone) =
            (connection.handler.clone(), peer.clone(), tasks.gone.token().clone());
        let traceparent = common.traceparent.as_deref();
        let span = tracing::info_span!(
            "request",
            connection = connection_id,
            peer = %peer.ip,
            request = name,
            id,
            traceparent
        );
        let counted = connection.metrics.requests.start();
        let answer = async move {
            let _counted = counted;
            (handler.answer(request, &common, &peer, arrived, gone).await, slot)
        };
        let answer = answer.instrument(span.clone());
        let task = tasks.tasks.spawn(connection.tasks.track_future(answer)).id();
        let pending =
            PendingRequest { task, id, type_index, span, hashes, end_user, charge, arrived };
        tasks.requests.push(pending);
    }

    /// Polls for the next request that is completed. Stays pending if no requests are in flight.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<CompletedRequest> {
        loop {
            let Some(tasks) = &mut self.0 else { return Poll::Pending };
            let joined = std::task::ready!(tasks.tasks.poll_join_next_with_id(context));
            let (task, answer) = match joined {
                Some(Ok((task, answer))) => (task, Ok(answer)),
                Some(Err(error)) => (error.id(), Err(error)),
                None => {
                    self.0 = None;
                    return Poll::Pending;
                }
            };
            if let Some(index) = tasks.requests.iter().position(|request| request.task == task) {
                let PendingRequest { id, type_index, span, charge, arrived, .. } =
                    tasks.requests.swap_remove(index);
                let (reply, slot) = match answer {
                    Ok((reply, slot)) => (reply, Some(slot)),
                    Err(error) => {
                        tracing::error!(parent: &span, %error, "the task of a request failed");
                        (handler::internal().into(), None)
                    }
                };
                let duration = arrived.elapsed();
                return Poll::Ready(CompletedRequest {
                    id,
                    type_index,
                    span,
                    duration,
                    reply,
                    slot,
                    charge,
                });
            }
        }
    }

    /// Detaches the tasks, which continue, and returns the index of each request's type in the
    /// request metrics.
    pub(super) fn detach(&mut self) -> impl Iterator<Item = usize> + use<> {
        let mut tasks = self.0.take();
        if let Some(tasks) = &mut tasks {
            tasks.tasks.detach_all();
        }
        tasks
            .map(|tasks| tasks.requests)
            .unwrap_or_default()
            .into_iter()
            .map(|request| request.type_index)
    }
}

/// Returns true if a text is a `traceparent` of version 00 (W3C Trace Context, section 3.2). A
/// client could write any other text into the log.
fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
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
        for text in [
            "",
            "00-0-0-0",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            &"x".repeat(9000),
        ] {
            assert!(!is_traceparent(text), "{text}");
        }
    }
}
