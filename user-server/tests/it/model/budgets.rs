//! The published budgets, counted independently of the service: login attempts, requests per hour,
//! and emails per address.

use std::collections::BTreeMap;
use std::time::Duration;

use user_server::domain::Purpose;
use uuid::Uuid;

use super::ledger::{CODE_LIFE, DAY, HOUR, SECOND};
use super::values::{ADDRESSES, NETWORKS};

/// Attempts of logins, wrong current passwords, and requests with a budget.
#[derive(Default)]
pub struct Attempts {
    /// Failures by login and network.
    pairs: BTreeMap<(String, usize), Failures>,
    all_failures: Vec<(String, Option<usize>, i64)>,
    uses: Vec<(&'static str, String, i64)>,
    /// Wrong current passwords by session and by user.
    passwords: BTreeMap<Uuid, Failures>,
}

/// Wrong current passwords of a session and of a user within a day.
const PASSWORDS_OF_SESSION: u32 = 10;
const PASSWORDS_OF_USER: u32 = 50;

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

    /// Returns the decision on an attempt to enter the current password.
    pub fn password_admission(&self, session: Uuid, user: Uuid, now: i64) -> Admission {
        let admission = |id, limit| match self.passwords.get(&id) {
            Some(failures) if failures.unsure => Admission::Either,
            Some(failures) if failures.count >= limit && failures.since + DAY > now => {
                Admission::Refused
            }
            _ => Admission::Allowed,
        };
        match (admission(session, PASSWORDS_OF_SESSION), admission(user, PASSWORDS_OF_USER)) {
            (Admission::Refused, _) | (_, Admission::Refused) => Admission::Refused,
            (Admission::Allowed, Admission::Allowed) => Admission::Allowed,
            _ => Admission::Either,
        }
    }

    /// Counts a wrong current password, or one that a fault interrupted. Returns whether the
    /// session must have ended, if that is certain.
    pub fn password_failed(
        &mut self,
        session: Uuid,
        user: Uuid,
        is_sure: bool,
        now: i64,
    ) -> Option<bool> {
        for id in [session, user] {
            let failures = self.passwords.entry(id).or_default();
            if failures.count == 0 || failures.since + DAY <= now {
                (failures.count, failures.since) = (0, now);
            }
            failures.count += 1;
            failures.unsure |= !is_sure;
        }
        let failures = &self.passwords[&session];
        (!failures.unsure).then_some(failures.count == PASSWORDS_OF_SESSION)
    }

    /// Clears the wrong current passwords of a user; unless `surely`, the service may not have
    /// cleared them.
    pub fn clear_passwords(&mut self, user: Uuid, surely: bool) {
        self.passwords.insert(user, Failures { unsure: !surely, ..Failures::default() });
    }

    /// Counts a request with a budget of `limit` requests in `window`. Returns `true` if the budget
    /// may have been spent before.
    pub fn spend(
        &mut self,
        kind: &'static str,
        who: &dyn std::fmt::Debug,
        (limit, window): (usize, i64),
        now: i64,
    ) -> bool {
        let who = format!("{who:?}");
        let before = self
            .uses
            .iter()
            .filter(|(other, by, at)| *other == kind && *by == who && *at > now - window)
            .count();
        self.uses.push((kind, who, now));
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
