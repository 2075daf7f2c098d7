//! The emails to an address, for the operators' commands.

use uuid::Uuid;

use super::SqlStore;
use crate::domain::{Email, EmailState, Fault, StoredEmail, Timestamp};

#[derive(sqlx::FromRow)]
struct StoredEmailRow {
    id: Uuid,
    letter: String,
    verification_id: Option<Uuid>,
    recipient: Option<String>,
    mailbox: Option<String>,
    created_at: i64,
    attempts: i64,
    turn_at: Option<i64>,
    due_at: i64,
    failed_at: Option<i64>,
    claimed_at: Option<i64>,
    settled_at: Option<i64>,
    delivered: i64,
}

impl StoredEmailRow {
    fn state(&self) -> EmailState {
        match (self.settled_at, self.turn_at) {
            (Some(at), _) if self.delivered != 0 => EmailState::Accepted(Timestamp(at)),
            // An attempt ends before its lease, which is until `due_at`. After a failed attempt,
            // `due_at` is the time of the next one, which finds that the code is not needed.
            (Some(at), _) if self.attempts > 0 && at < self.due_at => {
                EmailState::GivenUp(Timestamp(at))
            }
            (Some(at), _) => EmailState::NotNeeded(Timestamp(at)),
            (None, None) => EmailState::Waiting,
            (None, Some(_)) if self.is_being_sent() => EmailState::Sending(Timestamp(self.due_at)),
            (None, Some(_)) => EmailState::Due(Timestamp(self.due_at)),
        }
    }

    /// Reports whether an attempt began after the last one that has failed.
    fn is_being_sent(&self) -> bool {
        self.failed_at.is_none_or(|failed| self.claimed_at.is_some_and(|claimed| claimed > failed))
    }
}

impl From<StoredEmailRow> for StoredEmail {
    fn from(row: StoredEmailRow) -> Self {
        let state = row.state();
        Self {
            id: row.id,
            kind: row.letter,
            verification_id: row.verification_id,
            recipient: row.recipient.or(row.mailbox),
            created_at: Timestamp(row.created_at),
            attempts: row.attempts,
            state,
        }
    }
}

/// Returns the newest emails to an address and to its variants with another suffix, oldest first.
pub(super) async fn to(
    store: &SqlStore,
    email: &Email,
    limit: u32,
) -> Result<Vec<StoredEmail>, Fault> {
    // A code is counted without the suffix, and behind the pseudonym of the network if the account
    // knows it; a notice with the suffix. Another code of the verification says nothing about this
    // one, so its time of sending is left out.
    let query = sqlx::query_as(
        "SELECT outbox.id, letter, verification_id, recipient, mailbox, outbox.created_at, attempts,
             turn_at, due_at, failed_at,
             CASE WHEN verifications.generation = outbox.generation THEN claimed_at END AS claimed_at,
             settled_at, delivered
         FROM outbox LEFT JOIN verifications ON verifications.id = verification_id
         WHERE outbox.budget_key = $1
             OR SUBSTR(outbox.budget_key, LENGTH(outbox.budget_key) - LENGTH($1)) = ' ' || $1
             OR SUBSTR(outbox.budget_key, 1, LENGTH($2)) = $2
                 AND SUBSTR(outbox.budget_key, LENGTH(outbox.budget_key) - LENGTH($3) + 1) = $3
         ORDER BY outbox.created_at DESC, outbox.id DESC LIMIT $4",
    );
    let (user, domain) = email.budget_key().rsplit_once('@').unwrap_or((email.budget_key(), ""));
    let query = query
        .bind(email.budget_key())
        .bind(format!("{user}+"))
        .bind(format!("@{domain}"))
        .bind(i64::from(limit));
    let rows: Vec<StoredEmailRow> = store.read_all(query).await?;
    Ok(rows.into_iter().rev().map(StoredEmail::from).collect())
}
