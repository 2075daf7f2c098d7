//! Counters and latency histograms of a run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::mix::Op;

/// Upper bound of the recorded latencies in nanoseconds: one minute. A longer latency is recorded
/// as this value.
const MAX_NANOS: u64 = 60_000_000_000;
/// Number of significant decimal digits of the recorded latencies.
const DIGITS: u8 = 3;

/// Result of a request, as its reply reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    /// An error reply, with its code.
    Refused(u16),
}

/// Time window in which a run is measured: the run without its warm-up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) from: Instant,
    /// End of the window, or `None` if the run ends after a number of requests.
    pub(crate) until: Option<Instant>,
}

impl Window {
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

/// Number of replies received so far, on all threads.
#[derive(Default)]
pub(crate) struct ReplyCounter(AtomicU64);

impl ReplyCounter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of one kind of request.
#[derive(Debug, Clone)]
pub(crate) struct OpCounters {
    /// Number of successful replies received within the window; without an end of the window,
    /// number of those to requests that started within it.
    pub(crate) replies: u64,
    /// Latencies in nanoseconds of the successful requests that started within the window.
    pub(crate) latency: Histogram<u64>,
    /// Number of error replies by code, to requests that started within the window.
    pub(crate) refused: BTreeMap<u16, u64>,
    /// Number of requests without a reply at the end of the run.
    pub(crate) unanswered: u64,
}

/// Counters of one thread, or the sum of all threads.
#[derive(Debug, Clone)]
pub(crate) struct Counters {
    pub(crate) ops: BTreeMap<Op, OpCounters>,
    /// Delays in nanoseconds between the due time of a request and its sending, in an open loop.
    pub(crate) send_delay: Histogram<u64>,
    /// Number of requests that were due but not sent, since every slot was in use.
    pub(crate) unsent: u64,
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_NANOS, DIGITS)
        .unwrap_or_else(|_| unreachable!("the bounds are constants"))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Default for OpCounters {
    fn default() -> Self {
        Self { replies: 0, latency: histogram(), refused: BTreeMap::new(), unanswered: 0 }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self { ops: BTreeMap::new(), send_delay: histogram(), unsent: 0 }
    }
}

impl Counters {
    /// Records the reply, received at `now`, to a request that started at `start`.
    pub(crate) fn record_reply(
        &mut self,
        op: Op,
        outcome: Outcome,
        start: Instant,
        now: Instant,
        window: &Window,
    ) {
        let counters = self.ops.entry(op).or_default();
        let started_within = start >= window.from;
        // A run of a number of requests counts exactly those that it has to send.
        let counts = match window.until {
            Some(until) => now >= window.from && now < until,
            None => started_within,
        };
        match outcome {
            Outcome::Ok => {
                counters.replies += u64::from(counts);
                if started_within {
                    let latency = nanos(now.saturating_duration_since(start)).max(1);
                    counters.latency.saturating_record(latency);
                }
            }
            Outcome::Refused(code) if started_within => {
                *counters.refused.entry(code).or_default() += 1
            }
            Outcome::Refused(_) => {}
        }
    }

    /// Records `count` requests that have no reply at the end of the run.
    pub(crate) fn record_unanswered(&mut self, op: Op, count: u64) {
        if count > 0 {
            self.ops.entry(op).or_default().unanswered += count;
        }
    }

    /// Records the delay of a request that was due at `due` and sent at `now`.
    pub(crate) fn record_send_delay(&mut self, due: Instant, now: Instant, window: &Window) {
        if due >= window.from {
            self.send_delay.saturating_record(nanos(now.saturating_duration_since(due)).max(1));
        }
    }

    /// Reports whether there were error replies and nothing else.
    pub(crate) fn are_refused(&self) -> bool {
        let replies: u64 = self.ops.values().map(|op| op.replies).sum();
        replies == 0 && self.ops.values().any(|op| !op.refused.is_empty())
    }

    /// Adds the counters of another thread.
    pub(crate) fn add(&mut self, other: &Self) {
        for (op, theirs) in &other.ops {
            let ours = self.ops.entry(*op).or_default();
            ours.replies += theirs.replies;
            ours.unanswered += theirs.unanswered;
            // Cannot fail: all histograms have the same bounds.
            let _ = ours.latency.add(&theirs.latency);
            for (code, count) in &theirs.refused {
                *ours.refused.entry(*code).or_default() += count;
            }
        }
        let _ = self.send_delay.add(&other.send_delay);
        self.unsent += other.unsent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_window_counts() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let window = Window { from: at(100), until: Some(at(200)) };
        let mut counters = Counters::default();
        counters.record_reply(Op::Ping, Outcome::Ok, at(0), at(50), &window);
        counters.record_reply(Op::Ping, Outcome::Ok, at(90), at(110), &window);
        counters.record_reply(Op::Ping, Outcome::Ok, at(120), at(130), &window);
        counters.record_reply(Op::Ping, Outcome::Ok, at(190), at(300), &window);
        counters.record_reply(Op::Ping, Outcome::Refused(0x0502), at(150), at(151), &window);
        let mut sum = Counters::default();
        sum.add(&counters);
        let op = &sum.ops[&Op::Ping];
        assert_eq!((op.replies, op.latency.len()), (2, 2));
        assert_eq!(op.refused[&0x0502], 1);
        assert!(!sum.are_refused());
        let mut refused = Counters::default();
        assert!(!refused.are_refused(), "there was no reply");
        refused.record_reply(Op::Ping, Outcome::Refused(0x0502), at(150), at(151), &window);
        assert!(refused.are_refused());
        // The latency of a reply after the end still counts.
        assert!(op.latency.max() >= 110_000_000);
    }
}
