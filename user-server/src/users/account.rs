//! What an account's owner does with it while logged in.

use uuid::Uuid;

use super::{Users, words_of};
use crate::domain::records::{
    self, Done, EmailChange, Ended, Profile, Purpose, UserChange, UserRecord,
};
use crate::domain::{Caller, Email, Fault, Outcome, Password, Refusal, Username};

/// A wish to change an account.
#[derive(Debug, Default)]
pub struct Change<'a> {
    /// A new name.
    pub username: Option<&'a str>,
    /// A new address.
    pub email: Option<&'a str>,
    /// A new password.
    pub new_password: Option<&'a [u8]>,
    /// What proves that the owner wishes it; needed for all but the name.
    pub current_password: Option<&'a [u8]>,
}

/// What a change gave.
pub struct Changed {
    /// The account as it is now.
    pub user: UserRecord,
    /// Where a new address waits for its code: what the code verifies.
    pub verification_id: Option<Uuid>,
}

impl Users {
    /// The account of an access token.
    ///
    /// # Errors
    /// As a token check.
    pub async fn get(&self, token: &[u8]) -> Outcome<Profile> {
        self.tokens.owner(&self.tokens.verify(token)?).await
    }

    /// Changes an account. All of it happens, or nothing.
    ///
    /// # Errors
    /// As a token check; `NothingToUpdate`; class 02 for a value that can't be;
    /// `InvalidCredentials` with the field; `UsernameTaken`. Never whether the new address is
    /// somebody's.
    pub async fn update(
        &self,
        token: &[u8],
        change: Change<'_>,
        caller: &Caller,
    ) -> Outcome<Changed> {
        let (session, user) = self.owner(token).await?;
        let username = change.username.map(Username::parse).transpose()?;
        let email = change.email.map(Email::parse).transpose()?;
        let password =
            change.new_password.map(|bytes| Password::chosen(bytes, "new_password")).transpose()?;
        if username.is_none() && email.is_none() && password.is_none() {
            return Err(Refusal::NothingToUpdate.into());
        }
        let needs_proof = email.is_some() || password.is_some();
        if needs_proof {
            self.prove_current(&user, change.current_password, caller).await?;
        }
        let email = email
            .filter(|email| email.key() != user.email_key)
            .map(|email| (Uuid::new_v4(), email));
        if username.is_none() && email.is_none() && password.is_none() {
            return Err(Refusal::NothingToUpdate.into());
        }
        let password_hash = match password {
            Some(password) => {
                let name = username.as_ref().map_or(user.username.as_str(), Username::shown);
                Some(
                    self.passwords
                        .hash(password, "new_password", words_of(name, &user.email), caller)
                        .await?,
                )
            }
            None => None,
        };
        let verification_id = email.as_ref().map(|(id, _)| *id);
        let change = UserChange {
            user_id: user.id,
            session_id: session.session_id,
            credentials: needs_proof.then_some(user.credentials),
            username,
            password_hash,
            email,
            client: self.throttle.client(caller.network),
            kid: self.otp.kid().to_owned(),
        };
        let act = caller.act(self.clock.now());
        match self.accounts.change_user(&change, &act).await? {
            records::Changed::Done(user, ended) => {
                self.bell.ring();
                self.tokens.note_changed(&user, &ended, act.at).await;
                Ok(Changed { user: *user, verification_id })
            }
            records::Changed::UsernameTaken => Err(Refusal::UsernameTaken.into()),
            // Deleted meanwhile.
            records::Changed::Gone if !needs_proof => Err(Refusal::SessionRevoked.into()),
            // Deleted, or the password that was proved is no longer the account's.
            records::Changed::Gone => {
                Err(Refusal::InvalidCredentials { field: Some("current_password") }.into())
            }
        }
    }

    /// The account that a change left, as it is now.
    ///
    /// # Errors
    /// `InvalidToken`; `SessionRevoked` where the session that asked for the change has ended
    /// since.
    pub async fn changed_before(&self, token: &[u8], done: &Done) -> Outcome<Changed> {
        self.tokens.token_still_open(token).await?;
        let id = done.user_id.ok_or_else(|| Fault::internal("a change without a user"))?;
        let user = self.accounts.user(id).await?.ok_or(Refusal::SessionRevoked)?;
        Ok(Changed { user, verification_id: done.verification_id })
    }

    /// Makes a new address count.
    ///
    /// # Errors
    /// As a token check; `InvalidCode`, `CodeExpired`, `EmailTaken`.
    pub async fn confirm_email(
        &self,
        token: &[u8],
        id: Uuid,
        code: &[u8],
        caller: &Caller,
    ) -> Outcome<UserRecord> {
        let owner = self.tokens.verify(token)?;
        let guess = self.otp.check(id, Purpose::EmailChange, Some(owner.user_id), code).await?;
        let act = caller.act(self.clock.now());
        match self.accounts.confirm_email(&guess, &act).await? {
            EmailChange::Changed(user) => {
                self.bell.ring();
                self.tokens.note_changed(&user, &Ended::default(), act.at).await;
                Ok(*user)
            }
            EmailChange::EmailTaken => Err(Refusal::EmailTaken.into()),
            EmailChange::Spent => Err(Refusal::CodeExpired.into()),
        }
    }

    /// Erases an account and ends its sessions.
    ///
    /// # Errors
    /// As a token check; `InvalidCredentials` with the field.
    pub async fn delete(
        &self,
        token: &[u8],
        current_password: &[u8],
        caller: &Caller,
    ) -> Outcome<Uuid> {
        let (_, user) = self.owner(token).await?;
        self.prove_current(&user, Some(current_password), caller).await?;
        let act = caller.act(self.clock.now());
        let Some(ended) = self.accounts.delete_user(&user, &act).await? else {
            return Err(Refusal::InvalidCredentials { field: Some("current_password") }.into());
        };
        self.bell.ring();
        self.tokens.note_ended(&ended, act.at).await;
        Ok(user.id)
    }
}
