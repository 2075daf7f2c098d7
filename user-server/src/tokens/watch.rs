//! The wait of one client for revocations that it does not know yet.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::feed::RevocationPage;
use super::{Revocations, Tokens};
use crate::domain::Timestamp;

impl Tokens {
    /// Begins to wait for revocations that follow a cursor. For a cursor that this run of the node
    /// did not issue, all revocations follow.
    #[must_use]
    pub fn watch_revocations(&self, cursor: &[u8]) -> RevocationWatch {
        let position = self.revocations.feed().position(cursor);
        RevocationWatch {
            revocations: self.revocations.clone(),
            from: position.unwrap_or(0),
            from_start: position.is_none(),
            registered: None,
        }
    }
}

/// Wait of one client for revocations.
pub struct RevocationWatch {
    revocations: Arc<Revocations>,
    /// Number of the first entry that the client does not know.
    from: u64,
    /// Set if the client gets all entries. It is answered at once, even if there are none, since it
    /// knows nothing before the first answer.
    from_start: bool,
    /// Number of the watch in the feed, and the waker that was registered.
    registered: Option<(u64, Waker)>,
}

impl RevocationWatch {
    /// Returns true if the client can be answered without waiting.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.from_start || self.revocations.feed().has_entries_from(self.from)
    }

    /// Polls for an entry that the client does not know.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_ready() {
            return Poll::Ready(());
        }
        let waker = context.waker();
        // A registered waker stays registered until there is an entry.
        if self.registered.as_ref().is_some_and(|(_, known)| known.will_wake(waker)) {
            return Poll::Pending;
        }
        let watch = self.registered.take().map(|(watch, _)| watch);
        match self.revocations.feed().register(self.from, watch, waker.clone()) {
            Some(watch) => {
                self.registered = Some((watch, waker.clone()));
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }

    /// Returns the revocations that the client does not know, and the age of this node's knowledge
    /// at the given readings of the wall clock and the monotonic clock.
    #[must_use]
    pub fn page(&self, time: Timestamp, now: Instant) -> (RevocationPage, Duration) {
        // The age first: an entry that a later read adds makes the page more recent, not older.
        let age = match self.revocations.may_lack_erased(time) {
            // The client has to ask for every token.
            true => Duration::MAX,
            false => self.revocations.age(now),
        };
        (self.revocations.feed().page(self.from), age)
    }
}

impl Drop for RevocationWatch {
    fn drop(&mut self) {
        if let Some((watch, _)) = self.registered.take() {
            self.revocations.feed().deregister(watch);
        }
    }
}
