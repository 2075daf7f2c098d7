//! The monotonic clock, and the time of the service derived from it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Time by which `iat` may be ahead of the time of the service, in milliseconds.
const MAX_AHEAD_MS: i64 = 60_000;
/// Offset before the first answer. It makes every token appear expired.
const UNKNOWN: i64 = i64::MAX;

/// The time of the service, as an offset from the monotonic clock.
///
/// An answer with the time `now_ms`, requested at `sent` and received at `received`, was written in
/// between. So at `received`, the time of the service is at least `now_ms` and at most `now_ms`
/// plus the time since `sent`. Tokens expire by the upper bound: a delay in either direction, and
/// the time for which the service waited for a revocation, makes a token expire earlier by that
/// much, never later. The bound is that of the latest answer, so a delay has no lasting effect.
///
/// If the service's clock is set back, tokens that had expired would become valid again, possibly
/// after the revocations that concern them were removed. So the greatest lower bound is kept as a
/// floor. A token that has expired by only one of the two is not decided here: the service is
/// asked. The floor is dropped when every token that was issued before the change has expired by
/// the new clock too, and at the latest after that time by the monotonic clock: the service repeats
/// revocations of tokens that are valid for longer, and a clock that was years ahead for a moment
/// must not make every token disputed.
pub(super) struct ServiceTime {
    start: Instant,
    /// Upper bound by the latest answer: offset in milliseconds.
    latest: AtomicI64,
    /// The larger one of `latest` and the floor.
    bound: AtomicI64,
}

/// The part of the state that only the follower uses.
#[derive(Default)]
pub(super) struct Floor {
    offset: Option<i64>,
    /// Time of the service in milliseconds at which the floor is dropped; set while the service's
    /// clock is behind the floor.
    until: Option<i64>,
    /// Time since which the service's clock is behind the floor.
    behind_since: Option<Instant>,
}

/// Relation of the times of a token to the time of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timing {
    Current,
    Expired,
    /// Depends on whether the service's clock was rightly set back.
    Disputed,
}

impl ServiceTime {
    pub(super) fn new(start: Instant) -> Self {
        Self { start, latest: AtomicI64::new(UNKNOWN), bound: AtomicI64::new(UNKNOWN) }
    }

    /// Takes the time of an answer into account. A token is of no use after `retention`, by the
    /// clock by which it was issued.
    pub(super) fn observe(
        &self,
        floor: &mut Floor,
        now_ms: u64,
        (sent, received): (Instant, Instant),
        retention: Duration,
    ) {
        let now_ms = i64::try_from(now_ms).unwrap_or(UNKNOWN);
        let upper = now_ms.saturating_sub(self.millis(sent));
        let lower = now_ms.saturating_sub(self.millis(received)).saturating_sub(1);
        let is_old = |since| received.saturating_duration_since(since) >= retention;
        if floor.until.is_some_and(|until| now_ms >= until)
            || floor.behind_since.is_some_and(is_old)
        {
            *floor = Floor::default();
        }
        match floor.offset {
            Some(offset) if upper < offset => {
                let retention = i64::try_from(retention.as_millis()).unwrap_or(UNKNOWN);
                let before = offset.saturating_add(self.millis(received));
                floor.until.get_or_insert(before.saturating_add(retention));
                floor.behind_since.get_or_insert(received);
            }
            offset => {
                *floor = Floor { offset: offset.max(Some(lower)), ..Floor::default() };
            }
        }
        let bound = floor.offset.map_or(upper, |offset| offset.max(upper));
        self.latest.store(upper, Ordering::Release);
        self.bound.store(bound, Ordering::Release);
    }

    /// Compares the times of a token, in seconds, with the time of the service at `now`.
    pub(super) fn check(&self, issued_at: u64, expires_at: u64, now: Instant) -> Timing {
        let now = self.millis(now).saturating_add(1);
        let latest = now.saturating_add(self.latest.load(Ordering::Acquire));
        let bound = now.saturating_add(self.bound.load(Ordering::Acquire));
        let (issued, expires) = (to_millis(issued_at), to_millis(expires_at));
        if expires > bound && issued <= latest.saturating_add(MAX_AHEAD_MS) {
            Timing::Current
        } else if expires <= latest || issued > bound.saturating_add(MAX_AHEAD_MS) {
            Timing::Expired
        } else {
            Timing::Disputed
        }
    }

    fn millis(&self, instant: Instant) -> i64 {
        let elapsed = instant.saturating_duration_since(self.start).as_millis();
        i64::try_from(elapsed).unwrap_or(UNKNOWN)
    }
}

fn to_millis(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000)
}

#[cfg(test)]
mod tests;
