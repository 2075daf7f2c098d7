//! Rate limit decisions, as pure functions of counters and time.

use std::time::Duration;

use super::budgets::Limit;
use crate::domain::{Allowance, BudgetCounter, Timestamp};

/// Decision about an operation: the allowance, or the time to wait if it is refused.
pub(super) type Verdict = Result<Allowance, Duration>;

/// Charges one operation to all counters. If a counter is exhausted, changes nothing and returns
/// the time until its window ends. Returns [`Allowance::Last`] if the first counter is now
/// exhausted.
pub(super) fn charge(counters: &mut [BudgetCounter], limits: &[Limit], now: Timestamp) -> Verdict {
    counters.iter_mut().for_each(|counter| begin_no_later(counter, now));
    let mut charged = counters.to_vec();
    for (counter, limit) in charged.iter_mut().zip(limits) {
        open_window(counter, limit.window, now);
        if counter.count >= limit.uses {
            return Err(counter.since.plus(limit.window).since(now));
        }
        counter.count += 1;
    }
    counters.clone_from_slice(&charged);
    let first = charged.first().zip(limits.first());
    let is_last = first.is_some_and(|(counter, limit)| counter.count == limit.uses);
    Ok(if is_last { Allowance::Last } else { Allowance::Full })
}

/// Charges a guess at a code. The first `of_user` counters are those of the user: if one is
/// exhausted, the guess is refused. The others are those of the network: if one is exhausted, only
/// the first guess at the code is allowed ([`Allowance::FirstGuess`]).
pub(super) fn charge_guess(
    counters: &mut [BudgetCounter],
    limits: &[Limit],
    of_user: usize,
    now: Timestamp,
) -> Verdict {
    let (Some((user, network)), Some((user_limits, network_limits))) =
        (counters.split_at_mut_checked(of_user), limits.split_at_checked(of_user))
    else {
        return Ok(Allowance::Full);
    };
    charge(user, user_limits, now)?;
    let mut wait = Duration::ZERO;
    for (counter, limit) in network.iter_mut().zip(network_limits) {
        begin_no_later(counter, now);
        open_window(counter, limit.window, now);
        if counter.count >= limit.uses {
            wait = wait.max(counter.since.plus(limit.window).since(now));
        }
        counter.count = counter.count.saturating_add(1);
    }
    Ok(if wait.is_zero() { Allowance::Full } else { Allowance::FirstGuess(wait) })
}

/// Subtracts one operation from each counter.
pub(super) fn refund(counters: &mut [BudgetCounter]) -> Verdict {
    for counter in counters.iter_mut() {
        counter.count = counter.count.saturating_sub(1);
    }
    Ok(Allowance::Full)
}

/// Resets all counters to zero.
pub(super) fn reset(counters: &mut [BudgetCounter]) -> Verdict {
    counters.fill(BudgetCounter::ZERO);
    Ok(Allowance::Full)
}

/// Moves the start of a counter's window to `now` if it lies in the future because the clock was
/// set back. Otherwise the window would last until the clock has caught up.
pub(super) fn begin_no_later(counter: &mut BudgetCounter, now: Timestamp) {
    counter.since = counter.since.min(now);
}

/// Starts a new window of a counter if the last one has ended.
pub(super) fn open_window(counter: &mut BudgetCounter, window: Duration, now: Timestamp) {
    if counter.count == 0 || counter.since.plus(window) <= now {
        *counter = BudgetCounter {
            count: 0,
            since: now,
            blocked_until: counter.blocked_until,
            expires_at: now.plus(window),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);
    const LIMITS: [Limit; 2] = [Limit { uses: 20, window: HOUR }, Limit { uses: 80, window: HOUR }];

    fn at(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn an_hourly_budget_is_renewed_after_an_hour() {
        let mut counters = [BudgetCounter::ZERO; 2];
        for number in 1..20 {
            assert_eq!(charge(&mut counters, &LIMITS, NOW), Ok(Allowance::Full), "{number}");
        }
        assert_eq!(charge(&mut counters, &LIMITS, NOW), Ok(Allowance::Last));
        let full = counters;
        assert_eq!(charge(&mut counters, &LIMITS, at(60)), Err(Duration::from_secs(3540)));
        assert_eq!(counters, full, "a refused operation is not counted");
        assert!(refund(&mut counters).is_ok());
        assert!(charge(&mut counters, &LIMITS, at(60)).is_ok());
        assert!(charge(&mut counters, &LIMITS, at(3600)).is_ok(), "a new hour");
    }

    #[test]
    fn a_wider_network_has_its_own_limit() {
        let mut wider = BudgetCounter::ZERO;
        let mut allowed = 0;
        for _ in 0..1000 {
            let mut counters = [BudgetCounter::ZERO, wider];
            allowed += u32::from(charge(&mut counters, &LIMITS, NOW).is_ok());
            wider = counters[1];
        }
        assert_eq!(allowed, 80);
    }

    #[test]
    fn a_window_does_not_become_longer_if_the_clock_is_set_back() {
        let mut counters = [BudgetCounter::ZERO; 2];
        for _ in 0..20 {
            assert!(charge(&mut counters, &LIMITS, at(36_000)).is_ok());
        }
        assert_eq!(charge(&mut counters, &LIMITS, NOW), Err(HOUR));
        assert_eq!(charge(&mut counters, &LIMITS, at(3599)), Err(Duration::from_secs(1)));
        assert!(charge(&mut counters, &LIMITS, at(3600)).is_ok(), "one window later");
    }

    #[test]
    fn a_network_without_a_budget_has_first_guesses_only() {
        let mut counters = [BudgetCounter::ZERO; 2];
        for _ in 0..20 {
            assert_eq!(charge_guess(&mut counters, &LIMITS, 0, NOW), Ok(Allowance::Full));
        }
        let first = Ok(Allowance::FirstGuess(HOUR));
        assert_eq!(charge_guess(&mut counters, &LIMITS, 0, NOW), first);
        assert!(refund(&mut counters).is_ok());
        assert_eq!(charge_guess(&mut counters, &LIMITS, 0, NOW), first);
        let mut of_user = [BudgetCounter { count: 20, since: NOW, ..BudgetCounter::ZERO }; 2];
        assert_eq!(charge_guess(&mut of_user, &LIMITS, 1, NOW), Err(HOUR));
    }
}
