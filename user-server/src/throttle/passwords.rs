//! Rate limits of wrong current passwords, which are counted for the session and for the user.
//! Failed logins are not counted here, so nobody without a session can lock out the user.

use uuid::Uuid;

use super::attempt_locks::AttemptLock;
use super::budgets::{Budget, Payer, Slot, slots};
use super::{Throttle, allowed, keys, policy};
use crate::domain::{Adjustment, Allowance, BudgetCounter, Fault, RequestContext, UseCaseResult};

/// Attempt to enter the current password that was counted as wrong. It must be passed to
/// [`Throttle::refund_password`] if the password is correct. Until it is dropped, other attempts of
/// the session wait.
#[must_use]
#[derive(Debug)]
pub struct PasswordCharge {
    budgets: [(Budget, Payer); 2],
    /// Values of the counters after the charge, if they are known.
    read: Option<Vec<BudgetCounter>>,
    /// Set if this is the last attempt of the session.
    pub is_last: bool,
    _lock: AttemptLock,
}

/// Returns the budgets of an attempt to enter the current password.
fn budgets(session_id: Uuid, user_id: Uuid) -> [(Budget, Payer); 2] {
    [
        (Budget::WrongPasswordsOfSession, Payer::Session(session_id)),
        (Budget::WrongPasswords, Payer::User(user_id)),
    ]
}

impl Throttle {
    /// Counts an attempt to enter the current password as wrong, for the session and for the user.
    /// `read` are the values of the counters [`Throttle::password_keys`] if they were read before.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`](crate::domain::Refusal) if one of the budgets is exhausted;
    /// [`Refusal::Busy`](crate::domain::Refusal) if too many attempts wait for each other.
    pub async fn charge_password(
        &self,
        session_id: Uuid,
        user_id: Uuid,
        read: Option<Vec<BudgetCounter>>,
        context: &RequestContext,
    ) -> UseCaseResult<PasswordCharge> {
        let budgets = budgets(session_id, user_id);
        let key = self.pseudonyms.of("passwords of session", &[&session_id.to_string()]);
        let lock = self.attempt_locks.lock(key, context.deadline).await?;
        let (name, now) = (Budget::WrongPasswords.name(), self.clock.now());
        let record = self.throttled(name, context.network, None, now);
        let charge = self.charge_of(&budgets).after_reading(read);
        let then = charge.keys.clone();
        let charged = self.counters.adjust_and_read(charge, Some(&record), &then).await?;
        let is_last = allowed(charged.verdict)? == Allowance::Last;
        Ok(PasswordCharge { budgets, read: charged.read, is_last, _lock: lock })
    }

    /// Refunds an attempt with the correct password, or one in which no password was verified.
    pub async fn refund_password(&self, charge: PasswordCharge) -> Result<(), Fault> {
        let slots = |(budget, payer)| slots(&self.pseudonyms, budget, payer);
        let slots: Vec<Slot> = charge.budgets.into_iter().flat_map(slots).collect();
        let refund = Adjustment::new(keys(&slots), policy::refund).after_reading(charge.read);
        self.counters.adjust(refund, None).await.map(drop)
    }

    /// Returns the keys of the counters of wrong current passwords.
    #[must_use]
    pub fn password_keys(&self, session_id: Uuid, user_id: Uuid) -> Vec<[u8; 32]> {
        self.keys_of(&budgets(session_id, user_id))
    }
}
