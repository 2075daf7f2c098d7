//! The published budgets, counted independently of the service: login attempts, requests per hour,
//! and emails per address.

use std::collections::BTreeMap;
use std::time::Duration;

use user_server::domain::Purpose;

use super::ledger::{CODE_LIFE, DAY, HOUR, SECOND};
use super::values::{ADDRESSES, NETWORKS};

/// Attempts of logins and of requests with an hourly budget.
#[derive(Default)]
pub struct Attempts {
    /// Failures by login and network.
    pairs: BTreeMap<(String, usize), Failures>,
    all_failures: Vec<(String, Option<usize>, i64)>,
    uses: Vec<(&'static str, usize, i64)>,
}

/// Consecutive failed logins of one login text from one network.
#[derive(Default)]
struct Failures {
    count: u32,
    since: i64,
    blocked_until: i64,
    /// A fault has occurred since the count began.
    unsure: bool,
}

/// Decision of the login budgets on an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Allowed,
    Refused,
    Either,
}

impl Attempts {
    /// Returns the decision on a login attempt.
    pub fn admission(&self, login: &str, network: Option<usize>, now: i64) -> Admission {
        let within = |span: i64, same: &dyn Fn(&str, Option<usize>) -> bool| {
            self.all_failures
                .iter()
                .filter(|(login, network, at)| *at > now - span && same(login, *network))
                .count()
        };
        let pair = network.and_then(|network| self.pairs.get(&(login.to_owned(), network)));
        if let Some(pair) = pair {
            if pair.unsure {
                return Admission::Either;
            }
            if pair.blocked_until > now {
                return Admission::Refused;
            }
        }
        // These counts are upper bounds of the budgets of unknown networks and of one network.
        let spent = within(2 * DAY, &|other, _| other == login) >= 40
            || network.is_some() && within(2 * HOUR, &|_, other| other == network) >= 100;
        if spent { Admission::Either } else { Admission::Allowed }
    }

    pub fn failed(&mut self, login: &str, network: Option<usize>, now: i64) {
        self.all_failures.push((login.to_owned(), network, now));
        let today = self
            .all_failures
            .iter()
            .filter(|(other, _, at)| other == login && *at > now - DAY)
            .count();
        assert!(today <= 100, "more failures in a row than the published limit");
        let Some(network) = network else { return };
        let pair = self.pairs.entry((login.to_owned(), network)).or_default();
        if pair.count == 0 || pair.since + DAY <= now {
            (pair.count, pair.since) = (0, now);
        }
        pair.count += 1;
        let wait =
            pair.count.checked_sub(5).map_or(0, |doublings| (1 << doublings.min(20)) * SECOND);
        pair.blocked_until = now + wait.min(900 * SECOND);
    }

    pub fn succeeded(&mut self, login: &str, network: Option<usize>) {
        if let Some(network) = network {
            self.pairs.remove(&(login.to_owned(), network));
        }
    }

    /// Counts an attempt that a fault interrupted: the service may or may not have counted it.
    pub fn unsure(&mut self, login: &str, network: Option<usize>, now: i64) {
        self.all_failures.push((login.to_owned(), network, now));
        if let Some(network) = network {
            self.pairs.entry((login.to_owned(), network)).or_default().unsure = true;
        }
    }

    /// Clears the failures of a login; unless `surely`, the service may not have cleared them.
    pub fn clear(&mut self, login: &str, surely: bool) {
        for ((other, _), pair) in &mut self.pairs {
            if other == login {
                *pair = Failures { unsure: !surely, ..Failures::default() };
            }
        }
    }

    /// Counts a request with an hourly budget. Returns `true` if the budget may have been spent
    /// before.
    pub fn spend(
        &mut self,
        kind: &'static str,
        limit: usize,
        network: Option<usize>,
        now: i64,
    ) -> bool {
        let Some(network) = network else { return false };
        let before = self
            .uses
            .iter()
            .filter(|(other, by, at)| *other == kind && *by == network && *at > now - HOUR)
            .count();
        self.uses.push((kind, network, now));
        before >= limit
    }
}

/// Times of the emails with a code, by address and purpose.
#[derive(Default)]
pub struct EmailBudgets {
    emails: BTreeMap<(&'static str, &'static str), Vec<i64>>,
}

impl EmailBudgets {
    /// Records an email and asserts that it is within the published budget.
    pub fn spend(&mut self, address: usize, purpose: Purpose, now: i64) {
        let emails = self.emails.entry((ADDRESSES[address].budget, purpose.name())).or_default();
        // Each network that is known to an account has three emails of its own.
        let known = match purpose {
            Purpose::PasswordReset => NETWORKS.len(),
            Purpose::Registration | Purpose::EmailChange => 0,
        };
        for (window, limit, own) in [(60 * SECOND, 1, 1), (HOUR, 5, 3), (DAY + CODE_LIFE, 10, 3)] {
            let limit = limit + own * known;
            let within = emails.iter().filter(|at| **at > now - window).count();
            assert!(
                within < limit,
                "more than {limit} emails within {:?}",
                Duration::from_millis(window.unsigned_abs())
            );
        }
        emails.push(now);
    }
}
