//! The published budgets, counted again in plain words: attempts at logins, uses an hour, mails of
//! one address.

use std::collections::BTreeMap;
use std::time::Duration;

use user_server::domain::Purpose;

use super::ledger::{CODE_LIFE, DAY, HOUR, SECOND};
use super::story::ADDRESSES;

/// Attempts at logins, as the published policy counts them.
#[derive(Default)]
pub struct Attempts {
    pairs: BTreeMap<(String, usize), Pair>,
    failures: Vec<(String, Option<usize>, i64)>,
    uses: Vec<(&'static str, usize, i64)>,
}

#[derive(Default)]
struct Pair {
    count: u32,
    since: i64,
    blocked_until: i64,
    /// Whether nothing went wrong since the count began.
    unsure: bool,
}

/// Whether an attempt is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Open,
    Shut,
    Either,
}

impl Attempts {
    /// Whether an attempt at a login is let in now.
    pub fn gate(&self, login: &str, network: Option<usize>, now: i64) -> Gate {
        let within = |span: i64, same: &dyn Fn(&str, Option<usize>) -> bool| {
            self.failures
                .iter()
                .filter(|(login, network, at)| *at > now - span && same(login, *network))
                .count()
        };
        let pair = network.and_then(|network| self.pairs.get(&(login.to_owned(), network)));
        if let Some(pair) = pair {
            if pair.unsure {
                return Gate::Either;
            }
            if pair.blocked_until > now {
                return Gate::Shut;
            }
        }
        // The strangers' and the networks' budgets are counted from above.
        let spent = within(2 * DAY, &|other, _| other == login) >= 40
            || network.is_some() && within(2 * HOUR, &|_, other| other == network) >= 100;
        if spent { Gate::Either } else { Gate::Open }
    }

    pub fn failed(&mut self, login: &str, network: Option<usize>, now: i64) {
        self.failures.push((login.to_owned(), network, now));
        let today =
            self.failures.iter().filter(|(other, _, at)| other == login && *at > now - DAY).count();
        assert!(today <= 100, "more failures in a row than are published");
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

    /// Something went wrong while it was counted.
    pub fn unsure(&mut self, login: &str, network: Option<usize>, now: i64) {
        self.failures.push((login.to_owned(), network, now));
        if let Some(network) = network {
            self.pairs.entry((login.to_owned(), network)).or_default().unsure = true;
        }
    }

    /// The owner of a login is back, or perhaps.
    pub fn clear(&mut self, login: &str, surely: bool) {
        for ((other, _), pair) in &mut self.pairs {
            if other == login {
                *pair = Pair { unsure: !surely, ..Pair::default() };
            }
        }
    }

    /// A use of an hourly budget; whether it may have been spent.
    pub fn spend(&mut self, what: &'static str, network: Option<usize>, now: i64) -> bool {
        let Some(network) = network else { return false };
        let before = self
            .uses
            .iter()
            .filter(|(other, by, at)| *other == what && *by == network && *at > now - HOUR)
            .count();
        self.uses.push((what, network, now));
        before >= 20
    }
}

/// When mails of codes went to an address, for a purpose: held to the published budget.
#[derive(Default)]
pub struct Budgets {
    turns: BTreeMap<(&'static str, &'static str), Vec<i64>>,
}

impl Budgets {
    pub fn spend(&mut self, address: usize, purpose: Purpose, now: i64) {
        let turns = self.turns.entry((ADDRESSES[address].budget, purpose.name())).or_default();
        for (window, most) in [(60 * SECOND, 1), (HOUR, 5), (DAY + CODE_LIFE, 10)] {
            let within = turns.iter().filter(|at| **at > now - window).count();
            assert!(
                within < most,
                "more than {most} mails within {:?}",
                Duration::from_millis(window.unsigned_abs())
            );
        }
        turns.push(now);
    }
}
