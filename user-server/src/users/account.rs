//! Use cases of a logged-in user: to read, update or delete the account, and to confirm a new email
//! address.

use uuid::Uuid;

use super::{Users, guessable_words};
use crate::domain::{
    Adjustment, AuditEvent, AuditKind, Change, Email, EmailConfirmation, EndedSessions, Fault,
    Notice, NoticeRequest, Password, Profile, Purpose, RecordedOutcome, Refusal, RequestContext,
    UseCaseResult, UserRecord, UserUpdate, UserUpdateResult, Username,
};
use crate::throttle::{Budget, Payer};
use crate::tokens::Verified;

/// Update of an account that a client requests. A field that is `None` is not changed.
#[derive(Debug, Default)]
pub struct UpdateRequest<'a> {
    pub username: Option<&'a str>,
    pub email: Option<&'a str>,
    pub new_password: Option<&'a [u8]>,
    /// Current password, which is required to change anything other than the username.
    pub current_password: Option<&'a [u8]>,
}

/// New username, email address and password of an account, each if it changes.
type NewFields = (Option<Username>, Option<Email>, Option<Password>);

impl UpdateRequest<'_> {
    /// Checks and returns the new username, email address and password.
    ///
    /// # Errors
    /// `InvalidUsername`, `InvalidEmail`, `InvalidPassword`; `NothingToUpdate` if there is none.
    pub(crate) fn fields(&self) -> Result<NewFields, Refusal> {
        let username = self.username.map(Username::choose).transpose()?;
        let email = self.email.map(Email::parse).transpose()?;
        let password =
            self.new_password.map(|bytes| Password::chosen(bytes, "new_password")).transpose()?;
        if username.is_none() && email.is_none() && password.is_none() {
            return Err(Refusal::NothingToUpdate);
        }
        Ok((username, email, password))
    }
}

/// Updated account.
pub struct UpdatedUser {
    pub user: UserRecord,
    /// Id of the verification of a new email address, or `None` if the address was not changed.
    pub verification_id: Option<Uuid>,
}

impl Users {
    /// Returns the account profile of an access token.
    ///
    /// # Errors
    /// Those of [`Tokens::verify`](crate::tokens::Tokens::verify).
    pub async fn get(&self, token: &[u8]) -> UseCaseResult<Profile> {
        self.tokens.owner(&self.tokens.verify(token).await?).await
    }

    /// Updates the account of an access token atomically. A new email address takes effect only
    /// when its code is entered.
    ///
    /// # Errors
    /// Those of [`Tokens::verify`](crate::tokens::Tokens::verify); `NothingToUpdate`;
    /// `InvalidUsername`, `InvalidEmail`, `InvalidPassword`; `InvalidCredentials` if the current
    /// password is missing or wrong; `UsernameTaken`; `RateLimited`; `Busy`. Never reveals whether
    /// the new email address belongs to an account.
    pub async fn update(
        &self,
        token: &[u8],
        request: UpdateRequest<'_>,
        context: &RequestContext,
    ) -> UseCaseResult<UpdatedUser> {
        // An error in the fields is reported after one of the token.
        let fields = request.fields();
        let (username, needs_proof) = match &fields {
            Ok((username, email, password)) => {
                (username.as_ref().map(Username::key), email.is_some() || password.is_some())
            }
            Err(_) => (None, false),
        };
        let keys = |owner: &Verified| match needs_proof {
            true => self.throttle.password_keys(owner.session_id, owner.user_id),
            false => {
                self.throttle.keys_of(&[(Budget::UsernameChanges, Payer::User(owner.user_id))])
            }
        };
        let (session, user, found) = self.owner_and(token, username, keys).await?;
        let (username, email, password) = fields?;
        let read = match needs_proof {
            true => {
                let password = request.current_password;
                self.prove_current(&session, &user, password, found.counters, context).await?;
                None
            }
            false => found.counters,
        };
        let email = email
            .filter(|email| email.key() != user.email_key)
            .map(|email| (Uuid::new_v4(), email));
        if username.is_none() && email.is_none() && password.is_none() {
            return Err(Refusal::NothingToUpdate.into());
        }
        if let Some(username) = &username
            && username.key() != user.username_key
            && found.username_taken
        {
            return Err(Refusal::UsernameTaken.into());
        }
        let password_hash = match password {
            Some(password) => {
                let name = username.as_ref().map_or(user.username.as_str(), Username::shown);
                let words = guessable_words(name, &user.email);
                let hash = self.passwords.hash(password, "new_password", words, context).await?;
                Some((hash, Notice::PasswordChanged))
            }
            None => None,
        };
        let verification_id = email.as_ref().map(|(id, _)| *id);
        // A new username is a login identifier from this network at once.
        let known = username.as_ref().map_or_else(Vec::new, |username| {
            self.throttle.known_counters(username.key(), &user.email_key, context.network)
        });
        let update = UserUpdate {
            user_id: user.id,
            session_id: session.session_id,
            credentials: needs_proof.then_some(user.credentials),
            username,
            password_hash,
            email,
            client: self.throttle.client(context.network),
            kid: self.otp.kid().to_owned(),
            charge: Adjustment::nothing(),
            known,
        };
        let charge = self.throttle.charge_of(&budgets(&update, context)).after_reading(read);
        let update = UserUpdate { charge, ..update };
        let at = self.clock.now();
        let change = Change::new(
            context.at(at),
            AuditEvent::of(AuditKind::Updated, user.id)
                .session(session.session_id)
                .detail(update.fields()),
            RecordedOutcome::at(at).user(user.id).verification(verification_id),
        );
        match self.accounts.update_user(update, change).await? {
            UserUpdateResult::Updated(user, ended) => {
                self.wakeup.notify();
                self.tokens.publish_update(&user, &ended, at).await;
                Ok(UpdatedUser { user: *user, verification_id })
            }
            UserUpdateResult::UsernameTaken => Err(Refusal::UsernameTaken.into()),
            UserUpdateResult::TooMany(retry_after) => {
                Err(Refusal::RateLimited { retry_after }.into())
            }
            // The account was deleted concurrently.
            UserUpdateResult::Gone if !needs_proof => Err(Refusal::SessionRevoked.into()),
            // The account was deleted, or the password that was proved is no longer the account's.
            UserUpdateResult::Gone => Err(Refusal::CURRENT_PASSWORD.into()),
        }
    }

    /// Returns the current state of the account that an earlier request with the same idempotency
    /// key has updated.
    ///
    /// # Errors
    /// `InvalidToken`; `SessionRevoked` if the session of the token has ended.
    pub async fn updated_before(
        &self,
        token: &[u8],
        outcome: &RecordedOutcome,
    ) -> UseCaseResult<UpdatedUser> {
        self.tokens.token_still_open(token).await?;
        let id = outcome.user_id.ok_or_else(|| Fault::internal("an update without a user"))?;
        let user = self.accounts.user(id).await?.ok_or(Refusal::SessionRevoked)?;
        Ok(UpdatedUser { user, verification_id: outcome.verification_id })
    }

    /// Confirms a change of email address with its code.
    ///
    /// # Errors
    /// Those of [`Tokens::verify`](crate::tokens::Tokens::verify); `InvalidCode`, `CodeExpired`,
    /// `EmailTaken`, `RateLimited`.
    pub async fn confirm_email(
        &self,
        token: &[u8],
        id: Uuid,
        code: &[u8],
        context: &RequestContext,
    ) -> UseCaseResult<UserRecord> {
        let owner = self.tokens.verify(token).await?;
        let guess = self
            .otp
            .check(id, Purpose::EmailChange, Some(owner.user_id), code, context.network)
            .await?;
        let at = self.clock.now();
        let change = Change::new(
            context.at(at),
            AuditEvent::of(AuditKind::EmailConfirmed, owner.user_id),
            RecordedOutcome::at(at).user(owner.user_id),
        );
        let client = self.throttle.client(context.network);
        let notice = NoticeRequest { notice: Notice::EmailChanged, client: &client };
        match self.accounts.confirm_email(&guess, notice, change).await? {
            EmailConfirmation::Changed(user) => {
                self.wakeup.notify();
                self.mark_known(&user, context).await;
                self.tokens.publish_update(&user, &EndedSessions::default(), at).await;
                Ok(*user)
            }
            EmailConfirmation::EmailTaken => Err(Refusal::EmailTaken.into()),
            EmailConfirmation::Spent => Err(Refusal::CodeExpired.into()),
        }
    }

    /// Deletes the account of an access token and ends its sessions. Returns the id of the account.
    ///
    /// # Errors
    /// Those of [`Tokens::verify`](crate::tokens::Tokens::verify); `InvalidCredentials` if the
    /// current password is wrong; `RateLimited`; `Busy`.
    pub async fn delete(
        &self,
        token: &[u8],
        current_password: &[u8],
        context: &RequestContext,
    ) -> UseCaseResult<Uuid> {
        let keys = |owner: &Verified| self.throttle.password_keys(owner.session_id, owner.user_id);
        let (session, user, found) = self.owner_and(token, None, keys).await?;
        let (password, read) = (Some(current_password), found.counters);
        self.prove_current(&session, &user, password, read, context).await?;
        let at = self.clock.now();
        let change = Change::new(
            context.at(at),
            AuditEvent::of(AuditKind::Deleted, user.id),
            RecordedOutcome::at(at).user(user.id),
        );
        let client = self.throttle.client(context.network);
        let notice = NoticeRequest { notice: Notice::Deleted, client: &client };
        let deleted = self.accounts.delete_user(&user, notice, change).await?;
        let ended = deleted.ok_or(Refusal::CURRENT_PASSWORD)?;
        self.wakeup.notify();
        self.tokens.publish_ended(&ended, at).await;
        Ok(user.id)
    }
}

/// Returns the budgets that an update of an account is charged to, each with the user or network
/// that pays.
fn budgets(update: &UserUpdate, context: &RequestContext) -> Vec<(Budget, Payer)> {
    let user = Payer::User(update.user_id);
    let mut budgets = Vec::new();
    if update.email.is_some() {
        budgets.push((Budget::EmailChanges, user));
        budgets.push((Budget::EmailChangesFrom, Payer::Network(context.network)));
    }
    if update.password_hash.is_some() {
        budgets.push((Budget::PasswordChanges, user));
    }
    if update.username.is_some() {
        budgets.push((Budget::UsernameChanges, user));
    }
    budgets
}
