//! Rate limits of login attempts. An attempt is counted as a failure, and refunded if it succeeds.

use uuid::Uuid;

use super::attempt_locks::AttemptLock;
use super::budgets::{Budget, Limit, Payer, slots};
use super::login_policy::{LoginSlots, known_from};
use super::{Throttle, allowed, keys, limits, policy};
use crate::domain::{
    Adjustment, Allowance, BudgetCounter, ClientNetwork, Fault, RequestContext, StoredCounter,
    Timestamp, UseCaseResult, UserRecord,
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
    /// Values of the counters of a success after the charge, if they are known.
    read: Option<Vec<BudgetCounter>>,
    _lock: Option<AttemptLock>,
}

/// Login attempt that is not counted yet. Until it is dropped, other attempts from the same network
/// with the same login identifier wait.
#[must_use]
#[derive(Debug)]
pub struct LoginAttempt {
    counters: LoginCounters,
    login: String,
    lock: Option<AttemptLock>,
}

impl LoginAttempt {
    /// Returns the keys of the counters that the attempt is charged to.
    #[must_use]
    pub fn keys(&self) -> &[[u8; 32]] {
        &self.counters.keys
    }
}

/// Keys and limits of the counters of a login attempt.
#[derive(Debug, Clone)]
struct LoginCounters {
    keys: Vec<[u8; 32]>,
    is_named: bool,
    failure_limits: Vec<Limit>,
    network: Option<ClientNetwork>,
}

/// Keys of the counters of a login with a correct password.
struct SuccessKeys {
    /// Distinct keys.
    unique: Vec<[u8; 32]>,
    /// Position among the distinct keys of each counter: those of the attempt, those that record
    /// the network as known, and those of the opened sessions.
    index: Vec<usize>,
    of_attempt: usize,
    of_known: usize,
    /// Limits of the counters of the opened sessions.
    limits: Vec<Limit>,
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
    /// Begins a login attempt, whether or not the login identifier belongs to an account.
    ///
    /// # Errors
    /// [`Refusal::Busy`](crate::domain::Refusal) if too many attempts wait for each other.
    pub async fn begin_login(
        &self,
        login: &str,
        context: &RequestContext,
    ) -> UseCaseResult<LoginAttempt> {
        let counters = self.login_counters(login, context.network);
        let lock = match counters.keys.get(2).filter(|_| counters.is_named) {
            Some(pair) => Some(self.attempt_locks.lock(*pair, context.deadline).await?),
            None => None,
        };
        Ok(LoginAttempt { counters, login: login.to_owned(), lock })
    }

    /// Counts a login attempt as a failure, for the login identifier and for the network. `user` is
    /// the account with the login identifier, if any, and `read` are the values of the counters
    /// [`LoginAttempt::keys`] if they were read before.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`](crate::domain::Refusal) if one of the budgets is exhausted, or the
    /// wait after earlier failures is not over.
    pub async fn charge_login(
        &self,
        attempt: LoginAttempt,
        user: Option<&UserRecord>,
        read: Option<Vec<BudgetCounter>>,
    ) -> UseCaseResult<LoginCharge> {
        let LoginAttempt { counters, login, lock } = attempt;
        let now = self.clock.now();
        let record = self.throttled("logins", counters.network, Some(&login), now);
        // As many counters are read without an account, so that it takes the same time.
        let (username_key, email_key, id) = match user {
            Some(user) => (user.username_key.as_str(), user.email_key.as_str(), user.id),
            None => (login.as_str(), "", Uuid::nil()),
        };
        let then = self.success_keys(&counters, username_key, email_key, id).unique;
        let charge = counters.charge(now).after_reading(read);
        let charged = self.counters.adjust_and_read(charge, Some(&record), &then).await?;
        let from_reserve = allowed(charged.verdict)? == Allowance::Reserve;
        let read = charged.read.filter(|_| user.is_some());
        Ok(LoginCharge { counters, from_reserve, read, _lock: lock })
    }

    /// Returns the adjustment for a login with a correct password. It refunds the attempt, ends the
    /// wait after failures, records the network as known to the user, and counts the new session,
    /// which is refused if the user opens too many. Must be applied in the transaction that opens
    /// the session.
    #[must_use]
    pub fn success_adjustment(&self, charge: &LoginCharge, user: &UserRecord) -> Adjustment {
        let now = self.clock.now();
        let (counters, from_reserve) = (charge.counters.clone(), charge.from_reserve);
        let SuccessKeys { unique, index, of_attempt, of_known, limits } =
            self.success_keys(&counters, &user.username_key, &user.email_key, user.id);
        let settle = Adjustment::new(unique, move |stored| {
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
        });
        settle.after_reading(charge.read.clone())
    }

    /// Returns the keys of the counters of a login with a correct password.
    fn success_keys(
        &self,
        counters: &LoginCounters,
        username_key: &str,
        email_key: &str,
        user_id: Uuid,
    ) -> SuccessKeys {
        let sessions = slots(&self.pseudonyms, Budget::Logins, Payer::User(user_id));
        let limits = limits(&sessions);
        let known = self.known_keys(username_key, email_key, counters.network);
        let (of_attempt, of_known) = (counters.keys.len(), known.len());
        let mut all = counters.keys.clone();
        all.extend(known.iter().chain(&keys(&sessions)));
        // One of the texts is as a rule the one that the attempt was charged to.
        let (unique, index) = without_duplicates(&all);
        SuccessKeys { unique, index, of_attempt, of_known, limits }
    }

    /// Returns the counters that record that a user has opened a session from a network, at the
    /// login identifiers with these canonical forms.
    #[must_use]
    pub fn known_counters(
        &self,
        username_key: &str,
        email_key: &str,
        network: Option<ClientNetwork>,
    ) -> Vec<StoredCounter> {
        let now = self.clock.now();
        let keys = self.known_keys(username_key, email_key, network);
        keys.into_iter().map(|key| (key, known_from(now))).collect()
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
        let keys = self.known_keys(&user.username_key, &user.email_key, network);
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

    /// Resets the failed attempts and waits of both login identifiers of a user for all networks,
    /// and the number of wrong current passwords, after the user has authenticated in another way
    /// or an operator has unlocked the account.
    pub async fn clear(
        &self,
        username_key: &str,
        email_key: &str,
        user_id: Uuid,
    ) -> Result<(), Fault> {
        let now = self.clock.now();
        let [username, email] = [username_key, email_key].map(|login| self.login_keys(login));
        let passwords = slots(&self.pseudonyms, Budget::WrongPasswords, Payer::User(user_id));
        let keys = [&username[..], &email, &keys(&passwords)].concat();
        let clear = Adjustment::new(keys, move |stored| {
            let (logins, passwords) = stored.split_at_mut(username.len() + email.len());
            for login in logins.chunks_exact_mut(username.len()) {
                if let Some(slots) = LoginSlots::of(login, false, &[]) {
                    slots.clear(now);
                }
            }
            policy::reset(passwords)
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
    fn known_keys(
        &self,
        username_key: &str,
        email_key: &str,
        network: Option<ClientNetwork>,
    ) -> Vec<[u8; 32]> {
        let Some(network) = network else { return Vec::new() };
        [username_key, email_key]
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
