//! The user service: the use cases of accounts, one file per group.

mod account;
mod login;
mod registration;
mod reset;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::audit::{Attempted, AuditLog};
use crate::domain::{
    AccountLookup, Accounts, BudgetCounter, Clock, Email, Failure, Found, Password, PendingResult,
    Refusal, RequestContext, UseCaseResult, UserKey, UserRecord, Username,
};
use crate::otp::Otp;
use crate::outbox::{MailWakeup, RESEND_AFTER};
use crate::password::{PasswordVerdict, Passwords};
use crate::throttle::{LoginCharge, Throttle};
use crate::tokens::{Tokens, Verified};

pub use account::{UpdateRequest, UpdatedUser};

/// Service for the use cases of accounts, such as registration and login.
pub struct Users {
    pub accounts: Arc<dyn Accounts>,
    pub tokens: Arc<Tokens>,
    pub otp: Arc<Otp>,
    pub passwords: Passwords,
    pub throttle: Arc<Throttle>,
    pub audit_log: AuditLog,
    /// Notification of the worker that an email was queued.
    pub wakeup: MailWakeup,
    pub clock: Arc<dyn Clock>,
    /// Lifetime of a one-time code, as replies state it.
    pub code_life: Duration,
}

/// Part of a reply about a queued one-time code. It is the same whether or not an email will be
/// sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeSent {
    /// Id of the verification, which the client sends back together with the code.
    pub verification_id: Uuid,
    pub expires_in: Duration,
    /// Time after which the client may request the code again.
    pub resend_after: Duration,
}

impl Users {
    /// Returns the part of a reply that describes the code of a verification.
    #[must_use]
    pub fn code_sent(&self, verification_id: Uuid) -> CodeSent {
        CodeSent { verification_id, expires_in: self.code_life, resend_after: RESEND_AFTER }
    }

    /// Verifies an access token, and returns its claims, its account and the values of the counters
    /// with the keys that `keys` returns. `username` is the canonical form of a new username.
    ///
    /// # Errors
    /// Those of [`Tokens::verify`].
    async fn owner_and(
        &self,
        token: &[u8],
        username: Option<&str>,
        keys: impl FnOnce(&Verified) -> Vec<[u8; 32]> + Send,
    ) -> UseCaseResult<(Verified, UserRecord, Found)> {
        let verified = self.tokens.verify(token).await?;
        let (user, counters) = (Some(UserKey::Id(verified.user_id)), keys(&verified));
        let lookup = AccountLookup { user, username, counters: &counters };
        let mut found = self.accounts.look_up(lookup).await?;
        // A missing account was deleted, and its sessions with it.
        let user = found.user.take().ok_or(Refusal::SessionRevoked)?;
        Ok((verified, user, found))
    }

    /// Makes the network of a request known to its user, who has opened a session from it or has
    /// new login identifiers. A failure costs only the attempts that a known network has of its
    /// own.
    async fn mark_known(&self, user: &UserRecord, context: &RequestContext) {
        if let Err(fault) = self.throttle.mark_known(user, context.network).await {
            tracing::warn!(%fault, "cannot record a network as known to its user");
        }
    }

    /// Verifies a login password against the stored hash. If it is correct, returns the verdict and
    /// the charge, which must then be settled; if it is wrong, returns `None`, and the attempt
    /// counts as a failure. If the server is too busy to verify it, refunds the charge.
    async fn prove(
        &self,
        password: Option<Password>,
        stored: Option<&str>,
        charge: LoginCharge,
        context: &RequestContext,
    ) -> UseCaseResult<Option<(PasswordVerdict, LoginCharge)>> {
        match self.passwords.verify(password, stored, context).await {
            Ok(verdict) if verdict.correct => Ok(Some((verdict, charge))),
            Ok(_) => Ok(None),
            Err(failure) => {
                if matches!(failure, Failure::Refused(Refusal::Busy { .. })) {
                    self.throttle.refund_login(charge).await?;
                }
                Err(failure)
            }
        }
    }

    /// Verifies the current password of a logged-in user. Wrong passwords are counted for the
    /// session, which ends after the tenth, and for the user. `read` are the values of the counters
    /// [`Throttle::password_keys`] if they were read before.
    async fn prove_current(
        &self,
        session: &Verified,
        user: &UserRecord,
        password: Option<&[u8]>,
        read: Option<Vec<BudgetCounter>>,
        context: &RequestContext,
    ) -> UseCaseResult<()> {
        let Some(bytes) = password else {
            return Err(Refusal::CURRENT_PASSWORD.into());
        };
        let session_id = session.session_id;
        let charge = self.throttle.charge_password(session_id, user.id, read, context).await?;
        let stored = Some(user.password_hash.as_str());
        let verdict = self.passwords.verify(Password::presented(bytes), stored, context).await;
        match verdict {
            Ok(verdict) if !verdict.correct => {
                let (attempted, at) = (Attempted::User(user.id), context.at(self.clock.now()));
                self.audit_log.login_failed(attempted, "current_password", at).await?;
                if charge.is_last {
                    self.tokens.end_guessed_session(session_id, user.id, context).await?;
                }
                Err(Refusal::CURRENT_PASSWORD.into())
            }
            verdict => {
                if matches!(verdict, Ok(_) | Err(Failure::Refused(Refusal::Busy { .. }))) {
                    self.throttle.refund_password(charge).await?;
                }
                verdict.map(drop)
            }
        }
    }
}

/// Returns an error if a registration or reset was refused because too many of the network are
/// pending.
fn stored(result: PendingResult) -> UseCaseResult<()> {
    match result {
        PendingResult::Stored => Ok(()),
        PendingResult::TooMany(retry_after) => Err(Refusal::RateLimited { retry_after }.into()),
    }
}

/// Returns words that make a password easy to guess: the username, the email address and its parts.
fn guessable_words(username: &str, email: &str) -> Vec<String> {
    let mut words = vec![username.to_owned(), email.to_owned()];
    words.extend(
        email.split(['@', '.', '+', '-', '_']).filter(|part| part.len() > 2).map(str::to_owned),
    );
    words
}

/// Login identifier: a username, an email address, or a text that no account can have.
enum Login {
    Username(Username),
    Email(Email),
    Invalid(String),
}

impl Login {
    fn parse(text: &str) -> Self {
        if text.contains('@') {
            Email::parse(text).map_or_else(|_| Self::Invalid(text.to_lowercase()), Self::Email)
        } else {
            Username::parse(text)
                .map_or_else(|_| Self::Invalid(text.to_lowercase()), Self::Username)
        }
    }

    /// Returns the canonical form of the login identifier, under which failed logins are counted.
    fn key(&self) -> &str {
        match self {
            Self::Username(username) => username.key(),
            Self::Email(email) => email.key(),
            Self::Invalid(text) => text,
        }
    }
}
