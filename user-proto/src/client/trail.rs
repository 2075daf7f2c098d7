//! What one call has been through, so that its end can be told truly.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;
use super::error::{Cause, Error};

/// The attempts of one call so far.
#[derive(Default)]
pub(super) struct Trail {
    /// The attempt that is in flight: its connection, and where its frame ends in the outgoing
    /// stream.
    now: Option<(Arc<Connection>, u64)>,
    first_sent: Option<Instant>,
    /// Why an earlier attempt was lost after it was written: from then on the outcome is unknown.
    lost: Option<Cause>,
    last: Option<Error>,
}

impl Trail {
    pub(super) fn sent(&mut self, connection: &Arc<Connection>, end: u64) {
        self.now = Some((Arc::clone(connection), end));
        self.first_sent.get_or_insert_with(Instant::now);
    }

    pub(super) fn since_first_sent(&self) -> Duration {
        self.first_sent.map(|first| first.elapsed()).unwrap_or_default()
    }

    pub(super) fn not_sent(&mut self) {
        self.now = None;
    }

    pub(super) fn failed(&mut self, error: Error) {
        self.now = None;
        self.last = Some(error);
    }

    pub(super) fn lost(&mut self, cause: Cause) {
        self.now = None;
        self.lost = Some(cause);
    }

    /// Whether an earlier attempt may have been executed.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// The call ends with what ended its attempts.
    pub(super) fn give_up(&mut self) -> Error {
        match self.last.take() {
            Some(error) => self.end(error),
            None => self.end(Error::DeadlineExceeded { sent: false }),
        }
    }

    /// The call ends with `error`, unless an attempt before it may have been executed.
    pub(super) fn end(&mut self, error: Error) -> Error {
        match self.lost.take() {
            Some(cause) => Error::Lost { cause },
            None => error,
        }
    }

    /// The call's time ran out. Why there was no server says more than that there was no time.
    pub(super) fn at_deadline(&mut self) -> Error {
        match self.now.take() {
            Some((connection, end)) if connection.has_written(end) => {
                Error::DeadlineExceeded { sent: true }
            }
            _ => self.give_up(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;
    use crate::client::config::Config;
    use crate::client::drive;
    use crate::{Common, Logout};

    #[tokio::test]
    async fn at_its_deadline_a_call_knows_whether_it_was_written() {
        // The pipe takes less than the request, and more when it is read.
        let (near, mut far) = duplex(16);
        let connection = drive::start(near, &Config::default());
        let request = Logout { token: "a token of some length".into(), all_sessions: None };
        for written in [false, true] {
            let sent =
                connection.send(&request, &mut Common::default(), None).await.unwrap().unwrap();
            let mut trail = Trail::default();
            trail.sent(&connection, sent.end);
            if written {
                while !connection.has_written(sent.end) {
                    far.read_buf(&mut Vec::with_capacity(16)).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
            let error = trail.at_deadline();
            assert!(
                matches!(error, Error::DeadlineExceeded { sent } if sent == written),
                "{written}: {error}"
            );
        }
    }
}
