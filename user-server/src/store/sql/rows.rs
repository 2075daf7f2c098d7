//! Row types of the tables, and statements that several ports share.

use serde::Deserialize;
use uuid::Uuid;

use super::tx::Tx;
use super::{corrupt, counters, json};
use crate::domain::{
    EndedSessions, Fault, Guess, MailPolicy, Purpose, Registrant, SessionRecord, Subject,
    Timestamp, UserRecord, hash_class,
};

#[derive(sqlx::FromRow, Deserialize)]
pub(super) struct UserRow {
    #[serde(deserialize_with = "json::uuid")]
    id: Uuid,
    username: String,
    username_key: String,
    email: String,
    email_key: String,
    pub(super) mailbox: String,
    password_hash: String,
    credentials: i64,
    disabled_at: Option<i64>,
    created_at: i64,
    version: i64,
}

impl UserRow {
    pub(super) fn username(&self) -> &str {
        &self.username
    }
}

impl From<UserRow> for UserRecord {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id,
            username: row.username,
            username_key: row.username_key,
            email: row.email,
            email_key: row.email_key,
            password_hash: row.password_hash,
            credentials: row.credentials,
            disabled: row.disabled_at.is_some(),
            created_at: Timestamp(row.created_at),
            version: row.version,
        }
    }
}

#[derive(sqlx::FromRow, Deserialize)]
pub(super) struct SessionRow {
    #[serde(deserialize_with = "json::uuid")]
    pub(super) id: Uuid,
    #[serde(deserialize_with = "json::uuid")]
    pub(super) user_id: Uuid,
    pub(super) counter: i64,
    kid: String,
    created_at: i64,
    pub(super) rotated_at: i64,
}

impl TryFrom<SessionRow> for SessionRecord {
    type Error = Fault;

    fn try_from(row: SessionRow) -> Result<Self, Fault> {
        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            counter: u32::try_from(row.counter)
                .map_err(|_| corrupt("an invalid session counter"))?,
            created_at: Timestamp(row.created_at),
            rotated_at: Timestamp(row.rotated_at),
            kid: row.kid,
        })
    }
}

#[derive(sqlx::FromRow, Deserialize)]
pub(super) struct VerificationRow {
    #[serde(deserialize_with = "json::uuid")]
    pub(super) id: Uuid,
    purpose: String,
    #[serde(deserialize_with = "json::optional_uuid")]
    pub(super) user_id: Option<Uuid>,
    pub(super) username: Option<String>,
    pub(super) username_key: Option<String>,
    pub(super) email: String,
    pub(super) email_key: String,
    pub(super) mailbox: String,
    pub(super) budget_key: String,
    pub(super) password_hash: Option<String>,
    pub(super) dead: i64,
    pub(super) kid: String,
    pub(super) generation: i64,
    pub(super) guesses: i64,
    pub(super) claimed_at: Option<i64>,
    expires_at: Option<i64>,
    requested_at: Option<i64>,
    pub(super) resends: i64,
    created_at: i64,
}

#[derive(sqlx::FromRow)]
pub(super) struct OutboxRow {
    pub(super) id: Uuid,
    pub(super) letter: String,
    pub(super) verification_id: Option<Uuid>,
    pub(super) client: String,
    pub(super) recipient: Option<String>,
    pub(super) username: Option<String>,
    pub(super) generation: Option<i64>,
    pub(super) attempts: i64,
    pub(super) unexplained: i64,
    pub(super) rank: i64,
    pub(super) created_at: i64,
}

/// Value of the column `dead` for a code that was voided: even the correct code has no effect.
pub(super) const VOIDED: i64 = 2;

impl VerificationRow {
    pub(super) fn purpose(&self) -> Result<Purpose, Fault> {
        Purpose::of_name(&self.purpose).ok_or_else(|| corrupt("an unknown purpose of a code"))
    }

    pub(super) fn generation(&self) -> Result<u32, Fault> {
        u32::try_from(self.generation).map_err(|_| corrupt("an invalid generation of a code"))
    }

    /// Returns the time of the last request to send the code.
    pub(super) fn requested_at(&self) -> Timestamp {
        Timestamp(self.requested_at.unwrap_or(self.created_at))
    }

    pub(super) fn created_at(&self) -> Timestamp {
        Timestamp(self.created_at)
    }

    /// Reports whether the code could still be used: it is not void, and has guesses left.
    pub(super) fn is_open(&self, policy: &MailPolicy) -> bool {
        self.dead != VOIDED && self.guesses < i64::from(policy.max_guesses)
    }

    pub(super) fn guess(self, now: Timestamp) -> Result<Guess, Fault> {
        let registrant = self.username_key.clone().zip(self.password_hash.as_deref()).map(
            |(username_key, hash)| Registrant {
                username_key,
                email_key: self.email_key.clone(),
                hash_class: hash_class(hash).to_owned(),
            },
        );
        Ok(Guess {
            registrant,
            verification_id: self.id,
            purpose: self.purpose()?,
            generation: self.generation()?,
            dead: self.dead == 1 || self.claimed_at.is_none(),
            expired: self.dead == VOIDED || self.expires_at.is_some_and(|at| at <= now.0),
            user_id: self.user_id,
            kid: self.kid,
            charged: Vec::new(),
        })
    }
}

/// Uses up a code that was guessed correctly: deletes the verification, so that the code can be
/// used only once, and refunds the guess. Returns the deleted row, or `None` if the code was used
/// by a concurrent request, or replaced by a newer code.
pub(super) async fn spend(tx: &mut Tx, guess: &Guess) -> Result<Option<VerificationRow>, Fault> {
    let spent: Option<VerificationRow> = tx
        .optional(
            sqlx::query_as(concat!(
                "DELETE FROM verifications WHERE id = $1 AND generation = $2 RETURNING ",
                verification_columns!()
            ))
            .bind(guess.verification_id)
            .bind(i64::from(guess.generation)),
        )
        .await?;
    if spent.is_some() {
        counters::refund(tx, &guess.charged).await?;
    }
    Ok(spent)
}

/// Voids all open codes of a user. The rows of password resets stay, since their deletion would
/// reveal to the requester that the email address belongs to an account.
pub(super) async fn void_codes(tx: &mut Tx, user_id: Uuid) -> Result<(), Fault> {
    void_email_changes(tx, user_id).await?;
    let void = sqlx::query("UPDATE verifications SET dead = $2, user_id = NULL WHERE user_id = $1");
    tx.run(void.bind(user_id).bind(VOIDED)).await?;
    Ok(())
}

/// Voids all pending changes of a user's email address.
pub(super) async fn void_email_changes(tx: &mut Tx, user_id: Uuid) -> Result<(), Fault> {
    let void = sqlx::query("DELETE FROM verifications WHERE user_id = $1 AND purpose = $2");
    tx.run(void.bind(user_id).bind(Purpose::EmailChange.name())).await?;
    Ok(())
}

/// Appends a subject to the revocation log. `now` is at least the time at which the last token of
/// the subject was issued.
pub(super) async fn revoke(tx: &mut Tx, subject: Subject, now: Timestamp) -> Result<(), Fault> {
    tx.run(
        sqlx::query("INSERT INTO revocations (subject, at, kind) VALUES ($1, $2, $3)")
            .bind(subject.id())
            .bind(now.0)
            .bind(subject.kind()),
    )
    .await?;
    Ok(())
}

/// Records that entries of the revocation log may have been deleted that concerned tokens which
/// were issued until this time.
pub(super) async fn mark_erased(tx: &mut Tx, until: Timestamp) -> Result<(), Fault> {
    let mark = sqlx::query(
        "INSERT INTO erased_revocations (id, at) VALUES (1, $1)
         ON CONFLICT (id) DO UPDATE SET at = excluded.at
         WHERE erased_revocations.at < excluded.at",
    );
    tx.run(mark.bind(until.0)).await?;
    Ok(())
}

/// Appends deleted sessions to the revocation log. `deleted` are the rows that the deletion
/// returned: the id, and the time of the last issue of a token, which is in the future if the clock
/// was ahead. The entry must last as long as the token.
pub(super) async fn revoke_all(
    tx: &mut Tx,
    deleted: Vec<(Uuid, i64)>,
    now: Timestamp,
) -> Result<EndedSessions, Fault> {
    let mut ended = EndedSessions { issued_until: now, ..EndedSessions::default() };
    let mut entries = Vec::new();
    for (id, issued) in deleted {
        let at = now.max(Timestamp(issued));
        entries.push((id, at.0));
        ended.subjects.push(Subject::Session(id));
        ended.sessions = ended.sessions.saturating_add(1);
        ended.issued_until = ended.issued_until.max(at);
    }
    if !entries.is_empty() {
        super::super::revoke_sessions(tx, &entries).await?;
    }
    Ok(ended)
}

/// Locks a user, so that no login commits another session between this statement and the end of the
/// transaction. Whatever ends all sessions of a user does so first.
pub(super) async fn lock_user(tx: &mut Tx, user_id: Uuid) -> Result<(), Fault> {
    let lock = concat!("SELECT created_at FROM users WHERE id = $1", lock_row!());
    let _: Option<(i64,)> = tx.optional(sqlx::query_as(lock).bind(user_id)).await?;
    Ok(())
}

/// Locks the user of the code that was guessed, if it has one. Whatever ends all sessions of a user
/// locks the user before it voids the codes, so a code is spent in the same order.
pub(super) async fn lock_user_of(tx: &mut Tx, guess: &Guess) -> Result<(), Fault> {
    let lock = concat!(
        "SELECT created_at FROM users
         WHERE id = (SELECT user_id FROM verifications WHERE id = $1)",
        lock_row!()
    );
    let _: Option<(i64,)> = tx.optional(sqlx::query_as(lock).bind(guess.verification_id)).await?;
    Ok(())
}

/// Ends all sessions of a user, except the session `except` if it is given. Returns the ended
/// sessions.
pub(super) async fn end_sessions(
    tx: &mut Tx,
    user_id: Uuid,
    except: Option<Uuid>,
    now: Timestamp,
) -> Result<EndedSessions, Fault> {
    let delete = concat!(
        "DELETE FROM sessions WHERE user_id = $1 AND id <> $2 RETURNING id, ",
        last_issue!()
    );
    let delete = sqlx::query_as(delete).bind(user_id).bind(except.unwrap_or(Uuid::nil()));
    let deleted = tx.all(delete).await?;
    revoke_all(tx, deleted, now).await
}
