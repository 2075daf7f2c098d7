//! Decisions about login attempts, as pure functions of counters and time.

use std::time::Duration;

use super::budgets::Limit;
use super::policy::{Verdict, begin_no_later, charge, open_window};
use crate::domain::{Allowance, BudgetCounter, CLOCK_SKEW, Timestamp};

/// Number of failures from one network with one login identifier after which the next attempt has
/// to wait.
const FREE_FAILURES: u32 = 5;
/// Maximum wait after a failed login.
const MAX_WAIT: Duration = Duration::from_secs(15 * 60);
/// Maximum number of failures per day with one login identifier, from all networks together.
const LOGIN_PER_DAY: u32 = 40;
/// Maximum number of additional failures per day from each network from which the account has
/// logged in before.
const RESERVE_PER_DAY: u32 = 10;
/// Time for which a network counts as known to an account after a login from it.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Counters of one login attempt.
pub(super) struct LoginSlots<'a> {
    /// Failures with this login identifier from all networks, except those counted in `reserve`.
    login: &'a mut BudgetCounter,
    /// Time at which the failures of the login identifier were last reset. Earlier failures and
    /// waits do not count.
    cleared: &'a mut BudgetCounter,
    network: Option<NetworkSlots<'a>>,
    /// Failures with any login identifier from the attempt's network and from the larger networks
    /// that contain it.
    failures: &'a mut [BudgetCounter],
    failure_limits: &'a [Limit],
}

/// Counters of one login attempt that depend on its network, if the network is known.
struct NetworkSlots<'a> {
    /// Failures from this network with this login identifier, and the end of the wait.
    pair: &'a mut BudgetCounter,
    /// Time of the last successful login from this network with this login identifier.
    known: &'a mut BudgetCounter,
    /// Additional failures from this network, which are allowed after a successful login from it.
    reserve: &'a mut BudgetCounter,
}

impl<'a> LoginSlots<'a> {
    /// Assigns counters in this order: two of the login identifier, three of the network if
    /// `is_named` is set, and the failures with any identifier. Returns `None` if the number is
    /// wrong.
    pub(super) fn of(
        counters: &'a mut [BudgetCounter],
        is_named: bool,
        failure_limits: &'a [Limit],
    ) -> Option<Self> {
        let (login, rest) = counters.split_first_mut()?;
        let (cleared, rest) = rest.split_first_mut()?;
        let (network, failures) = match is_named {
            true => {
                let (named, failures) = rest.split_at_mut_checked(3)?;
                let [pair, known, reserve] = named else { return None };
                (Some(NetworkSlots { pair, known, reserve }), failures)
            }
            false => (None, rest),
        };
        (failures.len() == failure_limits.len()).then_some(Self {
            login,
            cleared,
            network,
            failures,
            failure_limits,
        })
    }

    /// Moves the start of each counter's window to `now` if it lies in the future because the clock
    /// was set back.
    pub(super) fn begin_no_later(&mut self, now: Timestamp) {
        begin_no_later(self.login, now);
        if let Some(slots) = &mut self.network {
            begin_no_later(slots.pair, now);
            begin_no_later(slots.reserve, now);
        }
        self.failures.iter_mut().for_each(|counter| begin_no_later(counter, now));
    }

    /// Counts an attempt as a failure and returns the budget that it was charged to. If the attempt
    /// is refused, returns the time to wait, and leaves the counters in an undefined state.
    pub(super) fn charge(self, now: Timestamp) -> Verdict {
        let Self { login, cleared, network, failures, failure_limits } = self;
        open_window(login, DAY, now);
        let login_budget_left = login.count < LOGIN_PER_DAY;
        let until_next_day = login.since.plus(DAY).since(now);
        let Some(mut slots) = network else {
            if !login_budget_left {
                return Err(until_next_day);
            }
            charge(failures, failure_limits, now)?;
            login.count += 1;
            return Ok(Allowance::Full);
        };
        // A clearing in the future was made before the clock was set back.
        if cleared.since <= now {
            slots.clear_before(cleared.since);
        }
        let NetworkSlots { pair, known, reserve } = slots;
        let wait = pair.blocked_until.since(now);
        let longest = wait_after(pair.count);
        // A longer wait than the failures allow shows that the clock was set back, so it is over.
        if !wait.is_zero() && !longest.is_zero() && wait <= longest + CLOCK_SKEW {
            return Err(wait.min(longest));
        }
        charge(failures, failure_limits, now)?;
        open_window(reserve, DAY, now);
        let is_known = known.since.plus(KNOWN_FOR) > now;
        let charged_to = if login_budget_left {
            login.count += 1;
            Allowance::Full
        } else if is_known && reserve.count < RESERVE_PER_DAY {
            reserve.count += 1;
            Allowance::Reserve
        } else {
            return Err(if is_known {
                until_next_day.max(reserve.since.plus(DAY).since(now))
            } else {
                until_next_day
            });
        };
        open_window(pair, DAY, now);
        pair.count += 1;
        pair.blocked_until = now.plus(wait_after(pair.count));
        // A wait may outlast the day of its failures. Deleting the counter earlier would end the
        // wait.
        pair.expires_at = pair.expires_at.max(pair.blocked_until);
        Ok(charged_to)
    }

    /// Refunds a successful attempt and ends the wait. `from_reserve` is set if it was charged to
    /// [`Allowance::Reserve`].
    pub(super) fn settle_success(mut self, from_reserve: bool) {
        self.refund_budgets(from_reserve);
        if let Some(slots) = &mut self.network {
            *slots.pair = BudgetCounter::ZERO;
        }
    }

    /// Refunds an attempt in which no password was verified. `from_reserve` is set if it was
    /// charged to [`Allowance::Reserve`].
    pub(super) fn refund(mut self, from_reserve: bool, now: Timestamp) {
        self.refund_budgets(from_reserve);
        if let Some(slots) = &mut self.network {
            slots.pair.count = slots.pair.count.saturating_sub(1);
            // The previous wait was over, or the attempt would have been refused.
            slots.pair.blocked_until = slots.pair.blocked_until.min(now);
        }
    }

    /// Resets all failures and waits of this login identifier.
    pub(super) fn clear(self, now: Timestamp) {
        *self.login = BudgetCounter::ZERO;
        *self.cleared = mark(now, DAY);
    }

    fn refund_budgets(&mut self, from_reserve: bool) {
        let decrement =
            |counter: &mut BudgetCounter| counter.count = counter.count.saturating_sub(1);
        self.failures.iter_mut().for_each(decrement);
        match &mut self.network {
            Some(slots) if from_reserve => decrement(slots.reserve),
            _ => decrement(self.login),
        }
    }
}

impl NetworkSlots<'_> {
    /// Resets the counters of the network that began before the time `cleared`, when the failures
    /// of the login identifier were reset.
    fn clear_before(&mut self, cleared: Timestamp) {
        for counter in [&mut *self.pair, &mut *self.reserve] {
            if counter.count > 0 && counter.since <= cleared {
                *counter = BudgetCounter::ZERO;
            }
        }
    }
}

/// Returns a counter that records a successful login at `now`, by which the network counts as
/// known.
pub(super) fn known_from(now: Timestamp) -> BudgetCounter {
    mark(now, KNOWN_FOR)
}

/// Returns a counter that only records the time `at`, and is stored for the duration `kept_for`.
fn mark(at: Timestamp, kept_for: Duration) -> BudgetCounter {
    let expires_at = at.plus(kept_for);
    BudgetCounter { count: 1, since: at, blocked_until: Timestamp(0), expires_at }
}

/// Returns the wait before the next attempt after `failures` failures: 1 s after the fifth, then
/// doubled with each failure, up to 15 minutes.
fn wait_after(failures: u32) -> Duration {
    match failures.checked_sub(FREE_FAILURES) {
        None => Duration::ZERO,
        Some(doublings) => MAX_WAIT.min(Duration::from_secs(1 << doublings.min(20))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    /// Limits of the failures of an IPv4 network.
    const FAILURES: [Limit; 1] = [Limit { uses: 100, window: HOUR }];

    fn slots(counters: &mut [BudgetCounter]) -> LoginSlots<'_> {
        let is_named = counters.len() > 3;
        LoginSlots::of(counters, is_named, &FAILURES).unwrap()
    }

    fn charge(counters: &mut [BudgetCounter], now: Timestamp) -> Verdict {
        slots(counters).begin_no_later(now);
        let before = counters.to_vec();
        let verdict = slots(counters).charge(now);
        if verdict.is_err() {
            counters.clone_from_slice(&before);
        }
        verdict
    }

    /// Makes failing attempts, observing each wait, until a budget is exhausted. Returns the number
    /// of failures and the time.
    fn exhaust(counters: &mut [BudgetCounter; 6], mut now: Timestamp) -> (u32, Timestamp) {
        let mut failures = 0;
        loop {
            match charge(counters, now) {
                Ok(_) => failures += 1,
                Err(wait) if wait <= MAX_WAIT => now = now.plus(wait),
                Err(_) => return (failures, now),
            }
        }
    }

    #[test]
    fn attempts_from_unknown_networks_share_the_daily_budget_of_the_login() {
        let mut counters = [BudgetCounter::ZERO; 3];
        for number in 0..LOGIN_PER_DAY {
            assert_eq!(
                charge(&mut counters, at(u64::from(number))),
                Ok(Allowance::Full),
                "{number}"
            );
        }
        let hour = at(3600);
        assert_eq!(charge(&mut counters, hour), Err(DAY - Duration::from_secs(3600)));
        slots(&mut counters).refund(false, hour);
        assert_eq!(charge(&mut counters, hour), Ok(Allowance::Full));
        assert!(charge(&mut counters, hour).is_err());
        assert_eq!(charge(&mut counters, NOW.plus(DAY)), Ok(Allowance::Full), "a new day");
    }

    #[test]
    fn the_wait_grows_from_the_fifth_failure() {
        let mut counters = [BudgetCounter::ZERO; 6];
        for _ in 0..5 {
            assert_eq!(charge(&mut counters, NOW), Ok(Allowance::Full));
        }
        assert_eq!(charge(&mut counters, NOW), Err(Duration::from_secs(1)));
        assert_eq!(charge(&mut counters, at(1)), Ok(Allowance::Full));
        assert_eq!(charge(&mut counters, at(1)), Err(Duration::from_secs(2)));
        assert_eq!(wait_after(14), Duration::from_secs(512));
        assert_eq!(wait_after(15), MAX_WAIT);
        assert_eq!(wait_after(u32::MAX), MAX_WAIT);
    }

    #[test]
    fn a_wait_does_not_become_longer_if_the_clock_is_set_back() {
        let mut counters = [BudgetCounter::ZERO; 6];
        for _ in 0..5 {
            assert!(charge(&mut counters, at(36_000)).is_ok());
        }
        assert_eq!(charge(&mut counters, NOW), Ok(Allowance::Full), "it is over");
        // Another node, with a clock that is ahead, charged an attempt.
        let mut skewed = [BudgetCounter::ZERO; 6];
        assert!(charge(&mut skewed, NOW.plus(Duration::from_millis(5))).is_ok());
        assert_eq!(charge(&mut skewed, NOW), Ok(Allowance::Full));
        assert_eq!(charge(&mut counters, NOW), Err(Duration::from_secs(2)));
        for _ in 0..LOGIN_PER_DAY {
            let _ = charge(&mut counters[..3], at(36_000));
        }
        assert_eq!(charge(&mut counters[..3], NOW), Err(DAY));
        assert!(charge(&mut counters[..3], NOW.plus(DAY)).is_ok(), "one day later");
    }

    #[test]
    fn a_counter_does_not_expire_before_its_wait_ends() {
        let mut counters = [BudgetCounter::ZERO; 6];
        counters[2] =
            BudgetCounter { count: 14, since: NOW, blocked_until: NOW, expires_at: NOW.plus(DAY) };
        let late = NOW.plus(DAY - Duration::from_secs(30));
        assert!(charge(&mut counters, late).is_ok());
        let pair = counters[2];
        assert_eq!(pair.blocked_until, late.plus(MAX_WAIT));
        assert!(pair.expires_at >= pair.blocked_until, "a sweep would end the wait: {pair:?}");
    }

    #[test]
    fn a_success_ends_the_wait_and_refunds_the_attempt() {
        let mut counters = [BudgetCounter::ZERO; 6];
        for _ in 0..4 {
            assert!(charge(&mut counters, NOW).is_ok());
        }
        assert!(charge(&mut counters, NOW).is_ok());
        slots(&mut counters).settle_success(false);
        assert_eq!(counters[0].count, 4, "the failures of the day stay");
        assert_eq!(counters[5].count, 4);
        assert_eq!(charge(&mut counters, NOW), Ok(Allowance::Full), "no wait");
    }

    #[test]
    fn a_refunded_attempt_costs_nothing() {
        let mut counters = [BudgetCounter::ZERO; 6];
        for _ in 0..200 {
            assert!(charge(&mut counters, NOW).is_ok());
            slots(&mut counters).refund(false, NOW);
        }
        assert_eq!(counters.map(|counter| counter.count), [0; 6]);
    }

    #[test]
    fn attackers_cannot_lock_the_owner_out_of_a_known_network() {
        let mut owner = [BudgetCounter::ZERO; 6];
        assert!(charge(&mut owner, NOW).is_ok());
        slots(&mut owner).settle_success(false);
        owner[3] = known_from(NOW);
        let mut login = owner[0];
        for _ in 0..1000 {
            let mut attacker = [BudgetCounter::ZERO; 6];
            attacker[0] = login;
            let _ = charge(&mut attacker, NOW);
            login = attacker[0];
        }
        assert_eq!(login.count, LOGIN_PER_DAY);
        owner[0] = login;
        let (failures, _) = exhaust(&mut owner, NOW);
        assert_eq!(failures, RESERVE_PER_DAY);
    }

    #[test]
    fn a_network_is_known_for_thirty_days() {
        let mut counters = [BudgetCounter::ZERO; 6];
        assert!(charge(&mut counters, NOW).is_ok());
        slots(&mut counters).settle_success(false);
        counters[3] = known_from(NOW);
        let expiry = at(30 * 86_400);
        assert_eq!(counters[3].expires_at, expiry);
        let just_before = at(30 * 86_400 - 1);
        counters[0] =
            BudgetCounter { count: LOGIN_PER_DAY, since: just_before, ..BudgetCounter::ZERO };
        assert_eq!(charge(&mut counters.clone(), just_before), Ok(Allowance::Reserve));
        assert!(charge(&mut counters, expiry).is_err());
    }

    #[test]
    fn a_network_has_one_budget_for_all_logins() {
        let mut failures = BudgetCounter::ZERO;
        let mut allowed = 0;
        for _ in 0..1000 {
            let mut counters = [BudgetCounter::ZERO; 6];
            counters[5] = failures;
            allowed += u32::from(charge(&mut counters, NOW).is_ok());
            failures = counters[5];
        }
        assert_eq!(allowed, FAILURES[0].uses);
    }

    #[test]
    fn clearing_a_login_applies_to_every_network() {
        let mut counters = [BudgetCounter::ZERO; 6];
        let (failures, now) = exhaust(&mut counters, NOW);
        assert_eq!(failures, LOGIN_PER_DAY);
        LoginSlots::of(&mut counters[..2], false, &[]).unwrap().clear(now);
        assert_eq!(charge(&mut counters, now), Ok(Allowance::Full));
        assert_eq!(counters[2].count, 1);
    }
}
