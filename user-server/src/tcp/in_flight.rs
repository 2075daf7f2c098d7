//! The requests of a connection that have a task of their own. Nothing of it is there while none
//! has.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument;
use user_proto::frame::Frame;
use user_proto::{Common, Reply, Request};

use super::connection::ConnectionContext;
use super::counters;
use crate::handler::{self, Handler, Peer};

/// The requests in flight.
#[derive(Default)]
pub(super) struct InFlight(Option<Box<Running>>);

struct Running {
    tasks: JoinSet<Reply<'static>>,
    pending: Vec<Pending>,
    /// Who has gone costs no hash.
    gone: DropGuard,
}

/// A request that has a task.
struct Pending {
    task: Id,
    id: u32,
    row: usize,
    name: &'static str,
    hashes: bool,
    arrived: Instant,
}

/// A request whose task has ended.
pub(super) struct CompletedRequest {
    pub(super) id: u32,
    pub(super) row: usize,
    pub(super) name: &'static str,
    pub(super) took: Duration,
    pub(super) reply: Reply<'static>,
}

impl InFlight {
    fn pending(&self) -> &[Pending] {
        self.0.as_deref().map(|running| running.pending.as_slice()).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.pending().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending().is_empty()
    }

    pub(super) fn has(&self, id: u32) -> bool {
        self.pending().iter().any(|pending| pending.id == id)
    }

    /// How many of them hash, or wait to.
    pub(super) fn hashing(&self) -> usize {
        self.pending().iter().filter(|pending| pending.hashes).count()
    }

    /// Gives a request a task.
    pub(super) fn start(
        &mut self,
        connection: &Arc<ConnectionContext>,
        peer: &Peer,
        frame: Frame<'_>,
        request: Request<'_>,
        common: Common<'_>,
    ) {
        let running = self.0.get_or_insert_with(|| {
            let gone = CancellationToken::new().drop_guard();
            Box::new(Running { tasks: JoinSet::new(), pending: Vec::new(), gone })
        });
        let (id, row) = (frame.id, counters::row(frame.kind));
        let (_, name) = request.row();
        let hashes = Handler::hashes(&request);
        let (request, common) = (request.into_owned(), common.into_owned());
        let (handler, peer, gone) =
            (connection.handler.clone(), peer.clone(), running.gone.token().clone());
        let arrived = Instant::now();
        let traceparent = common.traceparent.as_deref().filter(|text| is_traceparent(text));
        let span = tracing::info_span!("request", request = name, id, traceparent);
        let in_flight = connection.metrics.requests.begin();
        let answer = async move {
            let _in_flight = in_flight;
            handler.answer(request, &common, &peer, arrived, gone).await
        };
        let answer = answer.instrument(span);
        let task = running.tasks.spawn(connection.tasks.track_future(answer)).id();
        running.pending.push(Pending { task, id, row, name, hashes, arrived });
    }

    /// The next one that has ended; pending also where there is none.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<CompletedRequest> {
        loop {
            let Some(running) = &mut self.0 else { return Poll::Pending };
            let (task, reply) =
                match std::task::ready!(running.tasks.poll_join_next_with_id(context)) {
                    Some(Ok((task, reply))) => (task, reply),
                    Some(Err(error)) => {
                        tracing::error!(%error, "a request's task failed");
                        (error.id(), handler::internal().into())
                    }
                    None => {
                        self.0 = None;
                        return Poll::Pending;
                    }
                };
            if let Some(place) = running.pending.iter().position(|pending| pending.task == task) {
                let Pending { id, row, name, arrived, .. } = running.pending.swap_remove(place);
                return Poll::Ready(CompletedRequest {
                    id,
                    row,
                    name,
                    took: arrived.elapsed(),
                    reply,
                });
            }
        }
    }

    /// Lets all go on by themselves; the row of each.
    pub(super) fn detach(&mut self) -> impl Iterator<Item = usize> + use<> {
        let mut running = self.0.take();
        if let Some(running) = &mut running {
            running.tasks.detach_all();
        }
        running
            .map(|running| running.pending)
            .unwrap_or_default()
            .into_iter()
            .map(|pending| pending.row)
    }
}

/// Whether a text has the form of version 00 (W3C Trace Context, section 3.2). Anything else a
/// client could write into the log.
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
