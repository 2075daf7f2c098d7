//! The limits of the budgets, and decisions about them as pure functions of counters and time.

use std::time::Duration;

use crate::domain::{BudgetCounter, Timestamp};

/// Failures of one network at one login after which the next attempt has to wait.
const FREE_FAILURES: u32 = 5;
/// Maximum wait after a failure.
const MAX_WAIT: Duration = Duration::from_secs(15 * 60);
/// Failures at one login per day, from all networks together.
const LOGIN_PER_DAY: u32 = 40;
/// Additional failures per day from a network that has logged in there before.
const RESERVE_PER_DAY: u32 = 10;
/// Time for which a network counts as known after a login.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// Failures of one network per hour, at all logins together.
const FAILURES_PER_HOUR: u32 = 100;
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Result of an attempt that was charged to the budget of the login.
pub(super) const FROM_LOGIN_BUDGET: u8 = 0;
/// Result of an attempt that was charged to the reserve of a known network.
pub(super) const FROM_RESERVE: u8 = 1;

/// Charges one operation to budgets of `limit` operations within `window` from the first, or
/// returns the time until the window ends.
pub(super) fn charge(
    counters: &mut [BudgetCounter],
    limit: u32,
    window: Duration,
    now: Timestamp,
) -> Result<u8, Duration> {
    for counter in counters.iter_mut() {
        open_window(counter, window, now);
        if counter.count >= limit {
            return Err(counter.since.plus(window).since(now));
        }
        counter.count += 1;
    }
    Ok(0)
}

/// Refunds one operation.
pub(super) fn refund(counters: &mut [BudgetCounter]) -> Result<u8, Duration> {
    for counter in counters.iter_mut() {
        counter.count = counter.count.saturating_sub(1);
    }
    Ok(0)
}

/// Starts a new window if the last one has ended.
fn open_window(counter: &mut BudgetCounter, window: Duration, now: Timestamp) {
    if counter.count == 0 || counter.since.plus(window) <= now {
        *counter = BudgetCounter {
            count: 0,
            since: now,
            blocked_until: counter.blocked_until,
            expires_at: now.plus(window),
        };
    }
}

/// Counters of one login attempt.
pub(super) struct LoginSlots<'a> {
    /// Failures at this login from all networks, except those charged to a reserve.
    login: &'a mut BudgetCounter,
    /// Time at which the owner last cleared the login. Earlier failures and waits are void.
    cleared: &'a mut BudgetCounter,
    network: Option<NetworkSlots<'a>>,
}

/// Counters of one login attempt from a network.
struct NetworkSlots<'a> {
    /// Failures of this network at this login, and the end of its wait.
    pair: &'a mut BudgetCounter,
    /// Time of the last login from this network to this account.
    known: &'a mut BudgetCounter,
    /// Failures of this network at this login that were charged to its reserve.
    reserve: &'a mut BudgetCounter,
    /// Failures of this network at all logins.
    failures: &'a mut BudgetCounter,
}

impl<'a> LoginSlots<'a> {
    /// Assigns counters, which are in the order of their keys: two of the login, and four of the
    /// network if it can be identified. Returns `None` for any other number.
    pub(super) fn of(counters: &'a mut [BudgetCounter]) -> Option<Self> {
        match counters {
            [login, cleared] => Some(Self { login, cleared, network: None }),
            [login, cleared, pair, known, reserve, failures] => Some(Self {
                login,
                cleared,
                network: Some(NetworkSlots { pair, known, reserve, failures }),
            }),
            _ => None,
        }
    }

    /// Charges an attempt and returns the budget that it was charged to, or returns the time to
    /// wait.
    pub(super) fn charge(self, now: Timestamp) -> Result<u8, Duration> {
        let Self { login, cleared, network } = self;
        open_window(login, DAY, now);
        let login_budget_left = login.count < LOGIN_PER_DAY;
        let until_next_day = login.since.plus(DAY).since(now);
        let Some(mut slots) = network else {
            if !login_budget_left {
                return Err(until_next_day);
            }
            login.count += 1;
            return Ok(FROM_LOGIN_BUDGET);
        };
        slots.clear_before(cleared.since);
        let NetworkSlots { pair, known, reserve, failures } = slots;
        if pair.blocked_until > now {
            return Err(pair.blocked_until.since(now));
        }
        open_window(failures, HOUR, now);
        if failures.count >= FAILURES_PER_HOUR {
            return Err(failures.since.plus(HOUR).since(now));
        }
        open_window(reserve, DAY, now);
        let is_known = known.count > 0 && known.since.plus(KNOWN_FOR) > now;
        let charged_to = if login_budget_left {
            login.count += 1;
            FROM_LOGIN_BUDGET
        } else if is_known && reserve.count < RESERVE_PER_DAY {
            reserve.count += 1;
            FROM_RESERVE
        } else {
            return Err(if is_known {
                until_next_day.max(reserve.since.plus(DAY).since(now))
            } else {
                until_next_day
            });
        };
        failures.count += 1;
        open_window(pair, DAY, now);
        pair.count += 1;
        pair.blocked_until = now.plus(wait_after(pair.count));
        // A wait may outlast the day of its failures. Deleting the counter earlier would end the
        // wait.
        pair.expires_at = pair.expires_at.max(pair.blocked_until);
        Ok(charged_to)
    }

    /// Refunds the attempt, ends the wait, and marks the network as known from now on.
    pub(super) fn settle_success(
        mut self,
        from_reserve: bool,
        now: Timestamp,
    ) -> Result<u8, Duration> {
        self.refund_budgets(from_reserve);
        if let Some(slots) = &mut self.network {
            *slots.pair = BudgetCounter::ZERO;
            *slots.known = BudgetCounter {
                count: 1,
                since: now,
                blocked_until: Timestamp(0),
                expires_at: now.plus(KNOWN_FOR),
            };
        }
        Ok(0)
    }

    /// Refunds the attempt, as if it had not been made.
    pub(super) fn refund(mut self, from_reserve: bool, now: Timestamp) -> Result<u8, Duration> {
        self.refund_budgets(from_reserve);
        if let Some(slots) = &mut self.network {
            slots.pair.count = slots.pair.count.saturating_sub(1);
            // The previous wait was over, or the attempt would have been refused.
            slots.pair.blocked_until = slots.pair.blocked_until.min(now);
        }
        Ok(0)
    }

    /// Voids all failures and waits at this login.
    pub(super) fn clear(self, now: Timestamp) -> Result<u8, Duration> {
        *self.login = BudgetCounter::ZERO;
        *self.cleared = BudgetCounter {
            count: 1,
            since: now,
            blocked_until: Timestamp(0),
            expires_at: now.plus(DAY),
        };
        Ok(0)
    }

    fn refund_budgets(&mut self, from_reserve: bool) {
        let decrement =
            |counter: &mut BudgetCounter| counter.count = counter.count.saturating_sub(1);
        if !from_reserve {
            decrement(self.login);
        }
        if let Some(slots) = &mut self.network {
            decrement(slots.failures);
            if from_reserve {
                decrement(slots.reserve);
            }
        }
    }
}

impl NetworkSlots<'_> {
    /// Resets counters that were started before the owner cleared the login.
    fn clear_before(&mut self, cleared: Timestamp) {
        for counter in [&mut *self.pair, &mut *self.reserve] {
            if counter.count > 0 && counter.since <= cleared {
                *counter = BudgetCounter::ZERO;
            }
        }
    }
}

/// Returns the wait of the next attempt after this many failures: 1 s after the fifth, then doubled
/// with each failure, up to 15 minutes.
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

    fn at(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    fn charge(counters: &mut [BudgetCounter], now: Timestamp) -> Result<u8, Duration> {
        LoginSlots::of(counters).unwrap().charge(now)
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
        let mut counters = [BudgetCounter::ZERO; 2];
        for number in 0..LOGIN_PER_DAY {
            assert_eq!(
                charge(&mut counters, at(u64::from(number))),
                Ok(FROM_LOGIN_BUDGET),
                "{number}"
            );
        }
        let hour = at(3600);
        assert_eq!(charge(&mut counters, hour), Err(DAY - Duration::from_secs(3600)));
        LoginSlots::of(&mut counters).unwrap().refund(false, hour).unwrap();
        assert_eq!(charge(&mut counters, hour), Ok(FROM_LOGIN_BUDGET));
        assert!(charge(&mut counters, hour).is_err());
        assert_eq!(charge(&mut counters, NOW.plus(DAY)), Ok(FROM_LOGIN_BUDGET), "a new day");
    }

    #[test]
    fn the_wait_grows_from_the_fifth_failure() {
        let mut counters = [BudgetCounter::ZERO; 6];
        for _ in 0..5 {
            assert_eq!(charge(&mut counters, NOW), Ok(FROM_LOGIN_BUDGET));
        }
        assert_eq!(charge(&mut counters, NOW), Err(Duration::from_secs(1)));
        assert_eq!(charge(&mut counters, at(1)), Ok(FROM_LOGIN_BUDGET));
        assert_eq!(charge(&mut counters, at(1)), Err(Duration::from_secs(2)));
        assert_eq!(wait_after(14), Duration::from_secs(512));
        assert_eq!(wait_after(15), MAX_WAIT);
        assert_eq!(wait_after(u32::MAX), MAX_WAIT);
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
        assert!(LoginSlots::of(&mut counters).unwrap().settle_success(false, NOW).is_ok());
        assert_eq!(counters[0].count, 4, "the failures of the day stay");
        assert_eq!(counters[5].count, 4);
        assert_eq!(charge(&mut counters, NOW), Ok(FROM_LOGIN_BUDGET), "no wait");
    }

    #[test]
    fn a_refunded_attempt_costs_nothing() {
        let mut counters = [BudgetCounter::ZERO; 6];
        for _ in 0..200 {
            assert!(charge(&mut counters, NOW).is_ok());
            assert!(LoginSlots::of(&mut counters).unwrap().refund(false, NOW).is_ok());
        }
        assert_eq!(counters.map(|counter| counter.count), [0; 6]);
    }

    #[test]
    fn attackers_cannot_lock_the_owner_out_of_a_known_network() {
        let mut owner = [BudgetCounter::ZERO; 6];
        assert!(charge(&mut owner, NOW).is_ok());
        assert!(LoginSlots::of(&mut owner).unwrap().settle_success(false, NOW).is_ok());
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
        assert!(LoginSlots::of(&mut counters).unwrap().settle_success(false, NOW).is_ok());
        let expiry = at(30 * 86_400);
        assert_eq!(counters[3].expires_at, expiry);
        let just_before = at(30 * 86_400 - 1);
        counters[0] =
            BudgetCounter { count: LOGIN_PER_DAY, since: just_before, ..BudgetCounter::ZERO };
        assert_eq!(charge(&mut counters.clone(), just_before), Ok(FROM_RESERVE));
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
        assert_eq!(allowed, FAILURES_PER_HOUR);
    }

    #[test]
    fn clearing_a_login_applies_to_every_network() {
        let mut counters = [BudgetCounter::ZERO; 6];
        let (failures, now) = exhaust(&mut counters, NOW);
        assert_eq!(failures, LOGIN_PER_DAY);
        assert!(LoginSlots::of(&mut counters[..2]).unwrap().clear(now).is_ok());
        assert_eq!(charge(&mut counters, now), Ok(FROM_LOGIN_BUDGET));
        assert_eq!(counters[2].count, 1);
    }

    #[test]
    fn an_hourly_budget_is_renewed_after_an_hour() {
        let mut counters = [BudgetCounter::ZERO];
        for _ in 0..20 {
            assert!(super::charge(&mut counters, 20, HOUR, NOW).is_ok());
        }
        assert_eq!(super::charge(&mut counters, 20, HOUR, at(60)), Err(Duration::from_secs(3540)));
        assert!(refund(&mut counters).is_ok());
        assert!(super::charge(&mut counters, 20, HOUR, at(60)).is_ok());
        assert!(super::charge(&mut counters, 20, HOUR, at(3600)).is_ok(), "a new hour");
    }
}
