//! Changes of accounts in the plain case, each by one call of a stored function. A method returns
//! `None` or `false` if the change was not made, and must be made by separate statements.

use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::SqlStore;
use super::calls::{self, Ended, Function, Nothing};
use super::json::id;
use super::mail_queue::RANK_STEP;
use super::rows::UserRow;
use crate::domain::{
    Change, EndedSessions, Fault, Guess, NewSession, NoticeRequest, PasswordLogin,
    PasswordResetResult, Purpose, Registration, ResetRequest, StoredCounter, Subject, UserRecord,
    UserUpdate, Username, hash_class,
};

/// Result of a function that changes an account.
#[derive(Deserialize)]
struct Changed {
    user: UserRow,
    #[serde(flatten)]
    ended: Ended,
}

impl SqlStore {
    pub(super) async fn register_plainly(
        &self,
        registration: &Registration,
        change: &Change,
    ) -> Result<bool, Fault> {
        let call = || {
            let verification = json!({
                "id": id(registration.verification_id), "purpose": Purpose::Registration.name(),
                "username": registration.username.shown(),
                "username_key": registration.username.key(),
                "password_hash": registration.password_hash, "kid": registration.kid,
            });
            let Registration { email, client, limit, .. } = registration;
            calls::request_code(verification, email, client, *limit, change)
        };
        Ok(self.call::<Nothing>(Function::RequestCode, call).await?.is_some())
    }

    pub(super) async fn request_reset_plainly(
        &self,
        request: &ResetRequest,
        change: &Change,
    ) -> Result<bool, Fault> {
        let call = || {
            let verification = json!({
                "id": id(request.verification_id), "purpose": Purpose::PasswordReset.name(),
                "kid": request.kid,
            });
            let ResetRequest { email, client, limit, .. } = request;
            let mut call = calls::request_code(verification, email, client, *limit, change);
            call["known_since"] = json!(change.at().minus(request.known_for).0);
            call
        };
        Ok(self.call::<Nothing>(Function::RequestCode, call).await?.is_some())
    }

    pub(super) async fn activate_plainly(
        &self,
        guess: &Guess,
        username: Option<&Username>,
        user_id: Uuid,
        session: &NewSession,
        known: &[StoredCounter],
        change: &Change,
    ) -> Result<Option<UserRecord>, Fault> {
        let Some(registrant) = &guess.registrant else { return Ok(None) };
        let call = || {
            let mut call = calls::guess(guess);
            call["username"] = json!(username.map(Username::shown));
            call["username_key"] = json!(username.map(Username::key));
            call["user_id"] = json!(id(user_id));
            call["hash_class"] = json!(registrant.hash_class);
            call["session"] = calls::session(session);
            call["known"] = calls::stored(known);
            call["at"] = json!(change.at().0);
            call["change"] = calls::change(change);
            call
        };
        let created: Option<UserRow> = self.call(Function::Activate, call).await?;
        Ok(created.map(UserRecord::from))
    }

    pub(super) async fn open_session_plainly(
        &self,
        login: &PasswordLogin<'_>,
        change: &Change,
    ) -> Result<Option<EndedSessions>, Fault> {
        let PasswordLogin { user, session, stronger_hash, charge, max_sessions } = login;
        let decided = self.decide(charge).await?.filter(|decided| decided.verdict.is_ok());
        let Some(decided) = decided else { return Ok(None) };
        let call = || {
            json!({
                "counters": decided.counters(), "user_id": id(user.id),
                "credentials": user.credentials, "session": calls::session(session),
                "max_sessions": max_sessions, "stronger_hash": stronger_hash,
                "hash_class": stronger_hash.map(hash_class), "at": change.at().0,
                "change": calls::change(change),
            })
        };
        let ended: Option<Ended> = self.call(Function::OpenSession, call).await?;
        Ok(ended.map(EndedSessions::from))
    }

    pub(super) async fn update_plainly(
        &self,
        update: &UserUpdate,
        change: &Change,
    ) -> Result<Option<(UserRecord, EndedSessions)>, Fault> {
        let decided = self.decide(&update.charge).await?.filter(|decided| decided.verdict.is_ok());
        let Some(decided) = decided else { return Ok(None) };
        let call = || {
            let mut call = json!({
                "counters": decided.counters(), "known": calls::stored(&update.known),
                "user_id": id(update.user_id), "session_id": id(update.session_id),
                "credentials": update.credentials, "client": update.client,
                "rank_step": RANK_STEP, "at": change.at().0, "change": calls::change(change),
            });
            if let Some(username) = &update.username {
                call["username"] = json!(username.shown());
                call["username_key"] = json!(username.key());
            }
            if let Some((hash, notice)) = &update.password_hash {
                call["password_hash"] = json!(hash);
                call["hash_class"] = json!(hash_class(hash));
                call["notice"] = json!(notice.name());
                call["notice_id"] = json!(id(Uuid::now_v7()));
            }
            if let Some((verification_id, email)) = &update.email {
                let mut verification = json!({
                    "id": id(*verification_id), "purpose": Purpose::EmailChange.name(),
                    "kid": update.kid,
                });
                calls::set_email(&mut verification, email);
                call["verification"] = verification;
                call["email_id"] = json!(id(Uuid::now_v7()));
            }
            call
        };
        let changed: Option<Changed> = self.call(Function::UpdateUser, call).await?;
        Ok(changed.map(|changed| (changed.user.into(), changed.ended.into())))
    }

    pub(super) async fn confirm_email_plainly(
        &self,
        guess: &Guess,
        notice: NoticeRequest<'_>,
        change: &Change,
    ) -> Result<Option<UserRecord>, Fault> {
        let call = || calls::guess_and_notice(guess, notice, change);
        let changed: Option<UserRow> = self.call(Function::ConfirmEmail, call).await?;
        Ok(changed.map(UserRecord::from))
    }

    pub(super) async fn reset_password_plainly(
        &self,
        guess: &Guess,
        password_hash: &str,
        notice: NoticeRequest<'_>,
        change: &Change,
    ) -> Result<Option<PasswordResetResult>, Fault> {
        let call = || {
            let mut call = calls::guess_and_notice(guess, notice, change);
            call["password_hash"] = json!(password_hash);
            call["hash_class"] = json!(hash_class(password_hash));
            call
        };
        let changed: Option<Changed> = self.call(Function::ResetPassword, call).await?;
        Ok(changed.map(|Changed { user, ended }| PasswordResetResult {
            user: user.into(),
            ended: ended.into(),
        }))
    }

    pub(super) async fn delete_plainly(
        &self,
        user: &UserRecord,
        NoticeRequest { notice, client }: NoticeRequest<'_>,
        change: &Change,
    ) -> Result<Option<EndedSessions>, Fault> {
        let call = || {
            json!({
                "user_id": id(user.id), "credentials": user.credentials, "client": client,
                "rank_step": RANK_STEP, "notice": notice.name(), "email_id": id(Uuid::now_v7()),
                "at": change.at().0, "change": calls::change(change),
            })
        };
        let deleted: Option<Ended> = self.call(Function::DeleteUser, call).await?;
        let Some(deleted) = deleted else { return Ok(None) };
        let mut ended = EndedSessions::from(deleted);
        ended.subjects.push(Subject::User(user.id));
        Ok(Some(ended))
    }
}
