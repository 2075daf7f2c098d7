//! The protocol's tables as the labels of what is counted: a request's type and outcome can be
//! nothing else, whatever a client sends. And what is counted where requests are answered at once.

use tokio::time::Instant;
use user_proto::{ErrorClass, ErrorCode, Reply, Request};

use crate::metrics::{OutcomeLabel, RequestLabels, RequestMetrics};

/// The row of every type that no request has.
const UNKNOWN: u8 = Request::ALL.len() as u8;
/// Each type's row.
const ROWS: [u8; 256] = {
    let mut rows = [UNKNOWN; 256];
    let mut row = 0;
    while row < Request::ALL.len() {
        rows[Request::ALL[row].0 as usize] = row as u8;
        row += 1;
    }
    rows
};
const OK: usize = 0;
/// The client had gone before its reply; the row behind those of the error codes.
pub(super) const CLIENT_GONE: usize = ErrorCode::ALL.len() + 1;

/// What the labels of requests may say.
#[must_use]
pub fn names() -> RequestLabels {
    let of_code = |code: &ErrorCode| OutcomeLabel {
        name: code.name(),
        from_start: matches!(code.class(), ErrorClass::SlowDown | ErrorClass::Server),
    };
    let mut outcomes = vec![OutcomeLabel { name: "OK", from_start: true }];
    outcomes.extend(ErrorCode::ALL.iter().map(of_code));
    outcomes.push(OutcomeLabel { name: "CLIENT_GONE", from_start: false });
    RequestLabels {
        types: Request::ALL.iter().map(|(_, name)| *name).chain(["unknown"]).collect(),
        outcomes,
    }
}

/// The row of a type.
pub(super) fn row(kind: u8) -> usize {
    ROWS.get(usize::from(kind)).copied().unwrap_or(UNKNOWN).into()
}

/// The outcome that a reply tells.
pub(super) fn outcome(reply: &Reply<'_>) -> usize {
    match reply {
        // Every code that this server sends is in the list, which is sorted.
        Reply::ErrorReply(error) => {
            ErrorCode::ALL.binary_search(&error.code).map_or(CLIENT_GONE, |place| place + 1)
        }
        _ => OK,
    }
}

/// RequestMetrics that came with one read and were answered alike, one after the other. They share a look
/// at the clock, and the time since the last one, in equal parts.
pub(super) struct Batch {
    since: Instant,
    row: usize,
    outcome: usize,
    count: u32,
}

impl Batch {
    pub(super) fn new(since: Instant) -> Self {
        Self { since, row: 0, outcome: OK, count: 0 }
    }

    /// One more was answered.
    pub(super) fn answered(&mut self, row: usize, outcome: usize, requests: &RequestMetrics) {
        if self.count > 0 && (row, outcome) != (self.row, self.outcome) {
            let each = self.since.elapsed() / (self.count + 1);
            requests.answered(self.row, self.outcome, each, self.count);
            *self = Self::new(self.since + each * self.count);
        }
        *self = Self { since: self.since, row, outcome, count: self.count + 1 };
    }

    /// There are no more.
    pub(super) fn end(self, requests: &RequestMetrics) {
        if self.count > 0 {
            requests.answered(
                self.row,
                self.outcome,
                self.since.elapsed() / self.count,
                self.count,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_and_code_has_its_name() {
        let names = names();
        for (kind, name) in Request::ALL {
            assert_eq!(names.types[row(*kind)], *name);
        }
        assert_eq!(names.types[row(0x3E)], "unknown");
        for code in ErrorCode::ALL {
            let reply = user_proto::ErrorReply {
                code: *code,
                message: "".into(),
                retry_after_ms: None,
                field: None,
            };
            assert_eq!(names.outcomes[outcome(&reply.into())].name, code.name());
        }
        assert_eq!(names.outcomes[OK].name, "OK");
        assert_eq!(names.outcomes[CLIENT_GONE].name, "CLIENT_GONE");
        assert_eq!(names.outcomes.len(), CLIENT_GONE + 1);
    }

    #[test]
    fn those_answered_alike_share_their_time() {
        let metrics = crate::metrics::Metrics::new(names(), crate::domain::Timestamp(0));
        let began = Instant::now() - std::time::Duration::from_secs(16);
        let mut run = Batch::new(began);
        for kind in [0x03, 0x03, 0x03, 0x7F] {
            run.answered(row(kind), OK, &metrics.requests);
        }
        run.end(&metrics.requests);
        let text = metrics.text();
        let value = |start: String| {
            let line = text.lines().find_map(|line| line.strip_prefix(&start));
            line.unwrap_or_else(|| panic!("{start} in {text}")).trim().parse::<f64>().unwrap()
        };
        for (kind, count) in [("VerifyToken", 3.0), ("Ping", 1.0)] {
            assert_eq!(
                value(format!("user_server_requests_total{{type=\"{kind}\",outcome=\"OK\"}}")),
                count
            );
            let took =
                value(format!("user_server_request_duration_seconds_sum{{type=\"{kind}\"}}"));
            assert!((4.0..5.0).contains(&(took / count)), "{kind}: {took}");
        }
    }
}
