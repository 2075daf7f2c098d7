//! Commits that wait for a synchronous standby.
//!
//! While none is connected, the server confirms no commit. It keeps the connection of each one open
//! until a standby has it, also when its client is long gone. Requests that gave up and began again
//! would use up the connections of the server, and those of the pool, which lookups need.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Pools;
use crate::domain::Fault;

/// Query for the number of commits of this service that wait for a synchronous standby, on
/// connections of any node. A connection without an answer is closed a second after its statement
/// was sent, which takes a moment to arrive. Sessions belong to the role that logged in, whatever
/// SET ROLE was executed since.
const WAITING: &str = "SELECT COUNT(*) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = session_user
      AND wait_event_type = 'IPC' AND wait_event = 'SyncRep'
      AND state_change < clock_timestamp() - INTERVAL '750 ms'";

/// Knowledge of a node about waiting commits.
#[derive(Default)]
pub(super) struct WaitingCommits {
    /// Number of connections that had been closed without an answer when no commit was found
    /// waiting.
    settled: AtomicU64,
    /// Set while changes are refused.
    found: AtomicBool,
}

impl Pools {
    /// Fails while commits wait for a synchronous standby. The server is asked only after a
    /// connection was closed without an answer. As long as one commit waits, no further one
    /// is sent; when it has been confirmed, the next change succeeds.
    pub(super) async fn check_commits(&self) -> Result<(), Fault> {
        let closed = self.pool.closed_unanswered();
        if closed == self.commits.settled.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut tx = self.read().await?;
        // Other engines have no such view. A silent server will not answer the change either.
        let waiting = tx.number(WAITING).await.unwrap_or(0);
        tx.finish().await?;
        let found = waiting > 0;
        if !found {
            self.commits.settled.fetch_max(closed, Ordering::Relaxed);
        }
        if self.commits.found.swap(found, Ordering::Relaxed) != found {
            match found {
                true => tracing::warn!(
                    waiting,
                    "commits wait for a synchronous standby: changes are refused at once"
                ),
                false => tracing::info!("commits no longer wait for a synchronous standby"),
            }
        }
        match found {
            true => Err(Fault::Unavailable("commits wait for a synchronous standby".to_owned())),
            false => Ok(()),
        }
    }
}
