//! Accounts. The uniqueness of usernames and email addresses is decided by unique indexes, never by
//! a prior read.

use async_trait::async_trait;
use uuid::Uuid;

use super::change::ChangeTx;
use super::mail_queue;
use super::new_verification::NewVerification;
use super::rows::{self, UserRow};
use super::tx::{Taken, Tx};
use super::{SqlStore, corrupt, counters};
use crate::domain::{
    AccountLookup, Accounts, Activation, Change, DeviceName, Email, EmailConfirmation,
    EndedSessions, Fault, Found, Guess, LoginKey, NewSession, NoticeRequest, PasswordLogin,
    PasswordResetResult, PendingResult, Purpose, Registration, ResetRequest, SessionOpening,
    StoredCounter, Subject, Timestamp, UserKey, UserRecord, UserUpdate, UserUpdateResult, Username,
    hash_class,
};

#[async_trait]
impl Accounts for SqlStore {
    async fn username_taken(&self, username_key: &str) -> Result<bool, Fault> {
        let found: Option<(i64,)> = self
            .read_optional(
                sqlx::query_as("SELECT created_at FROM users WHERE username_key = $1")
                    .bind(username_key),
            )
            .await?;
        Ok(found.is_some())
    }

    async fn user_by_login(&self, login: LoginKey<'_>) -> Result<Option<UserRecord>, Fault> {
        let query = match login {
            LoginKey::Username(key) => sqlx::query_as(concat!(
                "SELECT ",
                user_columns!(),
                " FROM users WHERE username_key = $1"
            ))
            .bind(key),
            LoginKey::Email(key) => sqlx::query_as(concat!(
                "SELECT ",
                user_columns!(),
                " FROM users WHERE email_key = $1"
            ))
            .bind(key),
        };
        let row: Option<UserRow> = self.read_optional(query).await?;
        Ok(row.map(UserRecord::from))
    }

    async fn user(&self, id: Uuid) -> Result<Option<UserRecord>, Fault> {
        let select = concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1");
        let row: Option<UserRow> = self.read_optional(sqlx::query_as(select).bind(id)).await?;
        Ok(row.map(UserRecord::from))
    }

    async fn look_up(&self, lookup: AccountLookup<'_>) -> Result<Found, Fault> {
        if let Some(found) = self.look_up_at_once(&lookup).await? {
            return Ok(found);
        }
        let user = match lookup.user {
            Some(UserKey::Id(id)) => self.user(id).await?,
            Some(UserKey::Login(login)) => self.user_by_login(login).await?,
            None => None,
        };
        let username_taken = match lookup.username {
            Some(username) => self.username_taken(username).await?,
            None => false,
        };
        Ok(Found { user, username_taken, counters: None })
    }

    async fn register(
        &self,
        registration: &Registration,
        change: Change,
    ) -> Result<PendingResult, Fault> {
        let at = change.at();
        if self.register_plainly(registration, &change).await? {
            return Ok(PendingResult::Stored);
        }
        let mut tx = self.begin(change).await?;
        let rank = mail_queue::next_rank(&mut tx, &registration.client, at).await?;
        let new = NewVerification {
            id: registration.verification_id,
            purpose: Purpose::Registration,
            user_id: None,
            username: Some(&registration.username),
            email: &registration.email,
            password_hash: Some(&registration.password_hash),
            kid: &registration.kid,
            dead: is_known(&mut tx, &registration.email).await?,
        };
        let limit = Some(registration.limit);
        if let Some(wait) = new.insert(&mut tx, &registration.client, false, rank, limit).await? {
            return tx.undo(PendingResult::TooMany(wait)).await;
        }
        tx.commit().await?;
        Ok(PendingResult::Stored)
    }

    async fn activate(
        &self,
        guess: &Guess,
        username: Option<&Username>,
        user_id: Uuid,
        session: &NewSession,
        known: &[StoredCounter],
        change: Change,
    ) -> Result<Activation, Fault> {
        let plain = self.activate_plainly(guess, username, user_id, session, known, &change);
        if let Some(user) = plain.await? {
            return Ok(Activation::Active(Box::new(user)));
        }
        let mut tx = self.begin(change).await?;
        let Some(row) = rows::spend(&mut tx, guess).await? else {
            return tx.undo(Activation::Spent).await;
        };
        let (shown, key) = match (username, row.username, row.username_key) {
            (Some(other), ..) => (other.shown().to_owned(), other.key().to_owned()),
            (None, Some(shown), Some(key)) => (shown, key),
            _ => return Err(corrupt("a registration without a username")),
        };
        let password_hash =
            row.password_hash.ok_or_else(|| corrupt("a registration without a password"))?;
        let insert = sqlx::query_as(concat!(
            "INSERT INTO users (id, username, username_key, email, email_key, mailbox, password_hash,
                                created_at, hash_class)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING ",
            user_columns!()
        ))
        .bind(user_id)
        .bind(shown)
        .bind(&key)
        .bind(row.email)
        .bind(&row.email_key)
        .bind(row.mailbox)
        .bind(&password_hash)
        .bind(tx.at().0)
        .bind(hash_class(&password_hash));
        let user: Option<UserRow> = tx.optional(insert).await?;
        let Some(user) = user else {
            let holder = sqlx::query_as("SELECT created_at FROM users WHERE email_key = $1");
            let email: Option<(i64,)> = tx.optional(holder.bind(&row.email_key)).await?;
            return match email {
                // Rolling back restores the code, which is still valid with another username.
                None => tx.undo(Activation::UsernameTaken).await,
                Some(_) => tx.give_up(Activation::EmailTaken).await,
            };
        };
        insert_session(&mut tx, user_id, session).await?;
        counters::set(&mut tx, known).await?;
        tx.commit().await?;
        Ok(Activation::Active(Box::new(user.into())))
    }

    async fn open_session(
        &self,
        login: PasswordLogin<'_>,
        change: Change,
    ) -> Result<SessionOpening, Fault> {
        if let Some(ended) = self.open_session_plainly(&login, &change).await? {
            return Ok(SessionOpening::Opened(ended));
        }
        let PasswordLogin { user, session, stronger_hash, charge, max_sessions } = login;
        let mut tx = self.begin(change).await?;
        if let Err(wait) = counters::adjust(&mut tx, charge).await? {
            return tx.give_up(SessionOpening::TooMany(wait)).await;
        }
        if !still_proved(&mut tx, user.id, user.credentials).await? {
            return tx.give_up(SessionOpening::NotProved).await;
        }
        if let Some(hash) = stronger_hash {
            let store = sqlx::query(
                "UPDATE users SET password_hash = $2, hash_class = $4, version = version + 1,
                                  changed_at = $3 WHERE id = $1",
            )
            .bind(user.id)
            .bind(hash)
            .bind(tx.at().0)
            .bind(hash_class(hash));
            tx.run(store).await?;
        }
        insert_session(&mut tx, user.id, session).await?;
        // Not by the index of ages, which a plan from before the table grew could read as a whole.
        let surplus = sqlx::query_as(
            "SELECT id FROM sessions WHERE user_id = $1 AND id <> $3
             ORDER BY rotated_at + 0 DESC LIMIT 1000 OFFSET $2",
        )
        .bind(user.id)
        .bind(i64::from(max_sessions) - 1)
        // Never the new one, although the clock of a node that is behind may make it look old.
        .bind(session.id);
        let surplus: Vec<(Uuid,)> = tx.all(surplus).await?;
        let mut deleted = Vec::new();
        for (id,) in surplus {
            let delete =
                concat!("DELETE FROM sessions WHERE id = $1 RETURNING id, ", last_issue!());
            let row: Option<(Uuid, i64)> = tx.optional(sqlx::query_as(delete).bind(id)).await?;
            deleted.extend(row);
        }
        let at = tx.at();
        let ended = rows::revoke_all(&mut tx, deleted, at).await?;
        tx.commit().await?;
        Ok(SessionOpening::Opened(ended))
    }

    async fn update_user(
        &self,
        update: UserUpdate,
        change: Change,
    ) -> Result<UserUpdateResult, Fault> {
        let at = change.at();
        if let Some((user, ended)) = self.update_plainly(&update, &change).await? {
            return Ok(UserUpdateResult::Updated(Box::new(user), ended));
        }
        let mut tx = self.begin(change).await?;
        if let Err(wait) = counters::adjust(&mut tx, update.charge).await? {
            return tx.undo(UserUpdateResult::TooMany(wait)).await;
        }
        counters::set(&mut tx, &update.known).await?;
        let rank = match update.email.is_some() || update.password_hash.is_some() {
            true => mail_queue::next_rank(&mut tx, &update.client, at).await?,
            false => 0,
        };
        if let Some(credentials) = update.credentials
            && !still_proved(&mut tx, update.user_id, credentials).await?
        {
            return tx.undo(UserUpdateResult::Gone).await;
        }
        let mut ended = EndedSessions::default();
        if let Some(username) = &update.username {
            let rename = sqlx::query(
                "UPDATE users SET username = $2, username_key = $3, version = version + 1,
                                  changed_at = $4 WHERE id = $1",
            )
            .bind(update.user_id)
            .bind(username.shown())
            .bind(username.key())
            .bind(at.0);
            if let Err(Taken) = tx.try_run(rename).await? {
                return tx.undo(UserUpdateResult::UsernameTaken).await;
            }
        }
        if let Some((hash, _)) = &update.password_hash {
            set_password(&mut tx, update.user_id, hash, at).await?;
            ended =
                rows::end_sessions(&mut tx, update.user_id, Some(update.session_id), at).await?;
            rows::void_codes(&mut tx, update.user_id).await?;
        }
        if let Some((verification_id, email)) = &update.email {
            rows::void_email_changes(&mut tx, update.user_id).await?;
            let new = NewVerification {
                id: *verification_id,
                purpose: Purpose::EmailChange,
                user_id: Some(update.user_id),
                username: None,
                email,
                password_hash: None,
                kid: &update.kid,
                dead: is_known(&mut tx, email).await?,
            };
            new.insert(&mut tx, &update.client, false, rank, None).await?;
        }
        let Some(user) = user_row(&mut tx, update.user_id).await? else {
            return tx.undo(UserUpdateResult::Gone).await;
        };
        if let Some((_, notice)) = update.password_hash {
            let notice = NoticeRequest { notice, client: &update.client };
            mail_queue::queue_notice(&mut tx, notice, &user.mailbox, user.username(), rank, at)
                .await?;
        }
        tx.commit().await?;
        Ok(UserUpdateResult::Updated(Box::new(user.into()), ended))
    }

    async fn confirm_email(
        &self,
        guess: &Guess,
        notice: NoticeRequest<'_>,
        change: Change,
    ) -> Result<EmailConfirmation, Fault> {
        if let Some(user) = self.confirm_email_plainly(guess, notice, &change).await? {
            return Ok(EmailConfirmation::Changed(Box::new(user)));
        }
        let mut tx = self.begin(change).await?;
        let at = tx.at();
        let rank = mail_queue::next_rank(&mut tx, notice.client, at).await?;
        rows::lock_user_of(&mut tx, guess).await?;
        let Some(row) = rows::spend(&mut tx, guess).await? else {
            return tx.undo(EmailConfirmation::Spent).await;
        };
        let user_id = row.user_id.ok_or_else(|| corrupt("an email change without a user"))?;
        let Some(before) = user_row(&mut tx, user_id).await? else {
            return tx.undo(EmailConfirmation::Spent).await;
        };
        let holder = sqlx::query_as("SELECT id FROM users WHERE email_key = $1 AND id <> $2");
        let taken: Option<(Uuid,)> = tx.optional(holder.bind(&row.email_key).bind(user_id)).await?;
        if taken.is_some() {
            return tx.give_up(EmailConfirmation::EmailTaken).await;
        }
        let set = sqlx::query(
            "UPDATE users SET email = $2, email_key = $3, mailbox = $4, version = version + 1,
                              changed_at = $5 WHERE id = $1",
        )
        .bind(user_id)
        .bind(row.email)
        .bind(row.email_key)
        .bind(row.mailbox)
        .bind(tx.at().0);
        if let Err(Taken) = tx.try_run(set).await? {
            // Another account took the address after the read above; the index decides. It has
            // rolled back the rest too, so the code is spent again in a transaction of its own.
            let change = tx.change.clone();
            tx.undo(()).await?;
            let mut tx = self.begin(change).await?;
            let result = match rows::spend(&mut tx, guess).await? {
                None => EmailConfirmation::Spent,
                Some(_) => EmailConfirmation::EmailTaken,
            };
            return tx.give_up(result).await;
        }
        let Some(user) = user_row(&mut tx, user_id).await? else {
            return tx.undo(EmailConfirmation::Spent).await;
        };
        rows::void_codes(&mut tx, user_id).await?;
        mail_queue::queue_notice(&mut tx, notice, &before.mailbox, before.username(), rank, at)
            .await?;
        tx.change.set_user(user_id);
        tx.commit().await?;
        Ok(EmailConfirmation::Changed(Box::new(user.into())))
    }

    async fn request_reset(
        &self,
        request: &ResetRequest,
        change: Change,
    ) -> Result<PendingResult, Fault> {
        let at = change.at();
        if self.request_reset_plainly(request, &change).await? {
            return Ok(PendingResult::Stored);
        }
        let mut tx = self.begin(change).await?;
        let rank = mail_queue::next_rank(&mut tx, &request.client, at).await?;
        // The account must not be deleted before the verification refers to it.
        let holder = concat!("SELECT id FROM users WHERE email_key = $1", keep_row!());
        let holder = sqlx::query_as(holder);
        let user: Option<(Uuid,)> = tx.optional(holder.bind(request.email.key())).await?;
        let new = NewVerification {
            id: request.verification_id,
            purpose: Purpose::PasswordReset,
            user_id: user.map(|(id,)| id),
            username: None,
            email: &request.email,
            password_hash: None,
            kid: &request.kid,
            dead: user.is_none(),
        };
        let since = at.minus(request.known_for);
        let known = mail_queue::is_known(&mut tx, new.user_id, &request.client, since).await?;
        let limit = Some(request.limit);
        if let Some(wait) = new.insert(&mut tx, &request.client, known, rank, limit).await? {
            return tx.undo(PendingResult::TooMany(wait)).await;
        }
        tx.change.set_event_user(new.user_id);
        tx.commit().await?;
        Ok(PendingResult::Stored)
    }

    async fn reset_owner(&self, guess: &Guess) -> Result<Option<UserRecord>, Fault> {
        let select = sqlx::query_as(concat!(
            "SELECT ",
            user_columns!(),
            " FROM users WHERE id = (SELECT user_id FROM verifications WHERE id = $1 AND generation = $2)"
        ))
        .bind(guess.verification_id)
        .bind(i64::from(guess.generation));
        let row: Option<UserRow> = self.read_optional(select).await?;
        Ok(row.map(UserRecord::from))
    }

    async fn reset_password(
        &self,
        guess: &Guess,
        password_hash: &str,
        notice: NoticeRequest<'_>,
        change: Change,
    ) -> Result<Option<PasswordResetResult>, Fault> {
        let reset = self.reset_password_plainly(guess, password_hash, notice, &change).await?;
        if reset.is_some() {
            return Ok(reset);
        }
        let mut tx = self.begin(change).await?;
        let at = tx.at();
        let rank = mail_queue::next_rank(&mut tx, notice.client, at).await?;
        rows::lock_user_of(&mut tx, guess).await?;
        let Some(row) = rows::spend(&mut tx, guess).await? else { return tx.undo(None).await };
        // The codes of the account were voided after the guess.
        let Some(user_id) = row.user_id else { return tx.undo(None).await };
        let user = set_password(&mut tx, user_id, password_hash, at).await?;
        let user = user.ok_or_else(|| corrupt("a reset of an account that is missing"))?;
        let ended = rows::end_sessions(&mut tx, user_id, None, at).await?;
        rows::void_codes(&mut tx, user_id).await?;
        mail_queue::queue_notice(&mut tx, notice, &user.mailbox, user.username(), rank, at).await?;
        tx.change.set_user(user_id);
        tx.change.set_sessions_ended(ended.sessions);
        tx.commit().await?;
        Ok(Some(PasswordResetResult { user: user.into(), ended }))
    }

    async fn delete_user(
        &self,
        user: &UserRecord,
        notice: NoticeRequest<'_>,
        change: Change,
    ) -> Result<Option<EndedSessions>, Fault> {
        let at = change.at();
        if let Some(ended) = self.delete_plainly(user, notice, &change).await? {
            return Ok(Some(ended));
        }
        let mut tx = self.begin(change).await?;
        let rank = mail_queue::next_rank(&mut tx, notice.client, at).await?;
        let lock = concat!(
            "SELECT created_at FROM users WHERE id = $1 AND credentials = $2",
            lock_row_for_deletion!()
        );
        let lock = sqlx::query_as(lock).bind(user.id).bind(user.credentials);
        let proved: Option<(i64,)> = tx.optional(lock).await?;
        if proved.is_none() {
            return tx.undo(None).await;
        }
        let mut ended = rows::end_sessions(&mut tx, user.id, None, at).await?;
        rows::void_codes(&mut tx, user.id).await?;
        let delete = concat!("DELETE FROM users WHERE id = $1 RETURNING ", user_columns!());
        let row: UserRow = tx.one(sqlx::query_as(delete).bind(user.id)).await?;
        // The id is never used again, so one entry covers tokens of sessions that are long gone.
        let subject = Subject::User(user.id);
        rows::revoke(&mut tx, subject, ended.issued_until).await?;
        ended.subjects.push(subject);
        mail_queue::queue_notice(&mut tx, notice, &row.mailbox, row.username(), rank, at).await?;
        tx.commit_erasing(user.id).await?;
        Ok(Some(ended))
    }
}

async fn user_row(tx: &mut Tx, id: Uuid) -> Result<Option<UserRow>, Fault> {
    let select = concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1");
    tx.optional(sqlx::query_as(select).bind(id)).await
}

/// Stores a new password hash. Returns the updated row, or `None` if there is no such account.
async fn set_password(
    tx: &mut Tx,
    user_id: Uuid,
    hash: &str,
    at: Timestamp,
) -> Result<Option<UserRow>, Fault> {
    let set = sqlx::query_as(concat!(
        "UPDATE users SET password_hash = $2, hash_class = $4, credentials = credentials + 1,
                          version = version + 1, changed_at = $3 WHERE id = $1 RETURNING ",
        user_columns!()
    ));
    tx.optional(set.bind(user_id).bind(hash).bind(at.0).bind(hash_class(hash))).await
}

/// Reports whether an account has this email address.
async fn is_known(tx: &mut Tx, email: &Email) -> Result<bool, Fault> {
    let holder = sqlx::query_as("SELECT created_at FROM users WHERE email_key = $1");
    let found: Option<(i64,)> = tx.optional(holder.bind(email.key())).await?;
    Ok(found.is_some())
}

/// Reports whether the password is unchanged since it was verified: `credentials` is the version
/// that was verified. Locks the row, so the password cannot change until the transaction ends.
async fn still_proved(tx: &mut Tx, user_id: Uuid, credentials: i64) -> Result<bool, Fault> {
    let proof = sqlx::query_as(concat!(
        "SELECT created_at FROM users WHERE id = $1 AND credentials = $2",
        lock_row!()
    ));
    let found: Option<(i64,)> = tx.optional(proof.bind(user_id).bind(credentials)).await?;
    Ok(found.is_some())
}

async fn insert_session(
    tx: &mut ChangeTx,
    user_id: Uuid,
    session: &NewSession,
) -> Result<(), Fault> {
    let at = tx.at();
    let insert = sqlx::query(
        "INSERT INTO sessions (id, user_id, kid, created_at, rotated_at, device, network)
         VALUES ($1, $2, $3, $4, $4, $5, $6)",
    )
    .bind(session.id)
    .bind(user_id)
    .bind(&session.kid)
    .bind(at.0)
    .bind(session.device.as_ref().map(DeviceName::as_str))
    .bind(&session.network);
    tx.run(insert).await?;
    mail_queue::make_known(tx, user_id, &session.client, at).await
}
