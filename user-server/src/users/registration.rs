//! Registration: a pending row and a mail, then a code that makes it an account. The answer never
//! tells whether the address has an account.

use uuid::Uuid;

use super::{CodeSent, Users, words_of};
use crate::domain::records::{Activation, Purpose, Registration};
use crate::domain::{Caller, Email, Failure, Outcome, Password, Refusal, Username};
use crate::throttle::Hourly;
use crate::tokens::Grant;

impl Users {
    /// Writes a registration down and queues its mail.
    ///
    /// # Errors
    /// `InvalidUsername`, `InvalidEmail`, `InvalidPassword`, `UsernameTaken` as a courtesy,
    /// `RateLimited`, `Busy`.
    pub async fn register(
        &self,
        username: &str,
        email: &str,
        password: &[u8],
        caller: &Caller,
    ) -> Outcome<CodeSent> {
        let username = Username::parse(username)?;
        let email = Email::parse(email)?;
        let password = Password::chosen(password, "password")?;
        self.throttle.charge(Hourly::Registration, caller.network).await?;
        let written = self.write_registration(username, email, password, caller).await;
        if let Err(Failure::Refused(_)) = written {
            self.throttle.refund(Hourly::Registration, caller.network).await?;
        }
        written
    }

    async fn write_registration(
        &self,
        username: Username,
        email: Email,
        password: Password,
        caller: &Caller,
    ) -> Outcome<CodeSent> {
        if self.accounts.username_taken(username.key()).await? {
            return Err(Refusal::UsernameTaken.into());
        }
        let context = words_of(username.shown(), email.shown());
        let password_hash = self.passwords.hash(password, "password", context, caller).await?;
        let registration = Registration {
            verification_id: Uuid::new_v4(),
            username,
            email,
            password_hash,
            client: self.throttle.client(caller.network),
            kid: self.otp.kid().to_owned(),
        };
        self.accounts.register(&registration, &caller.act(self.clock.now())).await?;
        self.bell.ring();
        Ok(self.code_sent(registration.verification_id))
    }

    /// Spends a registration's code for an account and its first session.
    ///
    /// # Errors
    /// `InvalidCode`, `CodeExpired`, `InvalidUsername`; `UsernameTaken`, which leaves the code
    /// good; `EmailTaken`.
    pub async fn verify_email(
        &self,
        id: Uuid,
        code: &[u8],
        username: Option<&str>,
        caller: &Caller,
    ) -> Outcome<Grant> {
        let username = username.map(Username::parse).transpose()?;
        let guess = self.otp.check(id, Purpose::Registration, None, code).await?;
        let session = self.tokens.new_session();
        let act = caller.act(self.clock.now());
        match self
            .accounts
            .activate(&guess, username.as_ref(), Uuid::new_v4(), &session, &act)
            .await?
        {
            Activation::Active(user) => self.tokens.first_grant(&session, user.id, &act),
            Activation::UsernameTaken => {
                self.otp.give_back(&guess).await?;
                Err(Refusal::UsernameTaken.into())
            }
            Activation::EmailTaken => Err(Refusal::EmailTaken.into()),
            Activation::Spent => Err(Refusal::CodeExpired.into()),
        }
    }

    /// Queues the mail of a registration, a change or a reset once more.
    ///
    /// # Errors
    /// `RateLimited` where its last mail is too young, `CodeExpired` where there is nothing to
    /// send.
    pub async fn resend_code(&self, id: Uuid, caller: &Caller) -> Outcome<CodeSent> {
        self.otp.resend(id, &self.throttle.client(caller.network), caller).await?;
        self.bell.ring();
        Ok(self.code_sent(id))
    }
}
