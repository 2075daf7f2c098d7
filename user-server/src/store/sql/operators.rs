//! Accounts, for the operators' commands.

use std::collections::HashSet;

use async_trait::async_trait;
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::super::Db;
use super::tx::{Taken, Tx};
use super::{SqlStore, mail_queue, rows, stored_emails};
use crate::domain::{
    AccountSummary, Change, Email, EmailSetResult, EndedSessions, Fault, Imported, NewUser,
    NoticeRequest, Operators, StoredEmail, StoredUser, Subject, Timestamp, hash_class,
};

/// Maximum number of rows deleted in one transaction, so that no transaction blocks other writers
/// for long.
const BATCH: i64 = 10_000;

macro_rules! account_columns {
    () => {
        "users.id, users.username, users.username_key, users.email, users.email_key, users.created_at, users.disabled_at, \
         users.hash_class, (SELECT COUNT(*) FROM sessions WHERE sessions.user_id = users.id) AS sessions"
    };
}

#[derive(sqlx::FromRow)]
struct AccountRow {
    id: Uuid,
    username: String,
    username_key: String,
    email: String,
    email_key: String,
    created_at: i64,
    disabled_at: Option<i64>,
    hash_class: Option<String>,
    sessions: i64,
}

impl From<AccountRow> for AccountSummary {
    fn from(row: AccountRow) -> Self {
        Self {
            id: row.id,
            username: row.username,
            username_key: row.username_key,
            email: row.email,
            email_key: row.email_key,
            created_at: Timestamp(row.created_at),
            disabled_at: row.disabled_at.map(Timestamp),
            hash_class: row.hash_class,
            sessions: row.sessions,
        }
    }
}

#[async_trait]
impl Operators for SqlStore {
    async fn account(&self, id: Uuid) -> Result<Option<AccountSummary>, Fault> {
        let query =
            sqlx::query_as(concat!("SELECT ", account_columns!(), " FROM users WHERE id = $1"))
                .bind(id);
        let row: Option<AccountRow> = self.read_optional(query).await?;
        Ok(row.map(AccountSummary::from))
    }

    async fn accounts_after(
        &self,
        username_key: &str,
        limit: u32,
    ) -> Result<Vec<AccountSummary>, Fault> {
        let query = sqlx::query_as(concat!(
            "SELECT ",
            account_columns!(),
            " FROM users WHERE username_key > $1 ORDER BY username_key LIMIT $2"
        ));
        let rows: Vec<AccountRow> =
            self.read_all(query.bind(username_key).bind(i64::from(limit))).await?;
        Ok(rows.into_iter().map(AccountSummary::from).collect())
    }

    async fn accounts_like(&self, prefix: &str, limit: u32) -> Result<Vec<AccountSummary>, Fault> {
        // Two ranges of indexes. The order of the database's locale may put other keys between
        // their bounds, so the beginning is compared too.
        let query = sqlx::query_as(concat!(
            "SELECT ",
            account_columns!(),
            " FROM users WHERE id IN (
                  SELECT id FROM users WHERE username_key >= $1 AND username_key <= $2
                  AND SUBSTR(username_key, 1, LENGTH($1)) = $1
                  UNION SELECT id FROM users WHERE email_key >= $1 AND email_key <= $2
                  AND SUBSTR(email_key, 1, LENGTH($1)) = $1)
              ORDER BY username_key LIMIT $3"
        ));
        let last = format!("{prefix}\u{10fffd}");
        let rows: Vec<AccountRow> =
            self.read_all(query.bind(prefix).bind(last).bind(i64::from(limit))).await?;
        Ok(rows.into_iter().map(AccountSummary::from).collect())
    }

    async fn emails_to(&self, email: &Email, limit: u32) -> Result<Vec<StoredEmail>, Fault> {
        stored_emails::to(self, email, limit).await
    }

    async fn create_account(&self, user: &NewUser, change: Change) -> Result<Imported, Fault> {
        let mut tx = self.begin(change).await?;
        if insert(&mut tx, std::slice::from_ref(user)).await?.contains(&user.id) {
            tx.commit().await?;
            return Ok(Imported::Added);
        }
        let stored = stored_keys(&mut tx, &[user.id]).await?;
        let reason = conflict(&mut tx, user, &stored).await?;
        tx.undo(reason).await
    }

    async fn set_email(
        &self,
        id: Uuid,
        email: &Email,
        notice: NoticeRequest<'_>,
        change: Change,
    ) -> Result<EmailSetResult, Fault> {
        let mut tx = self.begin(change).await?;
        let at = tx.at();
        let rank = mail_queue::next_rank(&mut tx, notice.client, at).await?;
        let before = sqlx::query_as(concat!(
            "SELECT mailbox, username FROM users WHERE id = $1",
            lock_row!()
        ));
        let before: Option<(String, String)> = tx.optional(before.bind(id)).await?;
        let Some((mailbox, username)) = before else {
            return tx.undo(EmailSetResult::Gone).await;
        };
        let set = sqlx::query(
            "UPDATE users SET email = $2, email_key = $3, mailbox = $4, version = version + 1,
                              changed_at = $5 WHERE id = $1",
        )
        .bind(id)
        .bind(email.shown())
        .bind(email.key())
        .bind(email.mailbox())
        .bind(at.0);
        if let Err(Taken) = tx.try_run(set).await? {
            return tx.undo(EmailSetResult::Taken).await;
        }
        rows::void_codes(&mut tx, id).await?;
        mail_queue::queue_notice(&mut tx, notice, &mailbox, &username, rank, at).await?;
        tx.commit().await?;
        Ok(EmailSetResult::Set)
    }

    async fn disable(&self, id: Uuid, change: Change) -> Result<Option<EndedSessions>, Fault> {
        let mut tx = self.begin(change).await?;
        let at = tx.at();
        // Earlier proofs of the password no longer count, so a concurrent login opens no session.
        let disable = sqlx::query(
            "UPDATE users SET disabled_at = COALESCE(disabled_at, $2), credentials = credentials + 1,
                              version = version + 1, changed_at = $2 WHERE id = $1",
        );
        if tx.run(disable.bind(id).bind(at.0)).await? == 0 {
            return tx.undo(None).await;
        }
        let ended = rows::end_sessions(&mut tx, id, None, at).await?;
        rows::void_codes(&mut tx, id).await?;
        tx.commit().await?;
        Ok(Some(ended))
    }

    async fn enable(&self, id: Uuid, change: Change) -> Result<bool, Fault> {
        let mut tx = self.begin(change).await?;
        let enable = sqlx::query(
            "UPDATE users SET disabled_at = NULL, version = version + 1, changed_at = $2
             WHERE id = $1",
        )
        .bind(id)
        .bind(tx.at().0);
        if tx.run(enable).await? == 0 {
            return tx.undo(false).await;
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn import(&self, users: &[NewUser], dry_run: bool) -> Result<Vec<Imported>, Fault> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.pools.write().await?;
        let mut added = insert(&mut tx, users).await?;
        let not_added: Vec<Uuid> =
            users.iter().map(|user| user.id).filter(|id| !added.contains(id)).collect();
        let stored = stored_keys(&mut tx, &not_added).await?;
        let mut results = Vec::with_capacity(users.len());
        for user in users {
            // If an id occurs more than once, the first user was added.
            results.push(if added.remove(&user.id) {
                Imported::Added
            } else {
                conflict(&mut tx, user, &stored).await?
            });
        }
        if dry_run {
            return tx.undo(results).await;
        }
        tx.commit().await?;
        Ok(results)
    }

    async fn export(&self, after: Uuid, limit: u32) -> Result<Vec<StoredUser>, Fault> {
        let query = sqlx::query_as(
            "SELECT id, username, email, password_hash, created_at, disabled_at FROM users
             WHERE id > $1 ORDER BY id LIMIT $2",
        );
        let rows: Vec<(Uuid, String, String, String, i64, Option<i64>)> =
            self.read_all(query.bind(after).bind(i64::from(limit))).await?;
        let user = |(id, username, email, password_hash, created_at, disabled_at): (
            _,
            _,
            _,
            _,
            i64,
            Option<i64>,
        )| {
            let (created_at, disabled_at) = (Timestamp(created_at), disabled_at.map(Timestamp));
            StoredUser { id, username, email, password_hash, created_at, disabled_at }
        };
        Ok(rows.into_iter().map(user).collect())
    }

    async fn forget_sessions(&self, change: Change) -> Result<u64, Fault> {
        // First, so that no token is accepted from now on, even if the following steps fail and
        // have to be repeated.
        let mut tx = self.begin(change).await?;
        let at = tx.at();
        rows::revoke(&mut tx, Subject::Everyone, at).await?;
        // Tokens that were issued while the clock was ahead are not older than that entry.
        for ahead in [
            "INSERT INTO revocations (subject, at, kind)
             SELECT id, rotated_at, $2 FROM sessions WHERE rotated_at > $1",
            "INSERT INTO revocations (subject, at, kind)
             SELECT id, issued_until, $2 FROM sessions
             WHERE issued_until > 0 AND issued_until > $1",
        ] {
            let kind = Subject::Session(Uuid::nil()).kind();
            tx.run(sqlx::query(ahead).bind(at.0).bind(kind)).await?;
        }
        tx.commit().await?;
        self.delete_in_batches(
            "SELECT id FROM verifications WHERE id > $1 ORDER BY id LIMIT 1 OFFSET $2",
            "DELETE FROM verifications WHERE id > $1 AND id <= $2",
        )
        .await?;
        // The worker drops an email of a void code that has had its mail slot; the emails that wait
        // for a slot are deleted here.
        self.delete_in_batches(
            "SELECT id FROM outbox WHERE id > $1 ORDER BY id LIMIT 1 OFFSET $2",
            "DELETE FROM outbox WHERE id > $1 AND id <= $2 AND turn_at IS NULL",
        )
        .await?;
        let mut tx = self.pools.write().await?;
        tx.run(sqlx::query("UPDATE mail_turns SET waiting = 0 WHERE waiting > 0")).await?;
        tx.commit().await?;
        let deleted = self
            .delete_in_batches(
                "SELECT id FROM sessions WHERE id > $1 ORDER BY id LIMIT 1 OFFSET $2",
                "DELETE FROM sessions WHERE id > $1 AND id <= $2",
            )
            .await?;
        // Once more: a running node may have opened sessions that were then deleted.
        let mut tx = self.pools.write().await?;
        if let Some(now) = super::super::server_time(&mut tx).await? {
            rows::revoke(&mut tx, Subject::Everyone, now.max(at)).await?;
        }
        tx.commit().await?;
        Ok(deleted)
    }

    async fn latest_session(&self, until: Timestamp) -> Result<Timestamp, Fault> {
        let latest = "SELECT MAX(rotated_at) FROM sessions WHERE rotated_at <= $1";
        let latest = sqlx::query_as(latest).bind(until.0);
        let (at,): (Option<i64>,) = self.read_one(latest).await?;
        Ok(Timestamp(at.unwrap_or(0)))
    }
}

impl SqlStore {
    /// Deletes all rows of a table in the order of ids, with one transaction per batch. The query
    /// `end` selects the last id of the batch after a given id; the statement `delete` deletes the
    /// rows between two ids. Returns the number of deleted rows.
    async fn delete_in_batches(
        &self,
        end: &'static str,
        delete: &'static str,
    ) -> Result<u64, Fault> {
        let (mut deleted, mut begin) = (0, Uuid::nil());
        loop {
            let end: Option<(Uuid,)> =
                self.read_optional(sqlx::query_as(end).bind(begin).bind(BATCH)).await?;
            let upto = end.map_or(Uuid::max(), |(id,)| id);
            let mut tx = self.pools.write().await?;
            deleted += tx.run(sqlx::query(delete).bind(begin).bind(upto)).await?;
            tx.commit().await?;
            if end.is_none() {
                return Ok(deleted);
            }
            begin = upto;
        }
    }
}

/// Inserts the users that do not conflict with a stored user. Returns the ids of the inserted
/// users.
async fn insert(tx: &mut Tx, users: &[NewUser]) -> Result<HashSet<Uuid>, Fault> {
    let mut query = QueryBuilder::<Db>::new(
        "INSERT INTO users (id, username, username_key, email, email_key, mailbox, password_hash, hash_class, created_at, \
                            disabled_at) ",
    );
    query.push_values(users, |mut row, user| {
        row.push_bind(user.id)
            .push_bind(user.username.shown())
            .push_bind(user.username.key())
            .push_bind(user.email.shown())
            .push_bind(user.email.key())
            .push_bind(user.email.mailbox())
            .push_bind(user.password_hash.as_str())
            .push_bind(hash_class(&user.password_hash))
            .push_bind(user.created_at.0)
            .push_bind(user.disabled_at.map(|at| at.0));
    });
    query.push(" ON CONFLICT DO NOTHING RETURNING id");
    let added: Vec<(Uuid,)> = tx.all(query.build_query_as()).await?;
    Ok(added.into_iter().map(|(id,)| id).collect())
}

/// Id, canonical username and canonical email address of a stored user.
type StoredKeys = (Uuid, String, String);

/// Reads the id, canonical username and canonical email address of the stored users among `ids`, in
/// the order of ids.
async fn stored_keys(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<StoredKeys>, Fault> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut query =
        QueryBuilder::<Db>::new("SELECT id, username_key, email_key FROM users WHERE id IN (");
    let mut list = query.separated(", ");
    for id in ids {
        list.push_bind(*id);
    }
    list.push_unseparated(") ORDER BY id");
    tx.all(query.build_query_as()).await
}

/// Returns the conflict that prevented the import of a user. `stored` lists the stored users with
/// ids from this import, sorted by id.
async fn conflict(tx: &mut Tx, user: &NewUser, stored: &[StoredKeys]) -> Result<Imported, Fault> {
    let found =
        stored.binary_search_by_key(&user.id, |(id, ..)| *id).ok().and_then(|at| stored.get(at));
    if let Some((_, name, address)) = found {
        let same = name == user.username.key() && address == user.email.key();
        return Ok(if same { Imported::AlreadyThere } else { Imported::IdTaken });
    }
    // A user with the same id was added earlier in this batch, so `stored` does not contain it.
    if let Some((_, name, address)) = stored_keys(tx, &[user.id]).await?.first() {
        let same = name == user.username.key() && address == user.email.key();
        return Ok(if same { Imported::AlreadyThere } else { Imported::IdTaken });
    }
    let name: Option<(i64,)> = tx
        .optional(
            sqlx::query_as("SELECT created_at FROM users WHERE username_key = $1")
                .bind(user.username.key()),
        )
        .await?;
    Ok(if name.is_some() { Imported::UsernameTaken } else { Imported::EmailTaken })
}
