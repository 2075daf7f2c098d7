//! The request of a connection that waits for revocations. A client sends the next one after each
//! answer, so it costs no task, no timer and no line in the log, and nothing is allocated while
//! none waits.

use std::task::{Context, Poll};

use tokio::time::Instant;

use crate::handler::PendingWatch;

/// The request of a connection that waits for revocations, if there is one.
#[derive(Default)]
pub(super) struct ConnectionWatch(Option<Box<WatchRequest>>);

/// A request that waits for revocations.
pub(super) struct WatchRequest {
    pub(super) id: u32,
    /// Index of the message type in the request metrics.
    pub(super) type_index: usize,
    pub(super) watch: PendingWatch,
}

impl ConnectionWatch {
    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn is(&self, id: u32) -> bool {
        self.0.as_ref().is_some_and(|request| request.id == id)
    }

    pub(super) fn set(&mut self, request: WatchRequest) {
        self.0 = Some(Box::new(request));
    }

    /// Returns the time at which the request is answered even if there is no revocation, or `None`
    /// if no request waits.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        self.0.as_ref().map(|request| request.watch.ends_at())
    }

    /// Polls for a revocation that the request waits for. Stays pending if no request waits.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().map_or(Poll::Pending, |request| request.watch.poll(context))
    }

    pub(super) fn take(&mut self) -> Option<Box<WatchRequest>> {
        self.0.take()
    }
}
