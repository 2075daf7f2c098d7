//! What a run counts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::mix::Op;

/// A minute; what takes longer is written down as this.
const LONGEST_NANOS: u64 = 60_000_000_000;
/// Latencies are exact to a thousandth.
const DIGITS: u8 = 3;

/// A reply, as far as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// An error, by its code.
    Refused(u16),
}

/// When a run counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from: Instant,
    /// No end where requests are counted out.
    pub(super) until: Option<Instant>,
}

impl Window {
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

/// One kind of request.
#[derive(Debug, Clone)]
pub(super) struct Class {
    /// Good replies within the window.
    pub(super) done: u64,
    /// Of requests that started within it, in nanoseconds; good replies only.
    pub(super) latency: Histogram<u64>,
    /// Errors by code, of requests that started within it.
    pub(super) refused: BTreeMap<u16, u64>,
    /// Requests that had no reply when the run ended.
    pub(super) unanswered: u64,
}

/// All of it, of one thread or of all.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    pub(super) classes: BTreeMap<Op, Class>,
    /// How much later than due requests were sent, in an open loop.
    pub(super) late: Histogram<u64>,
    /// Requests that were due, and had no place under way.
    pub(super) unsent: u64,
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NANOS, DIGITS)
        .unwrap_or_else(|_| unreachable!("the bounds are constants"))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Default for Class {
    fn default() -> Self {
        Self { done: 0, latency: histogram(), refused: BTreeMap::new(), unanswered: 0 }
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self { classes: BTreeMap::new(), late: histogram(), unsent: 0 }
    }
}

impl Tally {
    /// A reply came at `now` to what started at `start`.
    pub(super) fn reply(
        &mut self,
        op: Op,
        verdict: Verdict,
        start: Instant,
        now: Instant,
        window: &Window,
    ) {
        let class = self.classes.entry(op).or_default();
        let counts = now >= window.from && !window.is_over(now);
        let started_in_time = start >= window.from;
        match verdict {
            Verdict::Good => {
                class.done += u64::from(counts);
                if started_in_time {
                    class
                        .latency
                        .saturating_record(nanos(now.saturating_duration_since(start)).max(1));
                }
            }
            Verdict::Refused(code) if started_in_time => {
                *class.refused.entry(code).or_default() += 1
            }
            Verdict::Refused(_) => {}
        }
    }

    pub(super) fn unanswered(&mut self, op: Op, count: u64) {
        if count > 0 {
            self.classes.entry(op).or_default().unanswered += count;
        }
    }

    pub(super) fn sent(&mut self, due: Instant, now: Instant, window: &Window) {
        if due >= window.from {
            self.late.saturating_record(nanos(now.saturating_duration_since(due)).max(1));
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (op, theirs) in &other.classes {
            let own = self.classes.entry(*op).or_default();
            own.done += theirs.done;
            own.unanswered += theirs.unanswered;
            // The bounds are the same everywhere.
            let _ = own.latency.add(&theirs.latency);
            for (code, count) in &theirs.refused {
                *own.refused.entry(*code).or_default() += count;
            }
        }
        let _ = self.late.add(&other.late);
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
        let mut tally = Tally::default();
        tally.reply(Op::Ping, Verdict::Good, at(0), at(50), &window);
        tally.reply(Op::Ping, Verdict::Good, at(90), at(110), &window);
        tally.reply(Op::Ping, Verdict::Good, at(120), at(130), &window);
        tally.reply(Op::Ping, Verdict::Good, at(190), at(300), &window);
        tally.reply(Op::Ping, Verdict::Refused(0x0502), at(150), at(151), &window);
        let mut sum = Tally::default();
        sum.add(&tally);
        let class = &sum.classes[&Op::Ping];
        assert_eq!((class.done, class.latency.len()), (2, 2));
        assert_eq!(class.refused[&0x0502], 1);
        // What came after the end still tells how long it took.
        assert!(class.latency.max() >= 110_000_000);
    }
}
