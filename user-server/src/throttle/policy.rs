//! What the budgets allow, as pure functions of counters and the time.

use std::time::Duration;

use crate::domain::{BudgetCounter, Timestamp};

/// The failures after which the next attempt has to wait.
const FREE_FAILURES: u32 = 5;
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// Failures of strangers at one login within a day.
const STRANGERS_PER_DAY: u32 = 40;
/// Failures more, from a network that has logged in there.
const KNOWN_PER_DAY: u32 = 10;
/// How long a network stays known.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// Failures of one network at all logins within an hour.
const FAILURES_PER_HOUR: u32 = 100;
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The note that an attempt was paid by the account's strangers' budget.
pub(super) const FROM_STRANGERS: u8 = 0;
/// The note that an attempt was paid by the reserve of a known network.
pub(super) const FROM_RESERVE: u8 = 1;

/// Spends one of `most` within `window` from the first.
pub(super) fn charge(
    counters: &mut [BudgetCounter],
    most: u32,
    window: Duration,
    now: Timestamp,
) -> Result<u8, Duration> {
    for counter in counters.iter_mut() {
        open_window(counter, window, now);
        if counter.count >= most {
            return Err(counter.since.plus(window).since(now));
        }
        counter.count += 1;
    }
    Ok(0)
}

/// Gives one back.
pub(super) fn refund(counters: &mut [BudgetCounter]) -> Result<u8, Duration> {
    for counter in counters.iter_mut() {
        counter.count = counter.count.saturating_sub(1);
    }
    Ok(0)
}

/// Starts a new window where the last has passed.
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

/// The counters of one login attempt.
pub(super) struct LoginSlots<'a> {
    /// Failures of strangers at this login.
    account: &'a mut BudgetCounter,
    /// When its owner last cleared it: waits that began before are over.
    cleared: &'a mut BudgetCounter,
    network: Option<NetworkSlots<'a>>,
}

struct NetworkSlots<'a> {
    /// Failures of this network at this login, since the first of them, and until when it waits.
    pair: &'a mut BudgetCounter,
    /// When it last logged in here.
    known: &'a mut BudgetCounter,
    /// Failures that its reserve paid for.
    reserve: &'a mut BudgetCounter,
    /// Its failures at all logins.
    failures: &'a mut BudgetCounter,
}

impl<'a> LoginSlots<'a> {
    /// The slots of counters in the order of their keys: two for the login, and four for a network
    /// that is known.
    pub(super) fn of(counters: &'a mut [BudgetCounter]) -> Option<Self> {
        match counters {
            [account, cleared] => Some(Self { account, cleared, network: None }),
            [account, cleared, pair, known, reserve, failures] => Some(Self {
                account,
                cleared,
                network: Some(NetworkSlots { pair, known, reserve, failures }),
            }),
            _ => None,
        }
    }

    /// Pays for an attempt, or says how long to wait.
    pub(super) fn charge(self, now: Timestamp) -> Result<u8, Duration> {
        let Self { account, cleared, network } = self;
        open_window(account, DAY, now);
        let strangers_left = account.count < STRANGERS_PER_DAY;
        let day_over = account.since.plus(DAY).since(now);
        let Some(mut slots) = network else {
            if !strangers_left {
                return Err(day_over);
            }
            account.count += 1;
            return Ok(FROM_STRANGERS);
        };
        slots.forget_before(cleared.since);
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
        let note = if strangers_left {
            account.count += 1;
            FROM_STRANGERS
        } else if is_known && reserve.count < KNOWN_PER_DAY {
            reserve.count += 1;
            FROM_RESERVE
        } else {
            return Err(if is_known {
                day_over.max(reserve.since.plus(DAY).since(now))
            } else {
                day_over
            });
        };
        failures.count += 1;
        open_window(pair, DAY, now);
        pair.count += 1;
        pair.blocked_until = now.plus(wait_after(pair.count));
        // A wait may outlive the day that its failures count in; to be forgotten before would end
        // it.
        pair.expires_at = pair.expires_at.max(pair.blocked_until);
        Ok(note)
    }

    /// Gives the attempt back, ends the wait, and knows the network from now.
    pub(super) fn succeeded(mut self, from_reserve: bool, now: Timestamp) -> Result<u8, Duration> {
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

    /// Gives the attempt back, as if it had not been made.
    pub(super) fn refund(mut self, from_reserve: bool, now: Timestamp) -> Result<u8, Duration> {
        self.refund_budgets(from_reserve);
        if let Some(slots) = &mut self.network {
            slots.pair.count = slots.pair.count.saturating_sub(1);
            // Its last wait was over, or the attempt would not have been paid for.
            slots.pair.blocked_until = slots.pair.blocked_until.min(now);
        }
        Ok(0)
    }

    /// Forgets every failure at this login.
    pub(super) fn clear(self, now: Timestamp) -> Result<u8, Duration> {
        *self.account = BudgetCounter::ZERO;
        *self.cleared = BudgetCounter {
            count: 1,
            since: now,
            blocked_until: Timestamp(0),
            expires_at: now.plus(DAY),
        };
        Ok(0)
    }

    fn refund_budgets(&mut self, from_reserve: bool) {
        let less = |counter: &mut BudgetCounter| counter.count = counter.count.saturating_sub(1);
        if !from_reserve {
            less(self.account);
        }
        if let Some(slots) = &mut self.network {
            less(slots.failures);
            if from_reserve {
                less(slots.reserve);
            }
        }
    }
}

impl NetworkSlots<'_> {
    /// Drops what began before the owner cleared the login.
    fn forget_before(&mut self, cleared: Timestamp) {
        for counter in [&mut *self.pair, &mut *self.reserve] {
            if counter.count > 0 && counter.since <= cleared {
                *counter = BudgetCounter::ZERO;
            }
        }
    }
}

/// How long the next attempt waits after this many failures: 1 s after the fifth, doubling, to 15
/// minutes.
fn wait_after(failures: u32) -> Duration {
    match failures.checked_sub(FREE_FAILURES) {
        None => Duration::ZERO,
        Some(doublings) => LONGEST_WAIT.min(Duration::from_secs(1 << doublings.min(20))),
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

    /// Fails until a budget refuses for longer than a wait is; how often it could.
    fn exhaust(counters: &mut [BudgetCounter; 6], mut now: Timestamp) -> (u32, Timestamp) {
        let mut failures = 0;
        loop {
            match charge(counters, now) {
                Ok(_) => failures += 1,
                Err(wait) if wait <= LONGEST_WAIT => now = now.plus(wait),
                Err(_) => return (failures, now),
            }
        }
    }

    #[test]
    fn where_no_network_is_known_strangers_have_their_day() {
        let mut counters = [BudgetCounter::ZERO; 2];
        for number in 0..STRANGERS_PER_DAY {
            assert_eq!(
                charge(&mut counters, at(u64::from(number))),
                Ok(FROM_STRANGERS),
                "{number}"
            );
        }
        let hour = at(3600);
        assert_eq!(charge(&mut counters, hour), Err(DAY - Duration::from_secs(3600)));
        LoginSlots::of(&mut counters).unwrap().refund(false, hour).unwrap();
        assert_eq!(charge(&mut counters, hour), Ok(FROM_STRANGERS));
        assert!(charge(&mut counters, hour).is_err());
        assert_eq!(charge(&mut counters, NOW.plus(DAY)), Ok(FROM_STRANGERS), "a new day");
    }

    #[test]
    fn the_wait_grows_from_the_fifth_failure() {
        let mut counters = [BudgetCounter::ZERO; 6];
        for _ in 0..5 {
            assert_eq!(charge(&mut counters, NOW), Ok(FROM_STRANGERS));
        }
        assert_eq!(charge(&mut counters, NOW), Err(Duration::from_secs(1)));
        assert_eq!(charge(&mut counters, at(1)), Ok(FROM_STRANGERS));
        assert_eq!(charge(&mut counters, at(1)), Err(Duration::from_secs(2)));
        assert_eq!(wait_after(14), Duration::from_secs(512));
        assert_eq!(wait_after(15), LONGEST_WAIT);
        assert_eq!(wait_after(u32::MAX), LONGEST_WAIT);
    }

    #[test]
    fn a_wait_is_not_forgotten_before_it_is_over() {
        let mut counters = [BudgetCounter::ZERO; 6];
        counters[2] =
            BudgetCounter { count: 14, since: NOW, blocked_until: NOW, expires_at: NOW.plus(DAY) };
        let late = NOW.plus(DAY - Duration::from_secs(30));
        assert!(charge(&mut counters, late).is_ok());
        let pair = counters[2];
        assert_eq!(pair.blocked_until, late.plus(LONGEST_WAIT));
        assert!(pair.expires_at >= pair.blocked_until, "a sweep would end the wait: {pair:?}");
    }

    #[test]
    fn a_success_ends_the_wait_and_gives_back() {
        let mut counters = [BudgetCounter::ZERO; 6];
        for _ in 0..4 {
            assert!(charge(&mut counters, NOW).is_ok());
        }
        assert!(charge(&mut counters, NOW).is_ok());
        assert!(LoginSlots::of(&mut counters).unwrap().succeeded(false, NOW).is_ok());
        assert_eq!(counters[0].count, 4, "the failures of the day stay");
        assert_eq!(counters[5].count, 4);
        assert_eq!(charge(&mut counters, NOW), Ok(FROM_STRANGERS), "no wait");
    }

    #[test]
    fn what_was_not_tried_costs_nothing() {
        let mut counters = [BudgetCounter::ZERO; 6];
        for _ in 0..200 {
            assert!(charge(&mut counters, NOW).is_ok());
            assert!(LoginSlots::of(&mut counters).unwrap().refund(false, NOW).is_ok());
        }
        assert_eq!(counters.map(|counter| counter.count), [0; 6]);
    }

    #[test]
    fn strangers_can_not_lock_the_owner_out_of_a_known_place() {
        let mut owner = [BudgetCounter::ZERO; 6];
        assert!(charge(&mut owner, NOW).is_ok());
        assert!(LoginSlots::of(&mut owner).unwrap().succeeded(false, NOW).is_ok());
        let mut account = owner[0];
        for _ in 0..1000 {
            let mut stranger = [BudgetCounter::ZERO; 6];
            stranger[0] = account;
            let _ = charge(&mut stranger, NOW);
            account = stranger[0];
        }
        assert_eq!(account.count, STRANGERS_PER_DAY);
        owner[0] = account;
        let (failures, _) = exhaust(&mut owner, NOW);
        assert_eq!(failures, KNOWN_PER_DAY);
    }

    #[test]
    fn a_place_is_known_for_thirty_days() {
        let mut counters = [BudgetCounter::ZERO; 6];
        assert!(charge(&mut counters, NOW).is_ok());
        assert!(LoginSlots::of(&mut counters).unwrap().succeeded(false, NOW).is_ok());
        let days_are_over = at(30 * 86_400);
        assert_eq!(counters[3].expires_at, days_are_over);
        let just_before = at(30 * 86_400 - 1);
        counters[0] =
            BudgetCounter { count: STRANGERS_PER_DAY, since: just_before, ..BudgetCounter::ZERO };
        assert_eq!(charge(&mut counters.clone(), just_before), Ok(FROM_RESERVE));
        assert!(charge(&mut counters, days_are_over).is_err());
    }

    #[test]
    fn one_network_has_a_bound_over_all_logins() {
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
    fn clearing_reaches_networks_that_nobody_remembers() {
        let mut counters = [BudgetCounter::ZERO; 6];
        let (failures, now) = exhaust(&mut counters, NOW);
        assert_eq!(failures, STRANGERS_PER_DAY);
        assert!(LoginSlots::of(&mut counters[..2]).unwrap().clear(now).is_ok());
        assert_eq!(charge(&mut counters, now), Ok(FROM_STRANGERS));
        assert_eq!(counters[2].count, 1);
    }

    #[test]
    fn an_hour_has_its_uses() {
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
