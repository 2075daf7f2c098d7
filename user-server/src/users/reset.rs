//! Password reset: a code sent by email authenticates the user instead of the password.

use uuid::Uuid;

use super::{CodeSent, Users, guessable_words, stored};
use crate::domain::{
    AuditEvent, AuditKind, Change, Email, Failure, Guess, Notice, NoticeRequest, Password,
    PasswordResetResult, Purpose, RecordedOutcome, Refusal, RequestContext, ResetRequest,
    UseCaseResult,
};
use crate::outbox::{KNOWN_FOR, pending_limit};
use crate::throttle::{Budget, Payer};

impl Users {
    /// Queues an email with a code to reset the password, if the email address belongs to an
    /// account. The result is the same if it does not.
    ///
    /// # Errors
    /// `InvalidEmail`, `RateLimited`.
    pub async fn request_password_reset(
        &self,
        email: &str,
        context: &RequestContext,
    ) -> UseCaseResult<CodeSent> {
        let email = Email::parse(email)?;
        self.throttle.charge(Budget::PasswordResets, Payer::Network(context.network)).await?;
        let request = ResetRequest {
            verification_id: Uuid::new_v4(),
            email,
            client: self.throttle.client(context.network),
            kid: self.otp.kid().to_owned(),
            known_for: KNOWN_FOR,
            limit: pending_limit(self.code_life, context.network.is_some()),
        };
        let (id, at) = (request.verification_id, self.clock.now());
        let change = Change::new(
            context.at(at),
            AuditEvent::new(AuditKind::ResetRequested).subject(id.as_bytes()),
            RecordedOutcome::at(at).verification(Some(id)),
        );
        stored(self.accounts.request_reset(&request, change).await?)?;
        self.wakeup.notify();
        Ok(self.code_sent(id))
    }

    /// Sets a new password with the code of a reset, and ends all sessions of the user. Returns the
    /// number of ended sessions.
    ///
    /// # Errors
    /// `InvalidCode`, `CodeExpired`; `InvalidPassword` and `Busy`, which leave the code valid.
    pub async fn reset_password(
        &self,
        id: Uuid,
        code: &[u8],
        new_password: &[u8],
        context: &RequestContext,
    ) -> UseCaseResult<u32> {
        let password = Password::chosen(new_password, "new_password")?;
        let guess = self.otp.check(id, Purpose::PasswordReset, None, code, context.network).await?;
        let reset = self.set_password(&guess, password, context).await;
        if let Err(Failure::Refused(Refusal::InvalidPassword { .. } | Refusal::Busy { .. })) = reset
        {
            self.otp.refund(&guess).await?;
        }
        Ok(reset?.ended.sessions)
    }

    async fn set_password(
        &self,
        guess: &Guess,
        password: Password,
        context: &RequestContext,
    ) -> UseCaseResult<PasswordResetResult> {
        let user = self.accounts.reset_owner(guess).await?.ok_or(Refusal::CodeExpired)?;
        let words = guessable_words(&user.username, &user.email);
        let hash = self.passwords.hash(password, "new_password", words, context).await?;
        // Clears the failed logins of both login texts and the wrong current passwords, since the
        // owner has proved their identity. Done before the reset, so that the owner is not locked
        // out after a crash between the two.
        self.throttle.clear(&user.username_key, &user.email_key, user.id).await?;
        let at = self.clock.now();
        let change = Change::new(
            context.at(at),
            AuditEvent::of(AuditKind::ResetDone, user.id).subject(guess.verification_id.as_bytes()),
            RecordedOutcome::at(at).user(user.id),
        );
        let client = self.throttle.client(context.network);
        let notice = NoticeRequest { notice: Notice::PasswordReset, client: &client };
        let reset = self.accounts.reset_password(guess, &hash, notice, change).await?;
        let reset = reset.ok_or(Refusal::CodeExpired)?;
        self.wakeup.notify();
        self.tokens.publish_update(&reset.user, &reset.ended, at).await;
        Ok(reset)
    }
}
