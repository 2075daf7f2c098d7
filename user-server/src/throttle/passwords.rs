//! Budgets of wrong current passwords, which are counted for the session and the user. Failed
//! logins do not count, so strangers cannot use them up.

use uuid::Uuid;

use super::attempt_locks::AttemptLock;
use super::budgets::{Budget, Payer, Slot, slots};
use super::{Throttle, allowed, keys, policy};
use crate::domain::{Adjustment, Allowance, Fault, RequestContext, UseCaseResult};

/// An attempt to enter the current password that was charged, to be refunded by
/// [`Throttle::refund_password`] if the password is correct. If it is dropped, it counts as a wrong
/// one. Until then, other attempts of the session wait.
#[must_use]
#[derive(Debug)]
pub struct PasswordCharge {
    budgets: [(Budget, Payer); 2],
    /// Set if no further attempt is left to the session.
    pub is_last: bool,
    _lock: AttemptLock,
}

impl Throttle {
    /// Charges an attempt to enter the current password to the budgets of the session and the user.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`](crate::domain::Refusal) if one of the budgets is exhausted;
    /// [`Refusal::Busy`](crate::domain::Refusal) if too many attempts wait for each other.
    pub async fn charge_password(
        &self,
        session_id: Uuid,
        user_id: Uuid,
        context: &RequestContext,
    ) -> UseCaseResult<PasswordCharge> {
        let budgets = [
            (Budget::WrongPasswordsOfSession, Payer::Session(session_id)),
            (Budget::WrongPasswords, Payer::User(user_id)),
        ];
        let key = self.pseudonyms.of("passwords of session", &[&session_id.to_string()]);
        let lock = self.attempt_locks.lock(key, context.deadline).await?;
        let (name, now) = (Budget::WrongPasswords.name(), self.clock.now());
        let record = self.throttled(name, context.network, None, now);
        let verdict = self.counters.adjust(self.charge_of(&budgets), Some(&record)).await?;
        let is_last = allowed(verdict)? == Allowance::Last;
        Ok(PasswordCharge { budgets, is_last, _lock: lock })
    }

    /// Refunds an attempt with the correct password, or one that was not made.
    pub async fn refund_password(&self, charge: PasswordCharge) -> Result<(), Fault> {
        let slots = |(budget, payer)| slots(&self.pseudonyms, budget, payer);
        let slots: Vec<Slot> = charge.budgets.into_iter().flat_map(slots).collect();
        self.counters.adjust(Adjustment::new(keys(&slots), policy::refund), None).await.map(drop)
    }

    /// Clears the wrong current passwords of a user, because the owner has proved their identity in
    /// another way.
    pub async fn clear_passwords(&self, user_id: Uuid) -> Result<(), Fault> {
        let slots = slots(&self.pseudonyms, Budget::WrongPasswords, Payer::User(user_id));
        self.counters.adjust(Adjustment::new(keys(&slots), policy::reset), None).await.map(drop)
    }
}
