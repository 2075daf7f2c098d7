//! Changes of accounts in the plain case, each by one call of a stored function. A method returns
//! `None` or `false` if the change was not made, and must be made by separate statements.

use serde_json::json;
use uuid::Uuid;

use super::SqlStore;
use super::calls::{self, Ended, Function, Nothing};
use super::json::{hex, id};
use super::mail_queue::RANK_STEP;
use super::rows::UserRow;
use crate::domain::{
    Change, EndedSessions, Fault, Guess, NewSession, NoticeRequest, PasswordLogin, Purpose,
    Registration, ResetRequest, StoredCounter, Subject, UserRecord, UserUpdate, Username,
};

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
            json!({
                "verification_id": id(guess.verification_id), "generation": guess.generation,
                "charged": guess.charged.iter().map(|key| hex(key)).collect::<Vec<_>>(),
                "username": username.map(Username::shown),
                "username_key": username.map(Username::key), "user_id": id(user_id),
                "hash_class": registrant.hash_class, "session": calls::session(session),
                "known": calls::stored(known), "at": change.at().0, "change": calls::change(change),
            })
        };
        let created: Option<UserRow> = self.call(Function::Activate, call).await?;
        Ok(created.map(UserRecord::from))
    }

    pub(super) async fn open_session_plainly(
        &self,
        login: &PasswordLogin<'_>,
        change: &Change,
    ) -> Result<Option<EndedSessions>, Fault> {
        let PasswordLogin { user, session, stronger_hash: None, charge, max_sessions } = login
        else {
            return Ok(None);
        };
        let decided = self.decide(charge).await?.filter(|decided| decided.verdict.is_ok());
        let Some(decided) = decided else { return Ok(None) };
        let call = || {
            json!({
                "counters": decided.counters(), "user_id": id(user.id),
                "credentials": user.credentials, "session": calls::session(session),
                "max_sessions": max_sessions, "at": change.at().0,
                "change": calls::change(change),
            })
        };
        let ended: Option<Ended> = self.call(Function::OpenSession, call).await?;
        Ok(ended.map(EndedSessions::from))
    }

    /// Updates an account if only its username changes.
    pub(super) async fn rename_plainly(
        &self,
        update: &UserUpdate,
        change: &Change,
    ) -> Result<Option<UserRecord>, Fault> {
        let UserUpdate {
            username: Some(username),
            credentials: None,
            password_hash: None,
            email: None,
            ..
        } = update
        else {
            return Ok(None);
        };
        let decided = self.decide(&update.charge).await?.filter(|decided| decided.verdict.is_ok());
        let Some(decided) = decided else { return Ok(None) };
        let call = || {
            json!({
                "counters": decided.counters(), "known": calls::stored(&update.known),
                "user_id": id(update.user_id),
                "username": username.shown(), "username_key": username.key(),
                "at": change.at().0, "change": calls::change(change),
            })
        };
        let renamed: Option<UserRow> = self.call(Function::RenameUser, call).await?;
        Ok(renamed.map(UserRecord::from))
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
