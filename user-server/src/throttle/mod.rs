//! Rate limiting: budgets for the attempts of each client network and for each login. An attempt is
//! charged before it is made, and refunded if it turns out to be legitimate or was never made.
//!
//! The counters are stored in SQL under keyed hashes (pseudonyms), so that they apply to all nodes,
//! survive restarts and reveal neither logins nor networks.

mod policy;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{
    AUDITED_LOGIN, Adjustment, AuditEvent, AuditKind, AuditRecord, BudgetCounter, BudgetCounters,
    ChangeContext, ClientNetwork, Clock, Fault, Origin, Refusal, Timestamp, UseCaseResult,
};
use crate::keys::Pseudonyms;
use policy::LoginSlots;

/// The rate limiter.
pub struct Throttle {
    counters: Arc<dyn BudgetCounters>,
    clock: Arc<dyn Clock>,
    pseudonyms: Pseudonyms,
}

/// An operation with a fixed budget per network and hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HourlyBudget {
    /// 20 registrations per hour.
    Registration,
    /// 20 password resets per hour.
    PasswordReset,
    /// 60 resends of a code per hour.
    Resend,
}

impl HourlyBudget {
    const WINDOW: Duration = Duration::from_secs(3600);

    /// Returns the name under which the budget is stored, and its size.
    fn name_and_limit(self) -> (&'static str, u32) {
        match self {
            Self::Registration => ("registrations", 20),
            Self::PasswordReset => ("resets", 20),
            Self::Resend => ("resends", 60),
        }
    }
}

/// A login attempt that was charged, to be settled by [`Throttle::settle_success`],
/// [`Throttle::success_adjustment`] or [`Throttle::refund_login`]. If it is dropped, the attempt
/// counts as a failure.
#[must_use]
#[derive(Debug)]
pub struct LoginCharge {
    keys: Vec<[u8; 32]>,
    from_reserve: bool,
}

impl Throttle {
    /// Creates a rate limiter with these counters.
    #[must_use]
    pub fn new(
        counters: Arc<dyn BudgetCounters>,
        clock: Arc<dyn Clock>,
        pseudonyms: Pseudonyms,
    ) -> Self {
        Self { counters, clock, pseudonyms }
    }

    /// Returns the pseudonym of a network, or an empty string if the network is unknown.
    #[must_use]
    pub fn client(&self, network: Option<ClientNetwork>) -> String {
        use base64::Engine as _;
        let Some(network) = network else { return String::new() };
        let key = self.pseudonyms.of("client", &[&network.to_string()]);
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key.get(..12).unwrap_or_default())
    }

    /// Charges one operation to a network. Does nothing if the network is unknown.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] if the budget of the hour is exhausted.
    pub async fn charge(
        &self,
        budget: HourlyBudget,
        network: Option<ClientNetwork>,
    ) -> UseCaseResult<()> {
        let Some(network) = network else { return Ok(()) };
        let (name, limit) = budget.name_and_limit();
        let now = self.clock.now();
        let keys = [self.pseudonyms.of(name, &[&network.to_string()])];
        let charge = Adjustment::new(keys, move |counters| {
            policy::charge(counters, limit, HourlyBudget::WINDOW, now)
        });
        let record = self.throttled(name, Some(network), None, now);
        allowed(self.counters.adjust(charge, Some(&record)).await?).map(|_| ())
    }

    /// Refunds one operation that was charged but not carried out.
    pub async fn refund(
        &self,
        budget: HourlyBudget,
        network: Option<ClientNetwork>,
    ) -> Result<(), Fault> {
        let Some(network) = network else { return Ok(()) };
        let keys = [self.pseudonyms.of(budget.name_and_limit().0, &[&network.to_string()])];
        self.counters.adjust(Adjustment::new(keys, policy::refund), None).await.map(|_| ())
    }

    /// Charges one login attempt to the budgets of the login and the network, whether or not the
    /// login belongs to an account.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] if one of the budgets is exhausted, or the wait after earlier
    /// failures is not over.
    pub async fn charge_login(
        &self,
        login: &str,
        network: Option<ClientNetwork>,
    ) -> UseCaseResult<LoginCharge> {
        let keys = self.login_keys(login, network);
        let now = self.clock.now();
        let charge = Adjustment::new(keys.clone(), move |counters| {
            slots(counters, |slots| slots.charge(now))
        });
        let record = self.throttled("logins", network, Some(login), now);
        let from_reserve =
            allowed(self.counters.adjust(charge, Some(&record)).await?)? == policy::FROM_RESERVE;
        Ok(LoginCharge { keys, from_reserve })
    }

    /// Returns the adjustment for a correct password: the attempt is refunded, its wait ends, and
    /// its network counts as known from now on. To be applied in the transaction of the change that
    /// the password authorised.
    #[must_use]
    pub fn success_adjustment(&self, charge: LoginCharge) -> Adjustment {
        let now = self.clock.now();
        Adjustment::new(charge.keys, move |counters| {
            slots(counters, |slots| slots.settle_success(charge.from_reserve, now))
        })
    }

    /// Applies [`Throttle::success_adjustment`] in its own transaction.
    pub async fn settle_success(&self, charge: LoginCharge) -> Result<(), Fault> {
        self.counters.adjust(self.success_adjustment(charge), None).await.map(|_| ())
    }

    /// Refunds a login attempt that was charged but not made.
    pub async fn refund_login(&self, charge: LoginCharge) -> Result<(), Fault> {
        let now = self.clock.now();
        let refund = Adjustment::new(charge.keys, move |counters| {
            slots(counters, |slots| slots.refund(charge.from_reserve, now))
        });
        self.counters.adjust(refund, None).await.map(|_| ())
    }

    /// Clears the failures and waits of a login for every network, because the owner has proved
    /// their identity in another way.
    pub async fn clear(&self, login: &str) -> Result<(), Fault> {
        let now = self.clock.now();
        let clear = Adjustment::new(self.login_keys(login, None), move |counters| {
            slots(counters, |slots| slots.clear(now))
        });
        self.counters.adjust(clear, None).await.map(|_| ())
    }

    /// Returns the audit record of a refusal by a rate limit. It is recorded at most once a minute
    /// for a network, or for a login if the network is unknown.
    fn throttled(
        &self,
        what: &'static str,
        network: Option<ClientNetwork>,
        login: Option<&str>,
        now: Timestamp,
    ) -> AuditRecord {
        let minute = (now.0 / 60_000).to_string();
        let key =
            network.map_or(login.unwrap_or_default().to_owned(), |network| network.to_string());
        let kind = if network.is_some() { "network" } else { "login" };
        let dedup = Some(self.pseudonyms.of("throttled", &[what, kind, &key, &minute]));
        let subject = login.map(|login| self.pseudonyms.of(AUDITED_LOGIN, &[login]).to_vec());
        let event =
            AuditEvent { subject, dedup, ..AuditEvent::new(AuditKind::Throttled).detail(what) };
        AuditRecord {
            context: ChangeContext { at: now, origin: Origin::Client(network), claim: None },
            event,
        }
    }

    /// Returns the keys of the counters of a login, in the order of [`LoginSlots::of`].
    fn login_keys(&self, login: &str, network: Option<ClientNetwork>) -> Vec<[u8; 32]> {
        let mut keys =
            vec![self.pseudonyms.of("login", &[login]), self.pseudonyms.of("cleared", &[login])];
        if let Some(network) = network.map(|network| network.to_string()) {
            for name in ["login at", "known at", "reserve at"] {
                keys.push(self.pseudonyms.of(name, &[login, &network]));
            }
            keys.push(self.pseudonyms.of("failures", &[&network]));
        }
        keys
    }
}

/// Applies a decision to the counters of [`Throttle::login_keys`]. A wrong number of counters,
/// which cannot occur, would allow the attempt without counting it.
fn slots(
    counters: &mut [BudgetCounter],
    decide: impl FnOnce(LoginSlots<'_>) -> Result<u8, Duration>,
) -> Result<u8, Duration> {
    LoginSlots::of(counters).map_or(Ok(policy::FROM_LOGIN_BUDGET), decide)
}

fn allowed(verdict: Result<u8, Duration>) -> UseCaseResult<u8> {
    verdict.map_err(|retry_after| Refusal::RateLimited { retry_after }.into())
}
