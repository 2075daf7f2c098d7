//! Login: always one real hash, always the same way, whoever asks for whom.

use super::{Login, Users};
use crate::audit::Attempted;
use crate::domain::records::LoginKey;
use crate::domain::{Caller, Outcome, Password, Refusal};
use crate::tokens::Grant;

impl Users {
    /// Opens a session for a username or an address and its password.
    ///
    /// # Errors
    /// `InvalidCredentials`, `AccountDisabled` after the right password only, `RateLimited`,
    /// `Busy`.
    pub async fn login(&self, login: &str, password: &[u8], caller: &Caller) -> Outcome<Grant> {
        let login = Login::parse(login);
        let charge = self.throttle.charge_login(login.key(), caller.network).await?;
        let user = match &login {
            Login::Username(username) => {
                self.accounts.user_by_login(LoginKey::Username(username.key())).await?
            }
            Login::Email(email) => {
                self.accounts.user_by_login(LoginKey::Email(email.key())).await?
            }
            // Looked up all the same, so that it takes as long.
            Login::Nobody(_) => self.accounts.user_by_login(LoginKey::Username("")).await?,
        };
        let stored = user.as_ref().map(|user| user.password_hash.as_str());
        let proved = self.prove(Password::presented(password), stored, charge, caller).await?;
        let act = caller.act(self.clock.now());
        let (Some(user), Some((verdict, charge))) = (&user, proved) else {
            let whose = user
                .as_ref()
                .map_or(Attempted::Nobody(login.key()), |user| Attempted::User(user.id));
            self.witness.login_failed(whose, "", act).await?;
            return Err(Refusal::InvalidCredentials { field: None }.into());
        };
        if user.disabled {
            self.throttle.succeeded(charge).await?;
            self.witness.login_failed(Attempted::User(user.id), "disabled", act).await?;
            return Err(Refusal::AccountDisabled.into());
        }
        let session = self.tokens.new_session();
        let settled = self.throttle.success(charge);
        match self
            .accounts
            .open_session(user, &session, verdict.stronger.as_deref(), settled, &act)
            .await?
        {
            Some(surplus) => {
                self.tokens.note_ended(&surplus, act.at).await;
                self.tokens.first_grant(&session, user.id, &act)
            }
            // The password was changed between the look and now: what was proved is no longer so.
            None => Err(Refusal::InvalidCredentials { field: None }.into()),
        }
    }
}
