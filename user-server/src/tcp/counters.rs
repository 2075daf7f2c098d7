//! The protocol's tables as labels of the request metrics. A request's type and outcome can have no
//! other label, whatever a client sends.

use tokio::time::Instant;
use user_proto::{ErrorClass, ErrorCode, Reply, Request};

use crate::metrics::{OutcomeLabel, RequestLabels, RequestMetrics};

/// Index in the request metrics of every message type that is not a request.
const UNKNOWN: u8 = Request::ALL.len() as u8;
/// Index of each message type in the request metrics.
const TYPE_INDICES: [u8; 256] = {
    let mut indices = [UNKNOWN; 256];
    let mut index = 0;
    while index < Request::ALL.len() {
        indices[Request::ALL[index].0 as usize] = index as u8;
        index += 1;
    }
    indices
};
const OK: usize = 0;
/// Index in the request metrics of the outcome of a request that has not been answered because its
/// client has left. It follows the indices of the error codes.
pub(super) const CLIENT_GONE: usize = ErrorCode::ALL.len() + 1;

/// Returns the labels of the request metrics: the types and error codes of the protocol.
#[must_use]
pub fn request_labels() -> RequestLabels {
    let of_code = |code: &ErrorCode| OutcomeLabel {
        name: code.name(),
        always_shown: matches!(code.class(), ErrorClass::SlowDown | ErrorClass::Server),
    };
    let mut outcomes = vec![OutcomeLabel { name: "OK", always_shown: true }];
    outcomes.extend(ErrorCode::ALL.iter().map(of_code));
    outcomes.push(OutcomeLabel { name: "CLIENT_GONE", always_shown: false });
    RequestLabels {
        types: Request::ALL.iter().map(|(_, name)| *name).chain(["unknown"]).collect(),
        outcomes,
    }
}

/// Returns the index of a message type in the request metrics.
pub(super) fn type_index(kind: u8) -> usize {
    TYPE_INDICES.get(usize::from(kind)).copied().unwrap_or(UNKNOWN).into()
}

/// Returns the index in the request metrics of the outcome that a reply reports.
pub(super) fn outcome_index(reply: &Reply<'_>) -> usize {
    match reply {
        // The list is sorted, and contains every code that this server sends.
        Reply::ErrorReply(error) => {
            ErrorCode::ALL.binary_search(&error.code).map_or(CLIENT_GONE, |index| index + 1)
        }
        _ => OK,
    }
}

/// Consecutive requests of one read that have the same type and outcome. They are counted together:
/// the time since the previous batch, measured by one clock reading, is divided among them.
pub(super) struct Batch {
    since: Instant,
    type_index: usize,
    outcome: usize,
    count: u32,
}

impl Batch {
    /// Returns an empty batch, for requests that arrived at `since`.
    pub(super) fn new(since: Instant) -> Self {
        Self { since, type_index: 0, outcome: OK, count: 0 }
    }

    /// Adds a request that was answered. If its type or outcome differs from that of the batch, the
    /// batch is counted first, and a new one begins.
    pub(super) fn answered(
        &mut self,
        type_index: usize,
        outcome: usize,
        requests: &RequestMetrics,
    ) {
        if self.count > 0 && (type_index, outcome) != (self.type_index, self.outcome) {
            let each = self.since.elapsed() / (self.count + 1);
            requests.answered(self.type_index, self.outcome, each, self.count);
            *self = Self::new(self.since + each * self.count);
        }
        *self = Self { since: self.since, type_index, outcome, count: self.count + 1 };
    }

    /// Counts the requests of the batch.
    pub(super) fn end(self, requests: &RequestMetrics) {
        if self.count > 0 {
            let each = self.since.elapsed() / self.count;
            requests.answered(self.type_index, self.outcome, each, self.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_and_code_has_its_name() {
        let labels = request_labels();
        for (kind, name) in Request::ALL {
            assert_eq!(labels.types[type_index(*kind)], *name);
        }
        assert_eq!(labels.types[type_index(0x3E)], "unknown");
        for code in ErrorCode::ALL {
            let reply = user_proto::ErrorReply {
                code: *code,
                message: "".into(),
                retry_after_ms: None,
                field: None,
            };
            assert_eq!(labels.outcomes[outcome_index(&reply.into())].name, code.name());
        }
        assert_eq!(labels.outcomes[OK].name, "OK");
        assert_eq!(labels.outcomes[CLIENT_GONE].name, "CLIENT_GONE");
        assert_eq!(labels.outcomes.len(), CLIENT_GONE + 1);
    }

    #[test]
    fn requests_of_one_batch_share_its_time() {
        let metrics = crate::metrics::Metrics::new(request_labels(), crate::domain::Timestamp(0));
        let started = Instant::now() - std::time::Duration::from_secs(16);
        let mut batch = Batch::new(started);
        for kind in [0x03, 0x03, 0x03, 0x7F] {
            batch.answered(type_index(kind), OK, &metrics.requests);
        }
        batch.end(&metrics.requests);
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
            let sum = value(format!("user_server_request_duration_seconds_sum{{type=\"{kind}\"}}"));
            assert!((4.0..5.0).contains(&(sum / count)), "{kind}: {sum}");
        }
    }
}
