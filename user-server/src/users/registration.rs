//! Registration: stores a pending registration and queues an email with a code; the code turns the
//! registration into an account. The reply never reveals whether the email address belongs to an
//! account.

use uuid::Uuid;

use super::{CodeSent, Users, guessable_words, stored};
use crate::domain::{
    AccountLookup, Activation, AuditEvent, AuditKind, Change, DeviceName, Email, Failure, Password,
    Purpose, RecordedOutcome, Refusal, Registration, RequestContext, UseCaseResult, Username,
};
use crate::outbox::pending_limit;
use crate::throttle::{Budget, Payer};
use crate::tokens::TokenPair;

impl Users {
    /// Checks the fields of a registration, and that its username is not taken, without writing
    /// anything.
    ///
    /// # Errors
    /// `InvalidUsername`, `InvalidEmail`, `InvalidPassword`, `UsernameTaken`.
    pub async fn check_registration(
        &self,
        username: &str,
        email: &str,
        password: &[u8],
    ) -> UseCaseResult<(Username, Email, Password)> {
        let (username, email, password) = registration_fields(username, email, password)?;
        if self.accounts.username_taken(username.key()).await? {
            return Err(Refusal::UsernameTaken.into());
        }
        Ok((username, email, password))
    }

    /// Stores a pending registration and queues the email with its code.
    ///
    /// # Errors
    /// `InvalidUsername`, `InvalidEmail`, `InvalidPassword`, `RateLimited`, `Busy`;
    /// `UsernameTaken`, as an early hint, since a pending registration does not reserve its
    /// username.
    pub async fn register(
        &self,
        username: &str,
        email: &str,
        password: &[u8],
        context: &RequestContext,
    ) -> UseCaseResult<CodeSent> {
        let (username, email, password) = registration_fields(username, email, password)?;
        let network = Payer::Network(context.network);
        let counters = self.throttle.keys_of(&[(Budget::Registrations, network)]);
        let lookup =
            AccountLookup { user: None, username: Some(username.key()), counters: &counters };
        let found = self.accounts.look_up(lookup).await?;
        if found.username_taken {
            return Err(Refusal::UsernameTaken.into());
        }
        let read = found.counters;
        self.throttle.charge_after_reading(Budget::Registrations, network, read).await?;
        let stored = self.store_registration(username, email, password, context).await;
        if let Err(Failure::Refused(Refusal::Busy { .. })) = stored {
            self.throttle.refund(Budget::Registrations, network).await?;
        }
        stored
    }

    async fn store_registration(
        &self,
        username: Username,
        email: Email,
        password: Password,
        context: &RequestContext,
    ) -> UseCaseResult<CodeSent> {
        let words = guessable_words(username.shown(), email.shown());
        let password_hash = self.passwords.hash(password, "password", words, context).await?;
        let registration = Registration {
            verification_id: Uuid::new_v4(),
            username,
            email,
            password_hash,
            client: self.throttle.client(context.network),
            kid: self.otp.kid().to_owned(),
            limit: pending_limit(self.code_life, context.network.is_some()),
        };
        let (id, at) = (registration.verification_id, self.clock.now());
        let change = Change::new(
            context.at(at),
            AuditEvent::new(AuditKind::Registered).subject(id.as_bytes()),
            RecordedOutcome::at(at).verification(Some(id)),
        );
        stored(self.accounts.register(&registration, change).await?)?;
        self.wakeup.notify();
        Ok(self.code_sent(id))
    }

    /// Completes a registration with its code: creates the account and opens its first session.
    /// `username`, if given, replaces the requested username.
    ///
    /// # Errors
    /// `InvalidCode`, `CodeExpired`, `RateLimited`, `InvalidUsername`, `InvalidValue` for the
    /// device name; `UsernameTaken`, which leaves the code valid; `EmailTaken`.
    pub async fn verify_email(
        &self,
        id: Uuid,
        code: &[u8],
        username: Option<&str>,
        device: Option<&str>,
        context: &RequestContext,
    ) -> UseCaseResult<TokenPair> {
        let username = username.map(Username::choose).transpose()?;
        let device = device.map(DeviceName::parse).transpose()?;
        let guess = self.otp.check(id, Purpose::Registration, None, code, context.network).await?;
        let (user_id, session) = (
            Uuid::new_v4(),
            self.tokens.new_session(device, context.network, self.throttle.client(context.network)),
        );
        let at = self.clock.now();
        let change = Change::new(
            context.at(at),
            AuditEvent::of(AuditKind::Verified, user_id)
                .session(session.id)
                .subject(guess.verification_id.as_bytes()),
            RecordedOutcome::at(at).user(user_id).session(session.opened(user_id, at)),
        );
        let username = username.as_ref();
        // The network of the first session is known to the account at once.
        let known = guess.registrant.as_ref().map_or_else(Vec::new, |registrant| {
            let username_key = username.map_or(registrant.username_key.as_str(), Username::key);
            self.throttle.known_counters(username_key, &registrant.email_key, context.network)
        });
        let activation =
            self.accounts.activate(&guess, username, user_id, &session, &known, change);
        match activation.await? {
            Activation::Active(user) => {
                self.tokens.first_tokens(&session, user.id, &context.at(at))
            }
            Activation::UsernameTaken => {
                self.otp.refund(&guess).await?;
                Err(Refusal::UsernameTaken.into())
            }
            Activation::EmailTaken => Err(Refusal::EmailTaken.into()),
            Activation::Spent => Err(Refusal::CodeExpired.into()),
        }
    }

    /// Queues the email with the code of a registration, email change or password reset again.
    ///
    /// # Errors
    /// `RateLimited` if the last request was too recent or there were too many, `CodeExpired` if
    /// there is no such verification.
    pub async fn resend_code(&self, id: Uuid, context: &RequestContext) -> UseCaseResult<CodeSent> {
        self.otp.check_resend(id, context).await?;
        self.throttle.charge(Budget::Resends, Payer::Network(context.network)).await?;
        self.otp.resend(id, context).await?;
        self.wakeup.notify();
        Ok(self.code_sent(id))
    }
}

/// Checks the fields of a registration.
fn registration_fields(
    username: &str,
    email: &str,
    password: &[u8],
) -> Result<(Username, Email, Password), Refusal> {
    let username = Username::choose(username)?;
    let email = Email::parse(email)?;
    Ok((username, email, Password::chosen(password, "password")?))
}
