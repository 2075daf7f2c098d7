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
    /// Time by which the wall clock has been set back since the last jump, in milliseconds.
    behind: i64,
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
    /// or `None` if it has not jumped. If it is set back in several small steps, their sum is a
    /// jump.
    pub(super) fn record(&mut self, now: Timestamp, instant: Instant) -> Option<ClockJump> {
        let (last_instant, last) = self.last.replace((instant, now))?;
        let expected = last.plus(instant.saturating_duration_since(last_instant));
        let millis = now.0.saturating_sub(expected.0);
        self.behind = self.behind.saturating_sub(millis).max(0);
        let is_jump = |millis: i64| u128::from(millis.unsigned_abs()) > JUMP.as_millis();
        let millis = if is_jump(millis) { millis } else { -self.behind };
        if !is_jump(millis) {
            return None;
        }
        self.behind = 0;
        Some(ClockJump { millis, earlier: now.min(last) })
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

    #[test]
    fn small_steps_back_add_up_to_a_jump() {
        let (mut detector, began) = (JumpDetector::default(), Instant::now());
        let mut read = |second: u64, offset: i64| {
            let now = Timestamp(NOW.plus(Duration::from_secs(second)).0 + offset);
            detector.record(now, began + Duration::from_secs(second)).map(|jump| jump.millis)
        };
        assert_eq!([read(0, 0), read(1, -600), read(2, -1_200)], [None, None, Some(-1_200)]);
        assert_eq!([read(3, -1_800), read(4, -2_400)], [None, Some(-1_200)]);
        // A step forward makes up for one back, and is not kept for later ones.
        assert_eq!([read(5, -3_000), read(6, -2_000), read(7, -2_900)], [None; 3]);
        assert_eq!([read(8, -3_001)], [Some(-1_001)]);
    }
}
