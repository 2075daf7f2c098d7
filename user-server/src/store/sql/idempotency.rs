//! Idempotency keys, claimed in one statement and completed in the transaction of the change.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::tx::Tx;
use super::{SqlStore, corrupt};
use crate::domain::{
    Fault, IdempotencyKeys, KeyClaim, KeyState, KeyedRequest, RecordedOutcome, SessionRecord,
    Timestamp,
};

/// Time for which the outcome of a completed request is stored, so that the request can be
/// repeated.
pub(super) const RETENTION: Duration = Duration::from_secs(24 * 3600);

#[async_trait]
impl IdempotencyKeys for SqlStore {
    async fn start_node(&self, node: Uuid) -> Result<(), Fault> {
        super::super::start_node(&self.pools, node).await
    }

    async fn report_alive(&self, node: Uuid) -> Result<(), Fault> {
        super::super::report_alive(&self.pools, node).await
    }

    async fn key_is_used(&self, key: Uuid, now: Timestamp) -> Result<bool, Fault> {
        let select = "SELECT expires_at FROM idempotency_keys WHERE key = $1";
        let row: Option<(i64,)> = self.read_optional(sqlx::query_as(select).bind(key)).await?;
        Ok(row.is_some_and(|(expires_at,)| expires_at > now.0))
    }

    async fn claim_key(&self, request: &KeyedRequest, now: Timestamp) -> Result<KeyState, Fault> {
        // Repeats if the key was released between the two statements.
        loop {
            let mut tx = self.pools.single().await?;
            let claimed: Option<(Uuid,)> = tx
                .optional(
                    sqlx::query_as(concat!(
                        "INSERT INTO idempotency_keys (key, kid, request, holder, expires_at, node)
                     VALUES ($1, $2, $3, $4, $5, $7)
                     ON CONFLICT (key) DO UPDATE SET kid = $2, request = $3, holder = $4,
                         expires_at = $5, node = $7, done_at = NULL
                     WHERE idempotency_keys.expires_at <= $6",
                        or_claimed_by_dead_node!(),
                        " RETURNING holder"
                    ))
                    .bind(request.claim.key)
                    .bind(&request.kid)
                    .bind(request.tag.as_slice())
                    .bind(request.claim.holder)
                    .bind(request.until.0)
                    .bind(now.0)
                    .bind(request.node),
                )
                .await?;
            if claimed.is_some() {
                tx.finish().await?;
                return Ok(KeyState::Claimed);
            }
            let row: Option<KeyRow> = tx
                .optional(
                    sqlx::query_as(concat!(
                        "SELECT ",
                        key_columns!(),
                        " FROM idempotency_keys WHERE key = $1"
                    ))
                    .bind(request.claim.key),
                )
                .await?;
            tx.finish().await?;
            if let Some(row) = row {
                return row.state();
            }
        }
    }

    async fn release_key(&self, claim: KeyClaim) -> Result<(), Fault> {
        let mut tx = self.pools.single().await?;
        tx.run(
            sqlx::query(
                "DELETE FROM idempotency_keys WHERE key = $1 AND holder = $2 AND done_at IS NULL",
            )
            .bind(claim.key)
            .bind(claim.holder),
        )
        .await?;
        tx.finish().await
    }

    async fn complete_key(&self, claim: KeyClaim, outcome: &RecordedOutcome) -> Result<(), Fault> {
        let mut tx = self.pools.single().await?;
        complete(&mut tx, claim, outcome).await?;
        tx.finish().await
    }
}

/// Completes an idempotency claim with the outcome of its request, in the transaction of the
/// change. Fails if the claim was lost.
pub(super) async fn complete(
    tx: &mut Tx,
    claim: KeyClaim,
    outcome: &RecordedOutcome,
) -> Result<(), Fault> {
    let session = outcome.session.as_ref();
    let number = session.map_or(outcome.sessions_ended, |session| session.counter);
    let complete = sqlx::query(
        "UPDATE idempotency_keys SET done_at = $3, expires_at = $4, user_id = $5,
                verification_id = $6, session_id = $7, session_kid = $8, session_created_at = $9,
                session_rotated_at = $10, number = $11
         WHERE key = $1 AND holder = $2 AND done_at IS NULL",
    )
    .bind(claim.key)
    .bind(claim.holder)
    .bind(outcome.at.0)
    .bind(outcome.at.plus(RETENTION).0)
    .bind(outcome.user_id)
    .bind(outcome.verification_id)
    .bind(session.map(|session| session.id))
    .bind(session.map(|session| session.kid.as_str()))
    .bind(session.map(|session| session.created_at.0))
    .bind(session.map(|session| session.rotated_at.0))
    .bind(i64::from(number));
    if tx.run(complete).await? == 0 {
        // The transaction is rolled back. The attempt that holds the claim now executes the
        // request, and a repeat gets that outcome.
        return Err(Fault::Unavailable(
            "the request lost its claim on the idempotency key, because it took too long"
                .to_owned(),
        ));
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    kid: String,
    request: Vec<u8>,
    done_at: Option<i64>,
    user_id: Option<Uuid>,
    verification_id: Option<Uuid>,
    session_id: Option<Uuid>,
    session_kid: Option<String>,
    session_created_at: Option<i64>,
    session_rotated_at: Option<i64>,
    number: i64,
}

impl KeyRow {
    fn state(self) -> Result<KeyState, Fault> {
        let tag = self
            .request
            .as_slice()
            .try_into()
            .map_err(|_| corrupt("an invalid tag of an idempotency key"))?;
        let number = u32::try_from(self.number)
            .map_err(|_| corrupt("an invalid number of an idempotency key"))?;
        let session = match (self.session_id, self.user_id, self.session_kid) {
            (Some(id), Some(user_id), Some(kid)) => Some(SessionRecord {
                id,
                user_id,
                counter: number,
                created_at: Timestamp(self.session_created_at.unwrap_or_default()),
                rotated_at: Timestamp(self.session_rotated_at.unwrap_or_default()),
                kid,
            }),
            _ => None,
        };
        let outcome = self.done_at.map(|at| RecordedOutcome {
            at: Timestamp(at),
            user_id: self.user_id,
            verification_id: self.verification_id,
            sessions_ended: if session.is_some() { 0 } else { number },
            session,
        });
        Ok(KeyState::Used { kid: self.kid, tag, outcome })
    }
}
