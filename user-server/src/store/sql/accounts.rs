//! Accounts: what is taken is decided by the unique indexes, never by a look before.

use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{self, UserRow};
use super::tx::{Taken, Tx};
use super::{SqlStore, audit, corrupt, counters, idempotency};
use crate::domain::audit::{Event, Kind};
use crate::domain::mail::Notice;
use crate::domain::ports::{Accounts, Adjustment};
use crate::domain::records::{
    Activation, Changed, Done, EmailChange, Ended, Guess, LoginKey, NewSession, Purpose,
    Registration, ResetDone, ResetRequest, UserChange, UserRecord,
};
use crate::domain::{Act, Email, Fault, Timestamp, Username, hash_class};

/// The most sessions of one account; a login past it ends the one that was longest unused.
const MAX_SESSIONS: i64 = 100;

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
        let row: Option<UserRow> = self
            .read_optional(
                sqlx::query_as(concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1"))
                    .bind(id),
            )
            .await?;
        Ok(row.map(UserRecord::from))
    }

    async fn register(&self, registration: &Registration, act: &Act) -> Result<(), Fault> {
        let mut tx = self.pools.write().await?;
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
        new.insert(&mut tx, &registration.client, act.at).await?;
        let event = Event::new(Kind::Registered).subject(registration.verification_id.as_bytes());
        audit::record(&mut tx, act, &event).await?;
        let done = Done::at(act.at).verification(Some(registration.verification_id));
        idempotency::complete(&mut tx, act, done).await?;
        tx.commit().await
    }

    async fn activate(
        &self,
        guess: &Guess,
        username: Option<&Username>,
        user_id: Uuid,
        session: &NewSession,
        act: &Act,
    ) -> Result<Activation, Fault> {
        let mut tx = self.pools.write().await?;
        let Some(row) = rows::spend(&mut tx, guess).await? else {
            return tx.undo(Activation::Spent).await;
        };
        let (shown, key) = match (username, row.username, row.username_key) {
            (Some(other), ..) => (other.shown().to_owned(), other.key().to_owned()),
            (None, Some(shown), Some(key)) => (shown, key),
            _ => return Err(corrupt("a registration without a name")),
        };
        let password_hash =
            row.password_hash.ok_or_else(|| corrupt("a registration without a password"))?;
        let user: Option<UserRow> = tx.optional(sqlx::query_as(
            concat!("INSERT INTO users (id, username, username_key, email, email_key, mailbox, password_hash, created_at,
                                         hash_class)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING ", user_columns!()),
        )
        .bind(user_id)
        .bind(shown)
        .bind(&key)
        .bind(row.email)
        .bind(&row.email_key)
        .bind(row.mailbox)
        .bind(&password_hash)
        .bind(act.at.0)
        .bind(hash_class(&password_hash))).await?;
        let Some(user) = user else {
            let email: Option<(i64,)> = tx
                .optional(
                    sqlx::query_as("SELECT created_at FROM users WHERE email_key = $1")
                        .bind(&row.email_key),
                )
                .await?;
            if email.is_none() {
                // Taking all back brings the code back: it is still good, with another name.
                return tx.undo(Activation::UsernameTaken).await;
            }
            tx.commit().await?;
            return Ok(Activation::EmailTaken);
        };
        insert_session(&mut tx, user_id, session, act.at).await?;
        let event = Event::of(Kind::Verified, user_id)
            .session(session.id)
            .subject(guess.verification_id.as_bytes());
        audit::record(&mut tx, act, &event).await?;
        let done = Done::at(act.at).user(user_id).session(session.opened(user_id, act.at));
        idempotency::complete(&mut tx, act, done).await?;
        tx.commit().await?;
        Ok(Activation::Active(Box::new(user.into())))
    }

    async fn open_session(
        &self,
        user: &UserRecord,
        session: &NewSession,
        stronger_hash: Option<&str>,
        charge: Adjustment,
        act: &Act,
    ) -> Result<Option<Ended>, Fault> {
        let mut tx = self.pools.write().await?;
        // The password was right, whatever else is found: a verdict of the counters is not asked
        // for.
        let _ = counters::adjust(&mut tx, charge).await?;
        if !still_proved(&mut tx, user.id, user.credentials).await? {
            tx.commit().await?;
            return Ok(None);
        }
        if let Some(hash) = stronger_hash {
            let store = "UPDATE users SET password_hash = $2, hash_class = $4, version = version + 1, changed_at = $3
                         WHERE id = $1";
            tx.run(
                sqlx::query(store).bind(user.id).bind(hash).bind(act.at.0).bind(hash_class(hash)),
            )
            .await?;
        }
        insert_session(&mut tx, user.id, session, act.at).await?;
        let surplus = sqlx::query_as(
            "DELETE FROM sessions WHERE id IN (
                 SELECT id FROM sessions WHERE user_id = $1 AND id <> $3 ORDER BY rotated_at DESC LIMIT 1000 OFFSET $2
             ) RETURNING id",
        )
        .bind(user.id)
        .bind(MAX_SESSIONS - 1)
        // Never the new one, though a node's clock that is behind may make it look old.
        .bind(session.id);
        let surplus = tx.all(surplus).await?;
        let ended = rows::revoke_all(&mut tx, surplus, act.at).await?;
        audit::record(&mut tx, act, &Event::of(Kind::LoggedIn, user.id).session(session.id))
            .await?;
        let done = Done::at(act.at).user(user.id).session(session.opened(user.id, act.at));
        idempotency::complete(&mut tx, act, done).await?;
        tx.commit().await?;
        Ok(Some(ended))
    }

    async fn change_user(&self, change: &UserChange, act: &Act) -> Result<Changed, Fault> {
        let mut tx = self.pools.write().await?;
        if let Some(credentials) = change.credentials
            && !still_proved(&mut tx, change.user_id, credentials).await?
        {
            return tx.undo(Changed::Gone).await;
        }
        let mut ended = Ended::default();
        if let Some(username) = &change.username {
            let rename = sqlx::query(
                "UPDATE users SET username = $2, username_key = $3, version = version + 1, changed_at = $4
                 WHERE id = $1",
            )
            .bind(change.user_id)
            .bind(username.shown())
            .bind(username.key())
            .bind(act.at.0);
            if let Err(Taken) = tx.try_run(rename).await? {
                return tx.undo(Changed::UsernameTaken).await;
            }
        }
        if let Some(hash) = &change.password_hash {
            tx.run(
                sqlx::query(
                    "UPDATE users SET password_hash = $2, hash_class = $4, credentials = credentials + 1,
                                      version = version + 1, changed_at = $3 WHERE id = $1",
                )
                .bind(change.user_id)
                .bind(hash)
                .bind(act.at.0)
                .bind(hash_class(hash)),
            )
            .await?;
            ended = rows::end_sessions(&mut tx, change.user_id, Some(change.session_id), act.at)
                .await?;
            rows::void_codes(&mut tx, change.user_id).await?;
        }
        if let Some((verification_id, email)) = &change.email {
            tx.run(
                sqlx::query("DELETE FROM verifications WHERE user_id = $1 AND purpose = $2")
                    .bind(change.user_id)
                    .bind(Purpose::EmailChange.name()),
            )
            .await?;
            let new = NewVerification {
                id: *verification_id,
                purpose: Purpose::EmailChange,
                user_id: Some(change.user_id),
                username: None,
                email,
                password_hash: None,
                kid: &change.kid,
                dead: is_known(&mut tx, email).await?,
            };
            new.insert(&mut tx, &change.client, act.at).await?;
        }
        let Some(user) = user_row(&mut tx, change.user_id).await? else {
            return tx.undo(Changed::Gone).await;
        };
        if change.password_hash.is_some() {
            rows::notify(&mut tx, Notice::PasswordChanged, &user.mailbox, user.username(), act.at)
                .await?;
        }
        let event = Event::of(Kind::Updated, change.user_id)
            .session(change.session_id)
            .detail(change.fields());
        audit::record(&mut tx, act, &event).await?;
        let done = Done::at(act.at)
            .user(change.user_id)
            .verification(change.email.as_ref().map(|(id, _)| *id));
        idempotency::complete(&mut tx, act, done).await?;
        tx.commit().await?;
        Ok(Changed::Done(Box::new(user.into()), ended))
    }

    async fn confirm_email(&self, guess: &Guess, act: &Act) -> Result<EmailChange, Fault> {
        let mut tx = self.pools.write().await?;
        let Some(row) = rows::spend(&mut tx, guess).await? else {
            return tx.undo(EmailChange::Spent).await;
        };
        let user_id = row.user_id.ok_or_else(|| corrupt("a change without a user"))?;
        let Some(before) = user_row(&mut tx, user_id).await? else {
            return tx.undo(EmailChange::Spent).await;
        };
        let taken: Option<(Uuid,)> = tx
            .optional(
                sqlx::query_as("SELECT id FROM users WHERE email_key = $1 AND id <> $2")
                    .bind(&row.email_key)
                    .bind(user_id),
            )
            .await?;
        if taken.is_some() {
            tx.commit().await?;
            return Ok(EmailChange::EmailTaken);
        }
        let change = sqlx::query(
            "UPDATE users SET email = $2, email_key = $3, mailbox = $4, version = version + 1, changed_at = $5
             WHERE id = $1",
        )
        .bind(user_id)
        .bind(row.email)
        .bind(row.email_key)
        .bind(row.mailbox)
        .bind(act.at.0);
        if let Err(Taken) = tx.try_run(change).await? {
            // Somebody took the address since the look above; the index has the last word. It has
            // undone the rest too.
            tx.undo(()).await?;
            let mut tx = self.pools.write().await?;
            let spent = rows::spend(&mut tx, guess).await?;
            tx.commit().await?;
            return Ok(spent.map_or(EmailChange::Spent, |_| EmailChange::EmailTaken));
        }
        let Some(user) = user_row(&mut tx, user_id).await? else {
            return tx.undo(EmailChange::Spent).await;
        };
        rows::void_codes(&mut tx, user_id).await?;
        rows::notify(&mut tx, Notice::EmailChanged, &before.mailbox, before.username(), act.at)
            .await?;
        audit::record(&mut tx, act, &Event::of(Kind::EmailConfirmed, user_id)).await?;
        idempotency::complete(&mut tx, act, Done::at(act.at).user(user_id)).await?;
        tx.commit().await?;
        Ok(EmailChange::Changed(Box::new(user.into())))
    }

    async fn request_reset(&self, request: &ResetRequest, act: &Act) -> Result<(), Fault> {
        let mut tx = self.pools.write().await?;
        let user: Option<(Uuid,)> = tx
            .optional(
                sqlx::query_as("SELECT id FROM users WHERE email_key = $1")
                    .bind(request.email.key()),
            )
            .await?;
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
        new.insert(&mut tx, &request.client, act.at).await?;
        let event = Event { user_id: new.user_id, ..Event::new(Kind::ResetRequested) };
        audit::record(&mut tx, act, &event.subject(request.verification_id.as_bytes())).await?;
        let done = Done::at(act.at).verification(Some(request.verification_id));
        idempotency::complete(&mut tx, act, done).await?;
        tx.commit().await
    }

    async fn reset_owner(&self, guess: &Guess) -> Result<Option<UserRecord>, Fault> {
        let row: Option<UserRow> = self
            .read_optional(
                sqlx::query_as(concat!(
                    "SELECT ",
                    user_columns!(),
                    " FROM users JOIN verifications ON verifications.user_id = users.id
             WHERE verifications.id = $1 AND verifications.generation = $2"
                ))
                .bind(guess.verification_id)
                .bind(i64::from(guess.generation)),
            )
            .await?;
        Ok(row.map(UserRecord::from))
    }

    async fn reset_password(
        &self,
        guess: &Guess,
        password_hash: &str,
        act: &Act,
    ) -> Result<Option<ResetDone>, Fault> {
        let mut tx = self.pools.write().await?;
        let Some(row) = rows::spend(&mut tx, guess).await? else { return tx.undo(None).await };
        let user_id = row.user_id.ok_or_else(|| corrupt("a reset without a user"))?;
        let user: UserRow = tx
            .one(
                sqlx::query_as(concat!(
                    "UPDATE users SET password_hash = $2, hash_class = $4, credentials = credentials + 1,
                                      version = version + 1, changed_at = $3 WHERE id = $1 RETURNING ",
                    user_columns!()
                ))
                .bind(user_id)
                .bind(password_hash)
                .bind(act.at.0)
                .bind(hash_class(password_hash)),
            )
            .await?;
        let ended = rows::end_sessions(&mut tx, user_id, None, act.at).await?;
        rows::void_codes(&mut tx, user_id).await?;
        rows::notify(&mut tx, Notice::PasswordReset, &user.mailbox, user.username(), act.at)
            .await?;
        let event = Event::of(Kind::ResetDone, user_id).subject(guess.verification_id.as_bytes());
        audit::record(&mut tx, act, &event).await?;
        idempotency::complete(&mut tx, act, Done::at(act.at).user(user_id).ended(ended.sessions))
            .await?;
        tx.commit().await?;
        Ok(Some(ResetDone { user: user.into(), ended }))
    }

    async fn delete_user(&self, user: &UserRecord, act: &Act) -> Result<Option<Ended>, Fault> {
        let mut tx = self.pools.write().await?;
        if !still_proved(&mut tx, user.id, user.credentials).await? {
            return tx.undo(None).await;
        }
        let mut ended = rows::end_sessions(&mut tx, user.id, None, act.at).await?;
        let row: UserRow = tx
            .one(
                sqlx::query_as(concat!(
                    "DELETE FROM users WHERE id = $1 RETURNING ",
                    user_columns!()
                ))
                .bind(user.id),
            )
            .await?;
        // The id is never used again, so one entry covers tokens of sessions that nobody remembers.
        rows::revoke(&mut tx, user.id, act.at).await?;
        ended.subjects.push(user.id);
        rows::notify(&mut tx, Notice::Deleted, &row.mailbox, row.username(), act.at).await?;
        audit::record(&mut tx, act, &Event::of(Kind::Deleted, user.id)).await?;
        audit::erase(&mut tx, user.id).await?;
        idempotency::complete(&mut tx, act, Done::at(act.at).user(user.id)).await?;
        tx.commit().await?;
        Ok(Some(ended))
    }
}

/// A verification to write, with its mail.
struct NewVerification<'a> {
    id: Uuid,
    purpose: Purpose,
    user_id: Option<Uuid>,
    username: Option<&'a Username>,
    email: &'a Email,
    password_hash: Option<&'a str>,
    kid: &'a str,
    dead: bool,
}

impl NewVerification<'_> {
    async fn insert(&self, tx: &mut Tx, client: &str, now: Timestamp) -> Result<(), Fault> {
        tx.run(sqlx::query(
            "INSERT INTO verifications (id, purpose, user_id, username, username_key, email, email_key, mailbox, budget_key,
                                        password_hash, dead, kid, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(self.id)
        .bind(self.purpose.name())
        .bind(self.user_id)
        .bind(self.username.map(Username::shown))
        .bind(self.username.map(Username::key))
        .bind(self.email.shown())
        .bind(self.email.key())
        .bind(self.email.mailbox())
        .bind(self.email.budget_key())
        .bind(self.password_hash)
        .bind(i64::from(self.dead))
        .bind(self.kid)
        .bind(now.0)).await?;
        rows::queue_code(tx, self.id, self.purpose, self.email.budget_key(), client, now).await
    }
}

async fn user_row(tx: &mut Tx, id: Uuid) -> Result<Option<UserRow>, Fault> {
    tx.optional(
        sqlx::query_as(concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1")).bind(id),
    )
    .await
}

/// Whether an active account has this address.
async fn is_known(tx: &mut Tx, email: &Email) -> Result<bool, Fault> {
    let found: Option<(i64,)> = tx
        .optional(
            sqlx::query_as("SELECT created_at FROM users WHERE email_key = $1").bind(email.key()),
        )
        .await?;
    Ok(found.is_some())
}

/// Whether the password that was proved is still the account's. The row is held until the
/// transaction ends, so that it stays so.
async fn still_proved(tx: &mut Tx, user_id: Uuid, credentials: i64) -> Result<bool, Fault> {
    let proof = sqlx::query_as(concat!(
        "SELECT created_at FROM users WHERE id = $1 AND credentials = $2",
        hold!()
    ));
    let held: Option<(i64,)> = tx.optional(proof.bind(user_id).bind(credentials)).await?;
    Ok(held.is_some())
}

async fn insert_session(
    tx: &mut Tx,
    user_id: Uuid,
    session: &NewSession,
    now: Timestamp,
) -> Result<(), Fault> {
    tx.run(
        sqlx::query("INSERT INTO sessions (id, user_id, kid, created_at, rotated_at) VALUES ($1, $2, $3, $4, $4)")
            .bind(session.id)
            .bind(user_id)
            .bind(&session.kid)
            .bind(now.0),
    )
    .await?;
    Ok(())
}
