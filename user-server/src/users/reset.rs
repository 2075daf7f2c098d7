//! A forgotten password: a code by mail proves the owner instead.

use uuid::Uuid;

use super::{CodeSent, Users, words_of};
use crate::domain::records::{Guess, Purpose, ResetDone, ResetRequest};
use crate::domain::{Caller, Email, Failure, Outcome, Password, Refusal};
use crate::throttle::Hourly;

impl Users {
    /// Queues a mail with a code, where the address is an account's. The answer is the same where
    /// it is not.
    ///
    /// # Errors
    /// `InvalidEmail`, `RateLimited`.
    pub async fn request_password_reset(&self, email: &str, caller: &Caller) -> Outcome<CodeSent> {
        let email = Email::parse(email)?;
        self.throttle.charge(Hourly::PasswordReset, caller.network).await?;
        let request = ResetRequest {
            verification_id: Uuid::new_v4(),
            email,
            client: self.throttle.client(caller.network),
            kid: self.otp.kid().to_owned(),
        };
        self.accounts.request_reset(&request, &caller.act(self.clock.now())).await?;
        self.bell.ring();
        Ok(self.code_sent(request.verification_id))
    }

    /// Spends a reset's code for a new password, and ends every session; how many.
    ///
    /// # Errors
    /// `InvalidCode`, `CodeExpired`; `InvalidPassword` and `Busy`, which leave the code good.
    pub async fn reset_password(
        &self,
        id: Uuid,
        code: &[u8],
        new_password: &[u8],
        caller: &Caller,
    ) -> Outcome<u32> {
        let password = Password::chosen(new_password, "new_password")?;
        let guess = self.otp.check(id, Purpose::PasswordReset, None, code).await?;
        let done = self.set_password(&guess, password, caller).await;
        if let Err(Failure::Refused(Refusal::InvalidPassword { .. } | Refusal::Busy { .. })) = done
        {
            self.otp.give_back(&guess).await?;
        }
        Ok(done?.ended.sessions)
    }

    async fn set_password(
        &self,
        guess: &Guess,
        password: Password,
        caller: &Caller,
    ) -> Outcome<ResetDone> {
        let user = self.accounts.reset_owner(guess).await?.ok_or(Refusal::CodeExpired)?;
        let context = words_of(&user.username, &user.email);
        let hash = self.passwords.hash(password, "new_password", context, caller).await?;
        // The counts of both logins: the owner is back. Before the reset, so that a crash between
        // leaves no wait behind.
        self.throttle.clear(&user.username_key).await?;
        self.throttle.clear(&user.email_key).await?;
        let act = caller.act(self.clock.now());
        let done =
            self.accounts.reset_password(guess, &hash, &act).await?.ok_or(Refusal::CodeExpired)?;
        self.bell.ring();
        self.tokens.note_changed(&done.user, &done.ended, act.at).await;
        Ok(done)
    }
}
