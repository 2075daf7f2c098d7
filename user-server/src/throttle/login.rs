//! Rate limits of login attempts. An attempt is counted as a failure, and refunded if it succeeds.

use super::attempt_locks::AttemptLock;
use super::budgets::{Budget, Limit, Payer, slots};
use super::login_policy::{LoginSlots, known_from};
use super::{Throttle, allowed, keys, limits, policy};
use crate::domain::{
    Adjustment, Allowance, BudgetCounter, ClientNetwork, Fault, RequestContext, Timestamp,
    UseCaseResult, UserRecord,
};

/// Purpose of the counters that record from which networks a user has logged in.
const KNOWN_AT: &str = "known at";

/// Login attempt that was counted as a failure. A successful attempt must be passed to
/// [`Throttle::success_adjustment`], and one that was not made to
/// [`Throttle::refund_login`]. Until it is dropped, other attempts from the same network with the
/// same login identifier wait.
#[must_use]
#[derive(Debug)]
pub struct LoginCharge {
    counters: LoginCounters,
    from_reserve: bool,
    _lock: Option<AttemptLock>,
}

/// Keys and limits of the counters of a login attempt.
#[derive(Debug, Clone)]
struct LoginCounters {
    keys: Vec<[u8; 32]>,
    is_named: bool,
    failure_limits: Vec<Limit>,
    network: Option<ClientNetwork>,
}

impl LoginCounters {
    /// Applies `decide` to the stored counters. Returns `None` if their number is wrong.
    fn with<T>(
        &self,
        stored: &mut [BudgetCounter],
        decide: impl FnOnce(LoginSlots<'_>) -> T,
    ) -> Option<T> {
        LoginSlots::of(stored, self.is_named, &self.failure_limits).map(decide)
    }

    /// Returns the adjustment that counts an attempt as a failure.
    fn charge(&self, now: Timestamp) -> Adjustment {
        let counters = self.clone();
        Adjustment::new(self.keys.clone(), move |stored| {
            counters.with(stored, |mut slots| slots.begin_no_later(now));
            let before = stored.to_vec();
            // A wrong number of counters, which cannot occur, would allow an uncounted attempt.
            let verdict = counters.with(stored, |slots| slots.charge(now));
            let verdict = verdict.unwrap_or(Ok(Allowance::Full));
            if verdict.is_err() {
                stored.clone_from_slice(&before);
            }
            verdict
        })
    }
}

impl Throttle {
    /// Counts one login attempt as a failure, for the login identifier and for the network, whether
    /// or not the identifier belongs to an account.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`](crate::domain::Refusal) if one of the budgets is exhausted, or the
    /// wait after earlier failures is not over; [`Refusal::Busy`](crate::domain::Refusal) if too
    /// many attempts wait for each other.
    pub async fn charge_login(
        &self,
        login: &str,
        context: &RequestContext,
    ) -> UseCaseResult<LoginCharge> {
        let network = context.network;
        let counters = self.login_counters(login, network);
        let lock = match counters.keys.get(2).filter(|_| counters.is_named) {
            Some(pair) => Some(self.attempt_locks.lock(*pair, context.deadline).await?),
            None => None,
        };
        let now = self.clock.now();
        let record = self.throttled("logins", network, Some(login), now);
        let verdict = self.counters.adjust(counters.charge(now), Some(&record)).await?;
        let from_reserve = allowed(verdict)? == Allowance::Reserve;
        Ok(LoginCharge { counters, from_reserve, _lock: lock })
    }

    /// Returns the adjustment for a login with a correct password. It refunds the attempt, ends the
    /// wait after failures, records the network as known to the user, and counts the new session,
    /// which is refused if the user opens too many. Must be applied in the transaction that opens
    /// the session.
    #[must_use]
    pub fn success_adjustment(&self, charge: &LoginCharge, user: &UserRecord) -> Adjustment {
        let now = self.clock.now();
        let (counters, from_reserve) = (charge.counters.clone(), charge.from_reserve);
        let sessions = slots(&self.pseudonyms, Budget::Logins, Payer::User(user.id));
        let limits = limits(&sessions);
        let known = self.known_keys(user, counters.network);
        let (of_attempt, of_known) = (counters.keys.len(), known.len());
        let mut all = counters.keys.clone();
        all.extend(known.iter().chain(&keys(&sessions)));
        // One of the texts is as a rule the one that the attempt was charged to.
        let (unique, index) = without_duplicates(&all);
        Adjustment::new(unique, move |stored| {
            let mut values: Vec<_> =
                index.iter().filter_map(|at| stored.get(*at)).copied().collect();
            let (attempt, rest) = values.split_at_mut(of_attempt);
            let (known, sessions) = rest.split_at_mut(of_known);
            counters.with(attempt, |slots| slots.settle_success(from_reserve));
            known.fill(known_from(now));
            let verdict = policy::charge(sessions, &limits, now);
            for (at, value) in index.iter().zip(values) {
                if let Some(counter) = stored.get_mut(*at) {
                    *counter = value;
                }
            }
            verdict
        })
    }

    /// Records that a session of `user` was opened from this network, so that it is known at the
    /// login identifiers that the user has now.
    ///
    /// # Errors
    /// If the counters cannot be stored.
    pub async fn mark_known(
        &self,
        user: &UserRecord,
        network: Option<ClientNetwork>,
    ) -> Result<(), Fault> {
        let keys = self.known_keys(user, network);
        if keys.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let mark = Adjustment::new(keys, move |stored| {
            stored.fill(known_from(now));
            Ok(Allowance::Full)
        });
        self.counters.adjust(mark, None).await.map(drop)
    }

    /// Refunds a login attempt that was counted, but in which no password was verified.
    pub async fn refund_login(&self, charge: LoginCharge) -> Result<(), Fault> {
        let now = self.clock.now();
        let (counters, from_reserve) = (charge.counters.clone(), charge.from_reserve);
        let refund = Adjustment::new(counters.keys.clone(), move |stored| {
            counters.with(stored, |slots| slots.refund(from_reserve, now));
            Ok(Allowance::Full)
        });
        self.counters.adjust(refund, None).await.map(drop)
    }

    /// Resets the failed attempts and waits of a login identifier for all networks, after the user
    /// has authenticated in another way or an operator has unlocked the account.
    pub async fn clear(&self, login: &str) -> Result<(), Fault> {
        let now = self.clock.now();
        let keys = self.login_keys(login);
        let clear = Adjustment::new(keys, move |stored| {
            if let Some(slots) = LoginSlots::of(stored, false, &[]) {
                slots.clear(now);
            }
            Ok(Allowance::Full)
        });
        self.counters.adjust(clear, None).await.map(drop)
    }

    /// Returns the keys and limits of the counters of an attempt, in the order that
    /// [`LoginSlots::of`] expects.
    fn login_counters(&self, login: &str, network: Option<ClientNetwork>) -> LoginCounters {
        let mut keys = self.login_keys(login).to_vec();
        if let Some(network) = network {
            let of = |name| self.pseudonyms.of(name, &[login, &network.to_string()]);
            keys.extend([of("login at"), of(KNOWN_AT), of("reserve at")]);
        }
        let payer = Payer::Network(network);
        let failures = slots(&self.pseudonyms, Budget::FailedLoginsFrom, payer);
        keys.extend(super::keys(&failures));
        LoginCounters {
            keys,
            is_named: network.is_some(),
            failure_limits: limits(&failures),
            network,
        }
    }

    /// Returns the keys of the two counters of a login identifier that all networks share: of
    /// failures, and of the time of the last reset.
    fn login_keys(&self, login: &str) -> [[u8; 32]; 2] {
        [self.pseudonyms.of("login", &[login]), self.pseudonyms.of("cleared", &[login])]
    }

    /// Returns the keys of the counters that record a login of a user from a network: one for the
    /// username and one for the email address. Empty if the network is unknown.
    fn known_keys(&self, user: &UserRecord, network: Option<ClientNetwork>) -> Vec<[u8; 32]> {
        let Some(network) = network else { return Vec::new() };
        [&user.username_key, &user.email_key]
            .map(|login| self.pseudonyms.of(KNOWN_AT, &[login, &network.to_string()]))
            .to_vec()
    }
}

/// Returns the distinct keys, and for each element of `keys` its position among the distinct ones.
fn without_duplicates(keys: &[[u8; 32]]) -> (Vec<[u8; 32]>, Vec<usize>) {
    let mut unique: Vec<[u8; 32]> = Vec::new();
    let index = keys.iter().map(|key| {
        unique.iter().position(|known| known == key).unwrap_or_else(|| {
            unique.push(*key);
            unique.len() - 1
        })
    });
    let index = index.collect();
    (unique, index)
}
