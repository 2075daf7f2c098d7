//! How far the revocation log was read, and when. An entry is as old as the first read that found
//! an entry with a higher number, by the monotonic clock: its own time may be wrong.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// Minimum interval between two stored reads.
const STEP: Duration = Duration::from_secs(1);
/// Maximum number of missing entries that are remembered.
const MAX_MISSING: usize = 10_000;

/// Reads of the revocation log within the last period.
#[derive(Debug)]
pub(super) struct LogMarks {
    period: Duration,
    /// Start of each read, and the highest number of an entry that it or an earlier one found,
    /// oldest first.
    reads: VecDeque<(Instant, i64)>,
    /// Numbers below that of a known entry that were not found, each with the time of the first
    /// read that found a higher one. Most belong to transactions that were rolled back; a few may
    /// yet commit, and how late is not bounded: a commit can wait for a standby.
    missing: BTreeMap<i64, Instant>,
}

impl LogMarks {
    /// Creates an empty history of the last `period`.
    pub(super) fn new(period: Duration) -> Self {
        Self { period, reads: VecDeque::new(), missing: BTreeMap::new() }
    }

    /// Records a read that began at `started`, and the highest number of an entry that it found.
    pub(super) fn record(&mut self, started: Instant, highest: i64) {
        let known = self.highest();
        match self.reads.back() {
            Some((last, _)) if started.saturating_duration_since(*last) < STEP => {}
            _ => self.reads.push_back((started, highest.max(known))),
        }
        // The first read that is older than the period is kept, since it shows the age.
        while let Some((second, _)) = self.reads.get(1)
            && started.saturating_duration_since(*second) >= self.period
        {
            self.reads.pop_front();
        }
    }

    /// Records which numbers a read that began at `started` found after the number `after`. It
    /// found all of them that were committed.
    pub(super) fn find_missing(&mut self, started: Instant, after: i64, found: &[i64]) {
        for number in found {
            self.missing.remove(number);
        }
        let mut later: Vec<i64> = found.iter().copied().filter(|number| *number > after).collect();
        later.sort_unstable();
        let mut next = after.saturating_add(1);
        for number in later {
            let space = MAX_MISSING.saturating_sub(self.missing.len());
            for gap in (next..number).rev().take(space) {
                self.missing.entry(gap).or_insert(started);
            }
            next = number.saturating_add(1);
        }
        let period = self.period;
        self.missing.retain(|_, since| started.saturating_duration_since(*since) < period);
    }

    /// Returns the numbers of the entries that may yet be committed.
    pub(super) fn missing(&self) -> Vec<i64> {
        self.missing.keys().copied().collect()
    }

    /// Returns the highest number that a stored read found, or zero if there is none.
    pub(super) fn highest(&self) -> i64 {
        self.reads.back().map_or(0, |(_, highest)| *highest)
    }

    /// Returns the highest number that the first stored read found, or zero if there is none.
    pub(super) fn first(&self) -> i64 {
        self.reads.front().map_or(0, |(_, highest)| *highest)
    }

    /// Returns the number of the last entry that was found at least `age` before `now`, or `None`
    /// if nothing was read then.
    pub(super) fn last_before(&self, now: Instant, age: Duration) -> Option<i64> {
        let is_old = |(started, _): &(Instant, i64)| now.saturating_duration_since(*started) >= age;
        let old = self.reads.partition_point(is_old);
        self.reads.get(old.checked_sub(1)?).map(|(_, highest)| *highest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(900);

    #[test]
    fn an_entry_is_as_old_as_the_first_read_that_found_a_later_one() {
        let (mut marks, began) = (LogMarks::new(PERIOD), Instant::now());
        let at = |second| began + Duration::from_secs(second);
        assert_eq!(marks.last_before(at(0), Duration::ZERO), None);
        for second in 0..2000 {
            marks.record(at(second), i64::try_from(second).unwrap());
            marks.record(at(second) + STEP / 2, i64::MAX);
        }
        for (age, highest) in [(0, 1999), (1, 1998), (60, 1939), (900, 1099), (901, 1099)] {
            let found = marks.last_before(at(1999), Duration::from_secs(age));
            assert_eq!(found, (age <= 900).then_some(highest), "{age} s");
        }
        assert!(marks.reads.len() <= 902, "{}", marks.reads.len());
        assert_eq!(marks.first(), 1099);
    }

    #[test]
    fn a_read_that_finds_nothing_new_keeps_the_highest_number() {
        let (mut marks, began) = (LogMarks::new(PERIOD), Instant::now());
        marks.record(began, 7);
        marks.record(began + STEP, 0);
        assert_eq!(marks.last_before(began + STEP, Duration::ZERO), Some(7));
    }

    #[test]
    fn an_entry_that_was_not_found_is_missing_until_it_is_found_or_its_tokens_have_expired() {
        let (mut marks, began) = (LogMarks::new(PERIOD), Instant::now());
        marks.find_missing(began, 10, &[3, 12, 15]);
        assert_eq!(marks.missing(), [11, 13, 14]);
        marks.find_missing(began + STEP, 10, &[12, 13, 15, 16, 18]);
        assert_eq!(marks.missing(), [11, 14, 17]);
        marks.find_missing(began + PERIOD, 18, &[11]);
        assert_eq!(marks.missing(), [17]);
        marks.find_missing(began + PERIOD, 18, &[i64::MAX]);
        assert_eq!(marks.missing().len(), MAX_MISSING);
    }
}
