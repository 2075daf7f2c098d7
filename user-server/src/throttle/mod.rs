//! Budgets: how often one network or one login may try. Charged before the work, given back where
//! nothing was lost.
//!
//! The counters live in SQL under keyed hashes, so that they hold over nodes and restarts and name
//! nobody.

mod policy;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{
    AUDITED_LOGIN, Adjustment, AuditEvent, AuditKind, AuditRecord, BudgetCounter, BudgetCounters,
    ChangeContext, ClientNetwork, Clock, Fault, Origin, Refusal, Timestamp, UseCaseResult,
};
use crate::keys::Pseudonyms;
use policy::LoginSlots;

/// The throttle.
pub struct Throttle {
    counters: Arc<dyn BudgetCounters>,
    clock: Arc<dyn Clock>,
    pseudonyms: Pseudonyms,
}

/// A use that one network may make so many times an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hourly {
    /// 20 registrations.
    Registration,
    /// 20 password resets.
    PasswordReset,
}

impl Hourly {
    const WINDOW: Duration = Duration::from_secs(3600);

    fn row(self) -> (&'static str, u32) {
        match self {
            Self::Registration => ("registrations", 20),
            Self::PasswordReset => ("resets", 20),
        }
    }
}

/// A login attempt that was paid for, to be settled by [`Throttle::success`] or
/// [`Throttle::refund_login`]; dropped, it counts as a failure.
#[must_use]
#[derive(Debug)]
pub struct LoginCharge {
    keys: Vec<[u8; 32]>,
    from_reserve: bool,
}

impl Throttle {
    /// A throttle over `counters`.
    #[must_use]
    pub fn new(
        counters: Arc<dyn BudgetCounters>,
        clock: Arc<dyn Clock>,
        pseudonyms: Pseudonyms,
    ) -> Self {
        Self { counters, clock, pseudonyms }
    }

    /// A name for a network that tells nothing about it.
    #[must_use]
    pub fn client(&self, network: Option<ClientNetwork>) -> String {
        use base64::Engine as _;
        let Some(network) = network else { return String::new() };
        let key = self.pseudonyms.of("client", &[&network.to_string()]);
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key.get(..12).unwrap_or_default())
    }

    /// Pays for one use by a network; one that is not known pays nothing.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] where the hour's uses are spent.
    pub async fn charge(&self, use_: Hourly, network: Option<ClientNetwork>) -> UseCaseResult<()> {
        let Some(network) = network else { return Ok(()) };
        let (name, most) = use_.row();
        let now = self.clock.now();
        let keys = [self.pseudonyms.of(name, &[&network.to_string()])];
        let pay = Adjustment::new(keys, move |counters| {
            policy::charge(counters, most, Hourly::WINDOW, now)
        });
        let note = self.throttled(name, Some(network), None, now);
        allowed(self.counters.adjust(pay, Some(&note)).await?).map(|_| ())
    }

    /// Gives one use back, for which nothing was done.
    pub async fn refund(&self, use_: Hourly, network: Option<ClientNetwork>) -> Result<(), Fault> {
        let Some(network) = network else { return Ok(()) };
        let keys = [self.pseudonyms.of(use_.row().0, &[&network.to_string()])];
        self.counters.adjust(Adjustment::new(keys, policy::refund), None).await.map(|_| ())
    }

    /// Pays for one login attempt: from the account's and the network's budget, alike for logins
    /// that nobody has.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] where one of the budgets is spent, or a wait has not passed.
    pub async fn charge_login(
        &self,
        login: &str,
        network: Option<ClientNetwork>,
    ) -> UseCaseResult<LoginCharge> {
        let keys = self.login_keys(login, network);
        let now = self.clock.now();
        let pay = Adjustment::new(keys.clone(), move |counters| {
            slots(counters, |slots| slots.charge(now))
        });
        let note = self.throttled("logins", network, Some(login), now);
        let from_reserve =
            allowed(self.counters.adjust(pay, Some(&note)).await?)? == policy::FROM_RESERVE;
        Ok(LoginCharge { keys, from_reserve })
    }

    /// The password was right: the attempt is given back, its wait is over, and its network is
    /// known from now. To be made in the transaction of what the password was for.
    #[must_use]
    pub fn success(&self, charge: LoginCharge) -> Adjustment {
        let now = self.clock.now();
        Adjustment::new(charge.keys, move |counters| {
            slots(counters, |slots| slots.succeeded(charge.from_reserve, now))
        })
    }

    /// The same at once, where nothing more is changed.
    pub async fn succeeded(&self, charge: LoginCharge) -> Result<(), Fault> {
        self.counters.adjust(self.success(charge), None).await.map(|_| ())
    }

    /// The attempt was not made: it is given back.
    pub async fn refund_login(&self, charge: LoginCharge) -> Result<(), Fault> {
        let now = self.clock.now();
        let back = Adjustment::new(charge.keys, move |counters| {
            slots(counters, |slots| slots.refund(charge.from_reserve, now))
        });
        self.counters.adjust(back, None).await.map(|_| ())
    }

    /// The owner has proved who they are by another way: every wait and count of this login is
    /// over, for every network.
    pub async fn clear(&self, login: &str) -> Result<(), Fault> {
        let now = self.clock.now();
        let clear = Adjustment::new(self.login_keys(login, None), move |counters| {
            slots(counters, |slots| slots.clear(now))
        });
        self.counters.adjust(clear, None).await.map(|_| ())
    }

    /// What is noted where somebody has to wait: once a minute for a network, or for a login where
    /// no network is known.
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

    /// In the order of [`LoginSlots`].
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

/// The keys and the slots are made by one function each, so there are always slots; without them
/// nothing is counted.
fn slots(
    counters: &mut [BudgetCounter],
    decide: impl FnOnce(LoginSlots<'_>) -> Result<u8, Duration>,
) -> Result<u8, Duration> {
    LoginSlots::of(counters).map_or(Ok(policy::FROM_STRANGERS), decide)
}

fn allowed(verdict: Result<u8, Duration>) -> UseCaseResult<u8> {
    verdict.map_err(|retry_after| Refusal::RateLimited { retry_after }.into())
}
