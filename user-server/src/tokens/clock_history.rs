//! History of the wall clock, by which its jumps are detected. It is compared with the monotonic
//! clock, which never jumps.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::Timestamp;

/// Minimum deviation of the wall clock from the monotonic clock that counts as a jump.
const JUMP: Duration = Duration::from_secs(1);
/// Minimum interval between two stored readings. Of the readings in between, only the earliest time
/// is stored.
const STEP: Duration = Duration::from_secs(10);

/// Readings of the wall clock within the last period, with the monotonic clock at each.
#[derive(Debug)]
pub(super) struct ClockHistory {
    period: Duration,
    /// Stored readings, oldest first: the monotonic time, and the earliest wall clock time until
    /// the next stored reading.
    stored: VecDeque<(Instant, Timestamp)>,
    last: Option<(Instant, Timestamp)>,
}

/// Jump of the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClockJump {
    /// Size of the jump in milliseconds, negative if the clock was set back.
    pub(super) millis: i64,
    /// Earlier of the wall clock times before and after the jump.
    pub(super) earlier: Timestamp,
}

impl ClockHistory {
    /// Creates an empty history of the last `period`.
    pub(super) fn new(period: Duration) -> Self {
        Self { period, stored: VecDeque::new(), last: None }
    }

    /// Records a reading of both clocks. Returns the jump of the wall clock since the last reading,
    /// or `None` if it has not jumped.
    pub(super) fn record(&mut self, now: Timestamp, instant: Instant) -> Option<ClockJump> {
        let jump = self.last.and_then(|(last_instant, last)| {
            let expected = last.plus(instant.saturating_duration_since(last_instant));
            let millis = now.0.saturating_sub(expected.0);
            (u128::from(millis.unsigned_abs()) > JUMP.as_millis())
                .then_some(ClockJump { millis, earlier: now.min(last) })
        });
        self.last = Some((instant, now));
        match self.stored.back_mut() {
            Some((at, earliest)) if instant.saturating_duration_since(*at) < STEP => {
                *earliest = now.min(*earliest);
            }
            _ => self.stored.push_back((instant, now)),
        }
        // The first reading that is older than the period is kept, since it shows the age.
        while let Some((second, _)) = self.stored.get(1)
            && instant.saturating_duration_since(*second) >= self.period
        {
            self.stored.pop_front();
        }
        jump
    }

    /// Returns the earliest time that the wall clock showed within the period, or `None` if the
    /// history is shorter than the period. `instant` is the current monotonic time.
    pub(super) fn earliest(&self, instant: Instant) -> Option<Timestamp> {
        let (first, _) = self.stored.front()?;
        if instant.saturating_duration_since(*first) < self.period {
            return None;
        }
        self.stored.iter().map(|(_, earliest)| *earliest).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const PERIOD: Duration = Duration::from_secs(900);
    const HOUR: i64 = 3_600_000;

    /// Records a reading every second, from `from` to `to` seconds, of a clock that is off by
    /// `offset` milliseconds. Returns the jumps.
    fn run(
        history: &mut ClockHistory,
        began: Instant,
        (from, to): (u64, u64),
        offset: i64,
    ) -> Vec<ClockJump> {
        let reading = |second| {
            let span = Duration::from_secs(second);
            history.record(Timestamp(NOW.plus(span).0 + offset), began + span)
        };
        (from..to).filter_map(reading).collect()
    }

    #[test]
    fn without_a_jump_the_earliest_time_is_one_period_ago() {
        let (mut history, began) = (ClockHistory::new(PERIOD), Instant::now());
        assert!(run(&mut history, began, (0, 899), 0).is_empty());
        assert_eq!(history.earliest(began + Duration::from_secs(899)), None);
        assert!(run(&mut history, began, (899, 5000), 0).is_empty());
        let earliest = history.earliest(began + Duration::from_secs(4999)).unwrap();
        let age = NOW.plus(Duration::from_secs(4999)).since(earliest);
        assert!((PERIOD..=PERIOD + STEP).contains(&age), "{age:?}");
        assert!(history.stored.len() <= 92, "{}", history.stored.len());
    }

    #[test]
    fn a_jump_is_reported_once_with_the_earlier_time() {
        let (mut history, began) = (ClockHistory::new(PERIOD), Instant::now());
        assert!(run(&mut history, began, (0, 10), 0).is_empty());
        let forward = run(&mut history, began, (10, 20), HOUR);
        let before = NOW.plus(Duration::from_secs(9));
        assert_eq!(forward, [ClockJump { millis: HOUR, earlier: before }]);
        let back = run(&mut history, began, (20, 30), 0);
        let after = NOW.plus(Duration::from_secs(20));
        assert_eq!(back, [ClockJump { millis: -HOUR, earlier: after }]);
        assert!(run(&mut history, began, (30, 40), 1000).is_empty(), "a second is no jump");
    }

    #[test]
    fn a_clock_that_was_behind_for_a_while_is_remembered_for_the_period() {
        let (mut history, began) = (ClockHistory::new(PERIOD), Instant::now());
        run(&mut history, began, (0, 2000), 0);
        run(&mut history, began, (2000, 2060), -HOUR);
        run(&mut history, began, (2060, 2900), 0);
        let lowest = Timestamp(NOW.plus(Duration::from_secs(2000)).0 - HOUR);
        let at = |second| began + Duration::from_secs(second);
        assert_eq!(history.earliest(at(2899)), Some(lowest));
        run(&mut history, began, (2900, 3100), 0);
        assert!(history.earliest(at(3099)).unwrap() > NOW, "the period is over");
    }
}
