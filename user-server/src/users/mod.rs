//! The user service: what a person can do with an account. Each use case is a file.

mod account;
mod login;
mod registration;
mod reset;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::audit::{Attempted, Witness};
use crate::domain::ports::Accounts;
use crate::domain::records::UserRecord;
use crate::domain::{Caller, Clock, Email, Failure, Outcome, Password, Refusal, Username};
use crate::otp::Otp;
use crate::outbox::{Bell, RESEND_AFTER};
use crate::password::{Passwords, Verdict};
use crate::throttle::{LoginCharge, Throttle};
use crate::tokens::{Tokens, Verified};

pub use account::{Change, Changed};

/// The user service.
pub struct Users {
    /// Where the accounts are.
    pub accounts: Arc<dyn Accounts>,
    /// The token service.
    pub tokens: Arc<Tokens>,
    /// The OTP service.
    pub otp: Arc<Otp>,
    /// Hashes.
    pub passwords: Passwords,
    /// Budgets.
    pub throttle: Throttle,
    /// What notes failed logins.
    pub witness: Witness,
    /// What tells the outbox's worker of a new mail.
    pub bell: Bell,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long a code lives, as every answer about one says.
    pub code_life: Duration,
}

/// What an answer about a code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeSent {
    /// What the code verifies.
    pub verification_id: Uuid,
    /// How long a code lives.
    pub expires_in: Duration,
    /// When it may be asked for again.
    pub resend_after: Duration,
}

impl Users {
    /// What an answer about this verification says.
    #[must_use]
    pub fn code_sent(&self, verification_id: Uuid) -> CodeSent {
        CodeSent { verification_id, expires_in: self.code_life, resend_after: RESEND_AFTER }
    }

    /// The account of an access token.
    async fn owner(&self, token: &[u8]) -> Outcome<(Verified, UserRecord)> {
        let verified = self.tokens.verify(token)?;
        // An account that is not there was deleted, and its sessions with it.
        let user = self.accounts.user(verified.user_id).await?.ok_or(Refusal::SessionRevoked)?;
        Ok((verified, user))
    }

    /// Compares a password under a charge that was paid for it: a wrong one keeps the charge, one
    /// that was not looked at gives it back, and with a right one it is still to be settled.
    async fn prove(
        &self,
        password: Option<Password>,
        stored: Option<&str>,
        charge: LoginCharge,
        caller: &Caller,
    ) -> Outcome<Option<(Verdict, LoginCharge)>> {
        match self.passwords.verify(password, stored, caller).await {
            Ok(verdict) if verdict.right => Ok(Some((verdict, charge))),
            Ok(_) => Ok(None),
            Err(failure) => {
                if matches!(failure, Failure::Refused(Refusal::Busy { .. })) {
                    self.throttle.give_back(charge).await?;
                }
                Err(failure)
            }
        }
    }

    /// Proves the current password of a logged-in user, who pays for a wrong one as for a failed
    /// login.
    async fn prove_current(
        &self,
        user: &UserRecord,
        password: Option<&[u8]>,
        caller: &Caller,
    ) -> Outcome<()> {
        const FIELD: Option<&str> = Some("current_password");
        let charge = self.throttle.charge_login(&user.username_key, caller.network).await?;
        let Some(bytes) = password else {
            return Err(Refusal::InvalidCredentials { field: FIELD }.into());
        };
        let stored = Some(user.password_hash.as_str());
        match self.prove(Password::presented(bytes), stored, charge, caller).await? {
            Some((_, charge)) => Ok(self.throttle.succeeded(charge).await?),
            None => {
                let act = caller.act(self.clock.now());
                self.witness
                    .login_failed(Attempted::User(user.id), "current_password", act)
                    .await?;
                Err(Refusal::InvalidCredentials { field: FIELD }.into())
            }
        }
    }
}

/// The words that are easy to guess for this user.
fn words_of(username: &str, email: &str) -> Vec<String> {
    let mut words = vec![username.to_owned(), email.to_owned()];
    words.extend(
        email.split(['@', '.', '+', '-', '_']).filter(|part| part.len() > 2).map(str::to_owned),
    );
    words
}

/// A login text: a username, or an address, or nothing that anybody could have.
enum Login {
    Username(Username),
    Email(Email),
    Nobody(String),
}

impl Login {
    fn parse(text: &str) -> Self {
        if text.contains('@') {
            Email::parse(text).map_or_else(|_| Self::Nobody(text.to_lowercase()), Self::Email)
        } else {
            Username::parse(text).map_or_else(|_| Self::Nobody(text.to_lowercase()), Self::Username)
        }
    }

    /// What its failures are counted by.
    fn key(&self) -> &str {
        match self {
            Self::Username(username) => username.key(),
            Self::Email(email) => email.key(),
            Self::Nobody(text) => text,
        }
    }
}
