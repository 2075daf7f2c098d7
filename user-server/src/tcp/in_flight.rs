//! The requests of a connection that have a task of their own. Nothing of it is there while none has.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument;
use user_proto::frame::Frame;
use user_proto::{Common, Reply, Request};

use super::connection::Shared;
use super::tally;
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
pub(super) struct Ended {
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
        shared: &Arc<Shared>,
        peer: &Peer,
        frame: Frame<'_>,
        request: Request<'_>,
        common: Common<'_>,
    ) {
        let running = self.0.get_or_insert_with(|| {
            let gone = CancellationToken::new().drop_guard();
            Box::new(Running { tasks: JoinSet::new(), pending: Vec::new(), gone })
        });
        let (id, row) = (frame.id, tally::row(frame.kind));
        let (_, name) = request.row();
        let hashes = Handler::hashes(&request);
        let (request, common) = (request.into_owned(), common.into_owned());
        let (handler, peer, gone) = (shared.handler.clone(), peer.clone(), running.gone.token().clone());
        let arrived = Instant::now();
        let span = tracing::info_span!("request", request = name, id, traceparent = common.traceparent.as_deref());
        let in_flight = shared.metrics.requests.begin();
        let answer = async move {
            let _in_flight = in_flight;
            handler.answer(request, &common, &peer, arrived, gone).await
        };
        let answer = answer.instrument(span);
        let task = running.tasks.spawn(shared.tasks.track_future(answer)).id();
        running.pending.push(Pending { task, id, row, name, hashes, arrived });
    }

    /// The next one that has ended; pending also where there is none.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let Some(running) = &mut self.0 else { return Poll::Pending };
            let (task, reply) = match std::task::ready!(running.tasks.poll_join_next_with_id(context)) {
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
                return Poll::Ready(Ended { id, row, name, took: arrived.elapsed(), reply });
            }
        }
    }

    /// Lets all go on by themselves; the row of each.
    pub(super) fn detach(&mut self) -> impl Iterator<Item = usize> + use<> {
        let mut running = self.0.take();
        if let Some(running) = &mut running {
            running.tasks.detach_all();
        }
        running.map(|running| running.pending).unwrap_or_default().into_iter().map(|pending| pending.row)
    }
}
