//! Circuit breaker of a database: while it is open, no request waits for the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::sync::watch;

/// Number of lost, refused or silent connections in a row that open the circuit breaker.
const MAX_FAILURES: u32 = 3;

/// Circuit breaker of one database. A clone is the same circuit breaker.
///
/// It opens when a probe gets no answer, and when connections are lost, refused or silent several
/// times in a row. Only the next answer to a probe closes it.
#[derive(Clone)]
pub(super) struct DatabaseBreaker(Arc<State>);

struct State {
    open: watch::Sender<bool>,
    failures: AtomicU32,
    /// Number of times that it opened.
    opened: AtomicU64,
}

impl DatabaseBreaker {
    /// Creates a circuit breaker that is closed.
    pub(super) fn new() -> Self {
        let (open, _) = watch::channel(false);
        Self(Arc::new(State { open, failures: AtomicU32::new(0), opened: AtomicU64::new(0) }))
    }

    /// Counts a lost, refused or silent connection.
    pub(super) fn failed(&self, why: &str) {
        if self.0.failures.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_FAILURES {
            self.open(why);
        }
    }

    /// Notes that the database has answered a request.
    pub(super) fn answered(&self) {
        self.0.failures.store(0, Ordering::Relaxed);
    }

    /// Opens the circuit breaker. `why` is logged.
    pub(super) fn open(&self, why: &str) {
        if !self.0.open.send_replace(true) {
            self.0.opened.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(why, "the database does not answer: requests are refused at once");
        }
    }

    /// Closes the circuit breaker: the database has answered a probe.
    pub(super) fn close(&self) {
        self.answered();
        if self.0.open.send_replace(false) {
            tracing::info!("the database answers again");
        }
    }

    pub(super) fn is_open(&self) -> bool {
        *self.0.open.borrow()
    }

    /// Returns the number of times that it opened. Connections from before an opening are suspect.
    pub(super) fn times_opened(&self) -> u64 {
        self.0.opened.load(Ordering::Relaxed)
    }

    /// Waits until the circuit breaker is open.
    pub(super) async fn opened(&self) {
        let mut open = self.0.open.subscribe();
        if open.wait_for(|open| *open).await.is_err() {
            // Unreachable, since `self` holds the sender.
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_and_only_a_probe_closes_it() {
        let breaker = DatabaseBreaker::new();
        for _ in 0..2 {
            breaker.failed("refused");
        }
        breaker.answered();
        for _ in 0..2 {
            breaker.failed("refused");
        }
        assert!(!breaker.is_open(), "not in a row");
        breaker.failed("refused");
        assert!(breaker.is_open());
        breaker.answered();
        assert!(breaker.is_open());
        breaker.close();
        assert!(!breaker.is_open());
        assert_eq!(breaker.times_opened(), 1);
    }
}
