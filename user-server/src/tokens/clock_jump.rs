//! Detection of jumps of the wall clock, which is compared with the monotonic clock. That one never
//! jumps.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::Timestamp;

/// Minimum deviation of the wall clock from the monotonic clock that counts as a jump.
const JUMP: Duration = Duration::from_secs(1);

/// Detector of jumps of the wall clock.
#[derive(Debug, Default)]
pub(super) struct JumpDetector {
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

impl JumpDetector {
    /// Records a reading of both clocks. Returns the jump of the wall clock since the last reading,
    /// or `None` if it has not jumped.
    pub(super) fn record(&mut self, now: Timestamp, instant: Instant) -> Option<ClockJump> {
        let (last_instant, last) = self.last.replace((instant, now))?;
        let expected = last.plus(instant.saturating_duration_since(last_instant));
        let millis = now.0.saturating_sub(expected.0);
        (u128::from(millis.unsigned_abs()) > JUMP.as_millis())
            .then_some(ClockJump { millis, earlier: now.min(last) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_jump_is_reported_once_with_the_earlier_time() {
        let (mut detector, began) = (JumpDetector::default(), Instant::now());
        let at = |second| NOW.plus(Duration::from_secs(second));
        let mut run = |seconds: std::ops::Range<u64>, offset| -> Vec<ClockJump> {
            let read = |second| {
                let now = Timestamp(at(second).0 + offset);
                detector.record(now, began + Duration::from_secs(second))
            };
            seconds.filter_map(read).collect()
        };
        assert!(run(0..10, 0).is_empty());
        assert_eq!(run(10..20, HOUR), [ClockJump { millis: HOUR, earlier: at(9) }]);
        assert_eq!(run(20..30, 0), [ClockJump { millis: -HOUR, earlier: at(20) }]);
        assert!(run(30..40, 1000).is_empty(), "a second is no jump");
    }
}
