//! The time of the service after delays and jumps.

use super::*;

const RETENTION: Duration = Duration::from_secs(960);
const NOW: u64 = 1_795_478_400;

struct Clocks {
    time: ServiceTime,
    floor: Floor,
    start: Instant,
}

impl Clocks {
    fn new() -> Self {
        let start = Instant::now();
        Self { time: ServiceTime::new(start), floor: Floor::default(), start }
    }

    /// Applies an answer with the time `NOW` and this many milliseconds, sent and received at these
    /// milliseconds of the monotonic clock.
    fn observe(&mut self, ms: i64, sent: u64, received: u64) {
        let now_ms = (NOW * 1000).checked_add_signed(ms).unwrap();
        let times = (self.at(sent), self.at(received));
        self.time.observe(&mut self.floor, now_ms, times, RETENTION);
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    /// Checks a token that was issued at `NOW` and expires this many seconds later.
    fn expiring(&self, seconds: i64, at: u64) -> Timing {
        self.time.check(NOW, NOW.checked_add_signed(seconds).unwrap(), self.at(at))
    }
}

#[test]
fn before_the_first_answer_every_token_has_expired() {
    let clocks = Clocks::new();
    assert_eq!(clocks.expiring(900, 0), Timing::Expired);
    assert_eq!(clocks.time.check(NOW, u64::MAX, clocks.start), Timing::Expired);
}

#[test]
fn a_delay_makes_a_token_expire_earlier_never_later() {
    // The service wrote the time `NOW` at some point between 1,000 and 5,000.
    let mut clocks = Clocks::new();
    clocks.observe(0, 1_000, 5_000);
    assert_eq!(clocks.expiring(10, 10_998), Timing::Current);
    for at in [11_000, 15_000, 15_001] {
        assert_eq!(clocks.expiring(10, at), Timing::Expired, "{at}");
    }
    // The next answer without a delay corrects the estimate: the time was written at 5,000.
    clocks.observe(1_000, 6_000, 6_000);
    assert_eq!(clocks.expiring(10, 14_998), Timing::Current);
    assert_eq!(clocks.expiring(10, 15_000), Timing::Expired);
}

#[test]
fn a_token_may_be_a_minute_ahead() {
    let mut clocks = Clocks::new();
    clocks.observe(0, 0, 0);
    let issued = |seconds| clocks.time.check(NOW + seconds, NOW + 900, clocks.start);
    assert_eq!(issued(60), Timing::Current);
    assert_eq!(issued(61), Timing::Expired);
}

#[test]
fn after_a_clock_was_set_back_no_expired_token_becomes_valid() {
    let mut clocks = Clocks::new();
    clocks.observe(0, 0, 1);
    assert_eq!(clocks.expiring(-10, 1), Timing::Expired);
    clocks.observe(-3_600_000, 1_000, 1_001);
    assert_eq!(clocks.expiring(-10, 1_001), Timing::Disputed);
    // Issued before the change, or far ahead by the new clock.
    assert_eq!(clocks.expiring(900, 1_001), Timing::Disputed);
    let by_new_clock = clocks.time.check(NOW - 3_600, NOW - 2_700, clocks.at(1_001));
    assert_eq!(by_new_clock, Timing::Disputed);
    assert_eq!(clocks.time.check(NOW - 9_000, NOW - 8_000, clocks.at(1_001)), Timing::Expired);
    // Until every token from before the change has expired by the new clock.
    clocks.observe(-300_000, 2_000, 2_001);
    clocks.observe(600_000, 900_000, 900_001);
    let token = |clocks: &Clocks, at| clocks.time.check(NOW + 900, NOW + 1_800, clocks.at(at));
    assert_eq!(token(&clocks, 900_001), Timing::Disputed);
    clocks.observe(962_000, 900_100, 900_101);
    assert_eq!(token(&clocks, 900_101), Timing::Current);
}

#[test]
fn a_clock_that_was_far_ahead_for_a_moment_is_forgotten_after_the_retention() {
    let mut clocks = Clocks::new();
    let years = 10 * 365 * 86_400_000;
    clocks.observe(years, 0, 1);
    for (at, timing) in [
        (1_000, Timing::Disputed),
        (960_000, Timing::Disputed),
        (961_001, Timing::Current),
        // Ahead again, and right again.
        (962_000, Timing::Expired),
        (963_000, Timing::Disputed),
        (1_900_000, Timing::Disputed),
        (1_923_001, Timing::Current),
    ] {
        let ms = i64::try_from(at).unwrap();
        clocks.observe(if timing == Timing::Expired { years } else { ms }, at, at + 1);
        assert_eq!(clocks.expiring(10_000, at + 1), timing, "{at}");
    }
}

#[test]
fn a_clock_that_returns_ends_the_dispute() {
    let mut clocks = Clocks::new();
    clocks.observe(0, 0, 1);
    clocks.observe(-3_600_000, 1_000, 1_001);
    clocks.observe(2_000, 2_000, 2_001);
    assert_eq!(clocks.expiring(10, 2_001), Timing::Current);
    assert_eq!(clocks.expiring(2, 2_001), Timing::Expired);
}

#[test]
fn a_clock_that_is_set_forward_counts_at_once() {
    let mut clocks = Clocks::new();
    clocks.observe(0, 0, 1);
    clocks.observe(3_600_000, 1_000, 1_001);
    assert_eq!(clocks.expiring(900, 1_001), Timing::Expired);
}
