//! Rate limiting: budgets for the operations of networks, users and sessions, and for attempts to
//! log in or to enter the current password. An operation is charged before it is carried out, and
//! refunded only if it turns out to be legitimate or was not carried out.
//!
//! The counters are stored in the database under keyed hashes (pseudonyms), so that they apply to
//! all nodes, survive restarts, and reveal neither login identifiers nor networks.

mod attempt_locks;
mod budgets;
mod login;
mod login_policy;
mod passwords;
mod policy;
mod unknown;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::{
    AUDITED_LOGIN, Adjustment, Allowance, AuditEvent, AuditKind, AuditRecord, BudgetCounter,
    BudgetCounters, ChangeContext, ClientNetwork, Clock, Fault, Origin, Refusal, Timestamp,
    UseCaseResult,
};
use crate::keys::Pseudonyms;
use attempt_locks::AttemptLocks;
pub use budgets::{Budget, Limit, Payer};
use budgets::{Slot, slots};
pub use login::{LoginAttempt, LoginCharge};
pub use passwords::PasswordCharge;
pub use unknown::{UNKNOWN_PER_MINUTE, UnknownIds};

/// The rate limiter.
pub struct Throttle {
    counters: Arc<dyn BudgetCounters>,
    clock: Arc<dyn Clock>,
    pseudonyms: Pseudonyms,
    attempt_locks: AttemptLocks,
    /// Rate limit for lookups of unknown ids and tokens.
    pub unknown_ids: UnknownIds,
}

impl Throttle {
    /// Creates a rate limiter. `pseudonyms` computes the keys of its counters.
    #[must_use]
    pub fn new(
        counters: Arc<dyn BudgetCounters>,
        clock: Arc<dyn Clock>,
        pseudonyms: Pseudonyms,
    ) -> Self {
        let (attempt_locks, unknown_ids) =
            (AttemptLocks::default(), UnknownIds::new(Instant::now()));
        Self { counters, clock, pseudonyms, attempt_locks, unknown_ids }
    }

    /// Returns the pseudonym (keyed hash, in base64) of a network, or an empty string if the
    /// network is unknown.
    #[must_use]
    pub fn client(&self, network: Option<ClientNetwork>) -> String {
        use base64::Engine as _;
        let Some(network) = network else { return String::new() };
        let key = self.pseudonyms.of("client", &[&network.site()]);
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key.get(..12).unwrap_or_default())
    }

    /// Charges one operation to the budget of a network, user or session.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] if the budget is exhausted.
    pub async fn charge(&self, budget: Budget, payer: Payer) -> UseCaseResult<()> {
        self.charge_after_reading(budget, payer, None).await
    }

    /// Like [`Throttle::charge`], with the values of the counters [`Throttle::keys_of`] if they
    /// were read before.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] if the budget is exhausted.
    pub async fn charge_after_reading(
        &self,
        budget: Budget,
        payer: Payer,
        read: Option<Vec<BudgetCounter>>,
    ) -> UseCaseResult<()> {
        let now = self.clock.now();
        let charge = self.charge_of(&[(budget, payer)]).after_reading(read);
        let record = match payer {
            Payer::Network(network) => self.throttled(budget.name(), network, None, now),
            Payer::User(id) | Payer::Session(id) => {
                self.throttled(budget.name(), None, Some(&id.to_string()), now)
            }
        };
        allowed(self.counters.adjust(charge, Some(&record)).await?).map(drop)
    }

    /// Returns the keys of the counters of budgets.
    #[must_use]
    pub fn keys_of(&self, budgets: &[(Budget, Payer)]) -> Vec<[u8; 32]> {
        let slots = |(budget, payer): &(Budget, Payer)| slots(&self.pseudonyms, *budget, *payer);
        keys(&budgets.iter().flat_map(slots).collect::<Vec<_>>())
    }

    /// Refunds one operation that was charged to a budget but not carried out.
    pub async fn refund(&self, budget: Budget, payer: Payer) -> Result<(), Fault> {
        let keys = keys(&slots(&self.pseudonyms, budget, payer));
        self.counters.adjust(Adjustment::new(keys, policy::refund), None).await.map(drop)
    }

    /// Returns the adjustment that charges one operation to several budgets, or to none of them if
    /// one is exhausted. It must be applied in the transaction of the operation.
    #[must_use]
    pub fn charge_of(&self, budgets: &[(Budget, Payer)]) -> Adjustment {
        let now = self.clock.now();
        let slots: Vec<Slot> = budgets
            .iter()
            .flat_map(|(budget, payer)| slots(&self.pseudonyms, *budget, *payer))
            .collect();
        let limits = limits(&slots);
        Adjustment::new(keys(&slots), move |counters| policy::charge(counters, &limits, now))
    }

    /// Returns the adjustment that charges a guess at a six-digit code to the network, and also to
    /// the user if `user_id` is given.
    #[must_use]
    pub fn charge_of_guess(
        &self,
        network: Option<ClientNetwork>,
        user_id: Option<Uuid>,
    ) -> Adjustment {
        let now = self.clock.now();
        let of = |budget, payer| slots(&self.pseudonyms, budget, payer);
        let mut slots = user_id.map_or_else(Vec::new, |id| of(Budget::WrongCodes, Payer::User(id)));
        let of_user = slots.len();
        slots.extend(of(Budget::WrongCodesFrom, Payer::Network(network)));
        let limits = limits(&slots);
        Adjustment::new(keys(&slots), move |counters| {
            policy::charge_guess(counters, &limits, of_user, now)
        })
    }

    /// Returns a deduplication key with which the event `what` of a session is recorded at most
    /// once an hour.
    #[must_use]
    pub fn once_an_hour(&self, what: &str, session_id: Uuid) -> [u8; 32] {
        let hour = (self.clock.now().0 / 3_600_000).to_string();
        self.pseudonyms.of("once an hour", &[what, &session_id.to_string(), &hour])
    }

    /// Returns the audit record of a refusal by the rate limit `what`. It is recorded at most once
    /// a minute for a network, or for `login` (a login identifier, user or session) if the network
    /// is unknown.
    fn throttled(
        &self,
        what: &'static str,
        network: Option<ClientNetwork>,
        login: Option<&str>,
        now: Timestamp,
    ) -> AuditRecord {
        let minute = (now.0 / 60_000).to_string();
        let key = network.map_or(login.unwrap_or_default().to_owned(), |network| network.coarse());
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
}

fn keys(slots: &[Slot]) -> Vec<[u8; 32]> {
    slots.iter().map(|slot| slot.key).collect()
}

fn limits(slots: &[Slot]) -> Vec<Limit> {
    slots.iter().map(|slot| slot.limit).collect()
}

fn allowed(verdict: Result<Allowance, Duration>) -> UseCaseResult<Allowance> {
    verdict.map_err(|retry_after| Refusal::RateLimited { retry_after }.into())
}
