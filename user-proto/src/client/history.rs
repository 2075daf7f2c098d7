//! The history of one call, which decides the error that the call ends with.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;
use super::error::{CloseReason, Error};
use crate::error_code::ErrorOutcome;
use crate::table::ErrorReply;

/// Wait after `BUSY` if the server does not state one.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The attempts of one call so far.
#[derive(Default)]
pub(super) struct CallHistory {
    /// Deadline of the call; `None` if it has none.
    deadline: Option<Instant>,
    /// Number of attempts for which the server was busy.
    busy: u32,
    /// Attempt in flight: its connection, and the offset in the connection's outgoing stream at
    /// which the frame of the request ends.
    in_flight: Option<(Arc<Connection>, u64)>,
    first_sent: Option<Instant>,
    /// Reason for the loss of an attempt that was already written, or `None` if no attempt was
    /// lost. Once it is set, it is unknown whether the server has executed the request.
    lost: Option<CloseReason>,
    last_error: Option<Error>,
}

impl CallHistory {
    pub(super) fn until(deadline: Option<Instant>) -> Self {
        Self { deadline, ..Self::default() }
    }

    /// Records that the server was busy. Returns the time to wait before the next attempt:
    /// the one that the server asks for, and up to half as long again at random, so that many
    /// clients do not repeat their requests at the same time. Returns `None` after `attempts`
    /// attempts, or if the deadline would pass meanwhile.
    pub(super) fn wait_after_busy(
        &mut self,
        reply: &ErrorReply<'static>,
        attempts: u32,
        fraction: f64,
    ) -> Option<Duration> {
        self.busy += 1;
        let wait =
            reply.retry_after_ms.map_or(DEFAULT_RETRY_AFTER, |ms| Duration::from_millis(ms.into()));
        let wait = wait.mul_f64(1.0 + fraction / 2.0);
        let in_time = |deadline: Instant| {
            Instant::now().checked_add(wait).is_some_and(|next| next < deadline)
        };
        let repeats = self.busy < attempts && self.deadline.is_none_or(in_time);
        repeats.then(|| {
            self.failed(Error::Refused(reply.clone()));
            wait
        })
    }

    pub(super) fn sent(&mut self, connection: &Arc<Connection>, end: u64) {
        self.in_flight = Some((Arc::clone(connection), end));
        self.first_sent.get_or_insert_with(Instant::now);
    }

    pub(super) fn since_first_sent(&self) -> Duration {
        self.first_sent.map(|first| first.elapsed()).unwrap_or_default()
    }

    pub(super) fn not_sent(&mut self) {
        self.in_flight = None;
    }

    pub(super) fn failed(&mut self, error: Error) {
        self.in_flight = None;
        self.last_error = Some(error);
    }

    pub(super) fn lost(&mut self, reason: CloseReason) {
        self.in_flight = None;
        self.lost = Some(reason);
    }

    /// Returns `true` if an attempt was lost after it was written, so the server may have executed
    /// it.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Returns the error of a call that makes no further attempt: that of the last attempt, unless
    /// the server may have executed an earlier one.
    pub(super) fn give_up(&mut self) -> Error {
        match self.last_error.take() {
            Some(error) => self.end(error),
            None => self.end(Error::DeadlineExceeded { sent: false }),
        }
    }

    /// Returns `error`, or [`Error::Lost`] if the server may have executed an earlier attempt.
    pub(super) fn end(&mut self, error: Error) -> Error {
        match self.lost.take() {
            Some(reason) => Error::Lost { reason },
            None => error,
        }
    }

    /// Returns the error of a call that the server has refused. If it was not done, an earlier
    /// attempt may have been.
    pub(super) fn end_refused(&mut self, reply: ErrorReply<'static>) -> Error {
        match Error::Refused(reply) {
            error if error.outcome() == ErrorOutcome::NotDone => self.end(error),
            error => error,
        }
    }

    /// Returns the error of a call after its deadline. If the current attempt was not written, that
    /// is the error of the last attempt, which says more than `DeadlineExceeded`.
    pub(super) fn at_deadline(&mut self) -> Error {
        match self.in_flight.take() {
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
    use crate::error_code::ErrorCode;
    use crate::table::{Common, Logout};

    #[tokio::test(start_paused = true)]
    async fn the_wait_after_busy_is_bounded_by_attempts_and_deadline() {
        let busy = |retry_after_ms| ErrorReply {
            code: ErrorCode::BUSY,
            message: "".into(),
            retry_after_ms,
            field: None,
        };
        let wait = |history: &mut CallHistory, ms, fraction| {
            history.wait_after_busy(&busy(ms), 3, fraction).map(|wait| wait.as_millis())
        };
        let mut history = CallHistory::until(None);
        assert_eq!(wait(&mut history, None, 0.0), Some(1000));
        assert_eq!(wait(&mut history, Some(200), 1.0), Some(300));
        assert_eq!(wait(&mut history, Some(200), 0.0), None, "the third attempt is the last");
        let mut history = CallHistory::until(Some(Instant::now() + Duration::from_secs(1)));
        assert_eq!(wait(&mut history, Some(999), 0.0), Some(999));
        assert_eq!(wait(&mut history, None, 0.0), None, "the deadline would pass");
    }

    #[test]
    fn the_outcome_stays_unknown_after_an_attempt_was_lost() {
        for (code, outcome) in [
            (ErrorCode::RATE_LIMITED, ErrorOutcome::Unknown),
            (ErrorCode::BUSY, ErrorOutcome::Unknown),
            (ErrorCode::INVALID_CREDENTIALS, ErrorOutcome::Refused),
        ] {
            let mut history = CallHistory::default();
            history.lost(CloseReason::ClosedByServer);
            let reply = ErrorReply { code, message: "".into(), retry_after_ms: None, field: None };
            assert_eq!(history.end_refused(reply).outcome(), outcome, "{code}");
        }
    }

    #[tokio::test]
    async fn the_error_at_the_deadline_tells_whether_the_request_was_written() {
        // The pipe holds less than the request until the other end reads.
        let (near, mut far) = duplex(16);
        let connection = drive::start(near, &Config::default());
        let request = Logout { token: "a token of some length".into(), all_sessions: None };
        for written in [false, true] {
            let sent =
                connection.send(&request, &mut Common::default(), None).await.unwrap().unwrap();
            let mut history = CallHistory::default();
            history.sent(&connection, sent.end);
            if written {
                while !connection.has_written(sent.end) {
                    far.read_buf(&mut Vec::with_capacity(16)).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
            let error = history.at_deadline();
            assert!(
                matches!(error, Error::DeadlineExceeded { sent } if sent == written),
                "{written}: {error}"
            );
        }
    }
}
