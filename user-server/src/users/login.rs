//! Login: every attempt computes exactly one password hash, whether or not the account exists.

use super::{Login, Users};
use crate::audit::Attempted;
use crate::domain::{
    AccountLookup, AuditEvent, AuditKind, Change, DeviceName, Found, LoginKey, MAX_SESSIONS,
    Password, PasswordLogin, RecordedOutcome, Refusal, RequestContext, SessionOpening,
    UseCaseResult, UserKey,
};
use crate::tokens::TokenPair;

impl Users {
    /// Logs a user in with a username or email address and a password. Returns the tokens of the
    /// new session.
    ///
    /// # Errors
    /// `InvalidValue` for the device name, `InvalidCredentials`, `AccountDisabled` (only after the
    /// correct password), `RateLimited`, `Busy`.
    pub async fn login(
        &self,
        login: &str,
        password: &[u8],
        device: Option<&str>,
        context: &RequestContext,
    ) -> UseCaseResult<TokenPair> {
        let device = device.map(DeviceName::parse).transpose()?;
        let login = Login::parse(login);
        let attempt = self.throttle.begin_login(login.key(), context).await?;
        let key = match &login {
            Login::Username(username) => LoginKey::Username(username.key()),
            Login::Email(email) => LoginKey::Email(email.key()),
            // Looked up like any other login, so that it takes the same time.
            Login::Invalid(_) => LoginKey::Username(""),
        };
        let user = Some(UserKey::Login(key));
        let lookup = AccountLookup { user, username: None, counters: attempt.keys() };
        let Found { user, counters, .. } = self.accounts.look_up(lookup).await?;
        let charge = self.throttle.charge_login(attempt, user.as_ref(), counters).await?;
        let stored = user.as_ref().map(|user| user.password_hash.as_str());
        let proved = self.prove(Password::presented(password), stored, charge, context).await?;
        let at = self.clock.now();
        let (Some(user), Some((verdict, charge))) = (&user, proved) else {
            let attempted = match &user {
                Some(user) => Attempted::User(user.id),
                None => Attempted::Unknown(login.key()),
            };
            self.audit_log.login_failed(attempted, "", context.at(at)).await?;
            return Err(Refusal::InvalidCredentials { field: None }.into());
        };
        if user.disabled {
            // Counts as a failure, since it would otherwise be a request without a budget.
            let attempted = Attempted::User(user.id);
            self.audit_log.login_failed(attempted, "disabled", context.at(at)).await?;
            return Err(Refusal::AccountDisabled.into());
        }
        let session =
            self.tokens.new_session(device, context.network, self.throttle.client(context.network));
        let change = Change::new(
            context.at(at),
            AuditEvent::of(AuditKind::LoggedIn, user.id).session(session.id),
            RecordedOutcome::at(at).user(user.id).session(session.opened(user.id, at)),
        );
        let login = PasswordLogin {
            user,
            session: &session,
            stronger_hash: verdict.stronger.as_deref(),
            charge: self.throttle.success_adjustment(&charge, user),
            max_sessions: MAX_SESSIONS,
        };
        match self.accounts.open_session(login, change).await? {
            SessionOpening::Opened(surplus) => {
                self.tokens.publish_ended(&surplus, at).await;
                self.tokens.first_tokens(&session, user.id, &context.at(at))
            }
            // The password was changed after it was checked, so the proof no longer counts.
            SessionOpening::NotProved => Err(Refusal::InvalidCredentials { field: None }.into()),
            SessionOpening::TooMany(retry_after) => {
                Err(Refusal::RateLimited { retry_after }.into())
            }
        }
    }
}
