//! The writing port methods of a store, called with the changes that the services pass to them.

use std::sync::Arc;
use std::time::Duration;

use user_server::domain::{
    Activation, Adjustment, AuditEvent, AuditKind, Change, ChangeContext, Email, EmailConfirmation,
    EmailSetResult, EndedSessions, Fault, Guess, Imported, MAX_SESSIONS, NewSession, NewUser,
    Notice, NoticeRequest, PasswordLogin, PasswordResetResult, PendingResult, RecordedOutcome,
    Registration, ResendResult, ResetRequest, SessionOpening, Store, UserRecord, UserUpdate,
    UserUpdateResult, Username,
};
use user_server::outbox;
use user_server::tokens::{self, Rotation};
use uuid::Uuid;

/// Lifetime of a code.
pub const CODE_LIFE: Duration = Duration::from_secs(900);

fn change(kind: AuditKind, context: impl Into<ChangeContext>) -> Change {
    change_of(AuditEvent::new(kind), context)
}

fn change_of(event: AuditEvent, context: impl Into<ChangeContext>) -> Change {
    let context = context.into();
    let outcome = RecordedOutcome::at(context.at);
    let outcome = match event.user_id {
        Some(id) => outcome.user(id),
        None => outcome,
    };
    Change::new(context, event, outcome)
}

fn change_of_verification(kind: AuditKind, id: Uuid, context: impl Into<ChangeContext>) -> Change {
    let context = context.into();
    let outcome = RecordedOutcome::at(context.at).verification(Some(id));
    Change::new(context, AuditEvent::new(kind).subject(id.as_bytes()), outcome)
}

/// Returns the request for a notice by an unknown network.
fn request(notice: Notice) -> NoticeRequest<'static> {
    NoticeRequest { notice, client: "" }
}

/// The writing methods of a store, each named after the port method that it calls.
pub trait Changes {
    fn store(&self) -> &dyn Store;

    async fn register_at(
        &self,
        registration: &Registration,
        context: impl Into<ChangeContext>,
    ) -> Result<PendingResult, Fault> {
        let id = registration.verification_id;
        self.store()
            .register(registration, change_of_verification(AuditKind::Registered, id, context))
            .await
    }

    async fn activate_at(
        &self,
        guess: &Guess,
        username: Option<&Username>,
        user_id: Uuid,
        session: &NewSession,
        context: impl Into<ChangeContext>,
    ) -> Result<Activation, Fault> {
        let context = context.into();
        let event = AuditEvent::of(AuditKind::Verified, user_id)
            .session(session.id)
            .subject(guess.verification_id.as_bytes());
        let outcome = RecordedOutcome::at(context.at).user(user_id);
        let outcome = outcome.session(session.opened(user_id, context.at));
        let change = Change::new(context, event, outcome);
        self.store().activate(guess, username, user_id, session, &[], change).await
    }

    async fn open_session_at(
        &self,
        user: &UserRecord,
        session: &NewSession,
        stronger_hash: Option<&str>,
        charge: Adjustment,
        context: impl Into<ChangeContext>,
    ) -> Result<Option<EndedSessions>, Fault> {
        let context = context.into();
        let event = AuditEvent::of(AuditKind::LoggedIn, user.id).session(session.id);
        let outcome = RecordedOutcome::at(context.at).user(user.id);
        let outcome = outcome.session(session.opened(user.id, context.at));
        let login =
            PasswordLogin { user, session, stronger_hash, charge, max_sessions: MAX_SESSIONS };
        match self.store().open_session(login, Change::new(context, event, outcome)).await? {
            SessionOpening::Opened(ended) => Ok(Some(ended)),
            SessionOpening::NotProved => Ok(None),
            SessionOpening::TooMany(wait) => panic!("refused for {wait:?}"),
        }
    }

    async fn update_user_at(
        &self,
        update: UserUpdate,
        context: impl Into<ChangeContext>,
    ) -> Result<UserUpdateResult, Fault> {
        let context = context.into();
        let event = AuditEvent::of(AuditKind::Updated, update.user_id)
            .session(update.session_id)
            .detail(update.fields());
        let verification_id = update.email.as_ref().map(|(id, _)| *id);
        let outcome = RecordedOutcome::at(context.at).user(update.user_id);
        let outcome = outcome.verification(verification_id);
        self.store().update_user(update, Change::new(context, event, outcome)).await
    }

    async fn confirm_email_at(
        &self,
        guess: &Guess,
        context: impl Into<ChangeContext>,
    ) -> Result<EmailConfirmation, Fault> {
        let change = change(AuditKind::EmailConfirmed, context);
        self.store().confirm_email(guess, request(Notice::EmailChanged), change).await
    }

    async fn request_reset_at(
        &self,
        request: &ResetRequest,
        context: impl Into<ChangeContext>,
    ) -> Result<PendingResult, Fault> {
        let id = request.verification_id;
        self.store()
            .request_reset(request, change_of_verification(AuditKind::ResetRequested, id, context))
            .await
    }

    async fn reset_password_at(
        &self,
        guess: &Guess,
        password_hash: &str,
        context: impl Into<ChangeContext>,
    ) -> Result<Option<PasswordResetResult>, Fault> {
        let subject = guess.verification_id;
        let event = AuditEvent::new(AuditKind::ResetDone).subject(subject.as_bytes());
        let change = change_of(event, context);
        self.store()
            .reset_password(guess, password_hash, request(Notice::PasswordReset), change)
            .await
    }

    async fn delete_user_at(
        &self,
        user: &UserRecord,
        context: impl Into<ChangeContext>,
    ) -> Result<Option<EndedSessions>, Fault> {
        let change = change_of(AuditEvent::of(AuditKind::Deleted, user.id), context);
        self.store().delete_user(user, request(Notice::Deleted), change).await
    }

    async fn resend_at(
        &self,
        id: Uuid,
        client: &str,
        kids: &[&str],
        context: impl Into<ChangeContext>,
    ) -> Result<ResendResult, Fault> {
        let change = change_of_verification(AuditKind::CodeResent, id, context);
        self.store().resend(id, client, &outbox::resend_policy(CODE_LIFE), kids, change).await
    }

    async fn rotate_at(
        &self,
        session_id: Uuid,
        counter: u32,
        kid: &str,
        context: impl Into<ChangeContext>,
    ) -> Result<Rotation, Fault> {
        let store = self.store();
        let event = AuditEvent::new(AuditKind::Refreshed).session(session_id);
        tokens::rotate(store, (session_id, counter), kid, event, context.into()).await
    }

    async fn end_session_at(
        &self,
        id: Uuid,
        context: impl Into<ChangeContext>,
    ) -> Result<EndedSessions, Fault> {
        let event = AuditEvent::new(AuditKind::LoggedOut).session(id);
        self.store().end_session(id, change_of(event, context)).await
    }

    async fn end_all_sessions_at(
        &self,
        user_id: Uuid,
        context: impl Into<ChangeContext>,
    ) -> Result<EndedSessions, Fault> {
        let event = AuditEvent::of(AuditKind::LoggedOut, user_id).detail("all sessions");
        self.store().end_all_sessions(user_id, change_of(event, context)).await
    }

    async fn disable_at(
        &self,
        id: Uuid,
        context: impl Into<ChangeContext>,
    ) -> Result<Option<EndedSessions>, Fault> {
        self.store().disable(id, change_of(AuditEvent::of(AuditKind::Disabled, id), context)).await
    }

    async fn create_account_at(
        &self,
        user: &NewUser,
        context: impl Into<ChangeContext>,
    ) -> Result<Imported, Fault> {
        let change = change_of(AuditEvent::of(AuditKind::Created, user.id), context);
        self.store().create_account(user, change).await
    }

    async fn set_email_at(
        &self,
        id: Uuid,
        email: &Email,
        context: impl Into<ChangeContext>,
    ) -> Result<EmailSetResult, Fault> {
        let change = change_of(AuditEvent::of(AuditKind::EmailSet, id), context);
        let notice = NoticeRequest { notice: Notice::EmailChanged, client: "" };
        self.store().set_email(id, email, notice, change).await
    }

    async fn enable_at(&self, id: Uuid, context: impl Into<ChangeContext>) -> Result<bool, Fault> {
        self.store().enable(id, change_of(AuditEvent::of(AuditKind::Enabled, id), context)).await
    }

    async fn forget_sessions_at(&self, context: impl Into<ChangeContext>) -> Result<u64, Fault> {
        self.store().forget_sessions(change(AuditKind::Restored, context)).await
    }

    async fn retire_key_at(
        &self,
        kid: &str,
        context: impl Into<ChangeContext>,
    ) -> Result<bool, Fault> {
        self.store()
            .retire_key(
                &[kid.to_owned()],
                change_of(AuditEvent::new(AuditKind::KeyRetired).detail(kid), context),
            )
            .await
    }
}

impl Changes for Arc<dyn Store> {
    fn store(&self) -> &dyn Store {
        &**self
    }
}
