//! The emails to an address, for the operators' commands.

use uuid::Uuid;

use super::SqlStore;
use crate::domain::{EmailState, Fault, StoredEmail, Timestamp};

#[derive(sqlx::FromRow)]
struct StoredEmailRow {
    id: Uuid,
    letter: String,
    verification_id: Option<Uuid>,
    recipient: Option<String>,
    created_at: i64,
    attempts: i64,
    turn_at: Option<i64>,
    due_at: i64,
    settled_at: Option<i64>,
    delivered: i64,
}

impl From<StoredEmailRow> for StoredEmail {
    fn from(row: StoredEmailRow) -> Self {
        let state = match (row.settled_at, row.turn_at) {
            (Some(at), _) if row.delivered != 0 => EmailState::Accepted(Timestamp(at)),
            (Some(at), _) if row.attempts > 0 => EmailState::GivenUp(Timestamp(at)),
            (Some(at), _) => EmailState::NotNeeded(Timestamp(at)),
            (None, None) => EmailState::Waiting,
            (None, Some(_)) => EmailState::Due(Timestamp(row.due_at)),
        };
        Self {
            id: row.id,
            kind: row.letter,
            verification_id: row.verification_id,
            recipient: row.recipient,
            created_at: Timestamp(row.created_at),
            attempts: row.attempts,
            state,
        }
    }
}

/// Returns the newest emails to the addresses with this budget key, oldest first.
pub(super) async fn to(
    store: &SqlStore,
    budget_key: &str,
    limit: u32,
) -> Result<Vec<StoredEmail>, Fault> {
    // For a network that the account knows, the key begins with the pseudonym of the network.
    let query = sqlx::query_as(
        "SELECT id, letter, verification_id, recipient, created_at, attempts, turn_at, due_at,
             settled_at, delivered FROM outbox
         WHERE budget_key = $1 OR (LENGTH(budget_key) > LENGTH($1)
             AND SUBSTR(budget_key, LENGTH(budget_key) - LENGTH($1)) = ' ' || $1)
         ORDER BY created_at DESC, id DESC LIMIT $2",
    );
    let rows: Vec<StoredEmailRow> =
        store.read_all(query.bind(budget_key).bind(i64::from(limit))).await?;
    Ok(rows.into_iter().rev().map(StoredEmail::from).collect())
}
