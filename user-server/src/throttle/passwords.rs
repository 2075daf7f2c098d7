//! Rate limits of wrong current passwords, which are counted for the session and for the user.
//! Failed logins are not counted here, so nobody without a session can lock out the user.

use uuid::Uuid;

use super::attempt_locks::AttemptLock;
use super::budgets::{Budget, Payer, Slot, slots};
use super::{Throttle, allowed, keys, policy};
use crate::domain::{Adjustment, Allowance, Fault, RequestContext, UseCaseResult};

/// Attempt to enter the current password that was counted as wrong. It must be passed to
/// [`Throttle::refund_password`] if the password is correct. Until it is dropped, other attempts of
/// the session wait.
#[must_use]
#[derive(Debug)]
pub struct PasswordCharge {
    budgets: [(Budget, Payer); 2],
    /// Set if this is the last attempt of the session.
    pub is_last: bool,
    _lock: AttemptLock,
}

impl Throttle {
    /// Counts an attempt to enter the current password as wrong, for the session and for the user.
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

    /// Refunds an attempt with the correct password, or one in which no password was verified.
    pub async fn refund_password(&self, charge: PasswordCharge) -> Result<(), Fault> {
        let slots = |(budget, payer)| slots(&self.pseudonyms, budget, payer);
        let slots: Vec<Slot> = charge.budgets.into_iter().flat_map(slots).collect();
        self.counters.adjust(Adjustment::new(keys(&slots), policy::refund), None).await.map(drop)
    }

    /// Resets the number of wrong current passwords of a user, after the user has authenticated in
    /// another way or an operator has unlocked the account.
    pub async fn clear_passwords(&self, user_id: Uuid) -> Result<(), Fault> {
        let slots = slots(&self.pseudonyms, Budget::WrongPasswords, Payer::User(user_id));
        self.counters.adjust(Adjustment::new(keys(&slots), policy::reset), None).await.map(drop)
    }
}
