//! Codes: a guess is charged for in one statement, before it is compared.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::SqlStore;
use super::rows::{self, VerificationRow};
use crate::domain::{Change, Codes, Fault, Guess, GuessCharge, Purpose, ResendResult, Timestamp};

#[async_trait]
impl Codes for SqlStore {
    async fn charge_guess(
        &self,
        verification_id: Uuid,
        purpose: Purpose,
        user_id: Option<Uuid>,
        max_guesses: u32,
        now: Timestamp,
    ) -> Result<GuessCharge, Fault> {
        // A guess that can only fail writes nothing.
        let refused = self.refused_guess(verification_id, purpose, user_id, max_guesses, now);
        if let Some(refused) = refused.await? {
            return Ok(refused);
        }
        let mut tx = self.pools.write().await?;
        let charge = sqlx::query_as(concat!(
            "UPDATE verifications SET guesses = guesses + 1
             WHERE id = $1 AND purpose = $2 AND ($3 IS NULL OR user_id = $3) AND guesses < $4
                   AND expires_at > $5
             RETURNING ",
            verification_columns!()
        ))
        .bind(verification_id)
        .bind(purpose.name())
        .bind(user_id)
        .bind(i64::from(max_guesses))
        .bind(now.0);
        let charged: Option<VerificationRow> = tx.optional(charge).await?;
        let charge = match charged {
            Some(row) => GuessCharge::Charged(row.guess()?),
            // It was spent after it was read.
            None => GuessCharge::Spent,
        };
        tx.commit().await?;
        Ok(charge)
    }

    async fn refund_guess(&self, guess: &Guess) -> Result<(), Fault> {
        let mut tx = self.pools.write().await?;
        let refund = sqlx::query(
            "UPDATE verifications SET guesses = guesses - 1
             WHERE id = $1 AND generation = $2 AND guesses > 0",
        )
        .bind(guess.verification_id)
        .bind(i64::from(guess.generation));
        tx.run(refund).await?;
        tx.commit().await
    }

    async fn resend(
        &self,
        verification_id: Uuid,
        client: &str,
        after: Duration,
        kids: &[&str],
        change: Change,
    ) -> Result<ResendResult, Fault> {
        // A request for an unknown id writes nothing.
        if self.verification(verification_id).await?.is_none() {
            return Ok(ResendResult::Spent);
        }
        let mut tx = self.begin(change).await?;
        let at = tx.at();
        // Locks the row, so that concurrent requests see each other's email.
        let lock = concat!(
            "UPDATE verifications SET guesses = guesses WHERE id = $1 RETURNING ",
            verification_columns!()
        );
        let row: Option<VerificationRow> =
            tx.optional(sqlx::query_as(lock).bind(verification_id)).await?;
        let Some(row) = row else { return tx.undo(ResendResult::Spent).await };
        if let Some(claimed) = row.claimed_at {
            let wait = Timestamp(claimed).plus(after).since(at);
            if !wait.is_zero() {
                return tx.undo(ResendResult::TooSoon(wait)).await;
            }
        }
        if let Some(signing) = kids.first()
            && !kids.contains(&row.kid.as_str())
        {
            let renew = sqlx::query("UPDATE verifications SET kid = $2 WHERE id = $1");
            tx.run(renew.bind(verification_id).bind(*signing)).await?;
        }
        let queued = sqlx::query_as(
            "SELECT created_at FROM outbox
             WHERE verification_id = $1 AND turn_at IS NULL AND settled_at IS NULL",
        );
        let queued: Option<(i64,)> = tx.optional(queued.bind(verification_id)).await?;
        if queued.is_none() {
            let purpose = row.purpose()?;
            rows::queue_code(&mut tx, row.id, purpose, &row.budget_key, client, at).await?;
        }
        tx.change.set_event_user(row.user_id);
        tx.commit().await?;
        Ok(ResendResult::Queued)
    }
}

impl SqlStore {
    async fn verification(&self, id: Uuid) -> Result<Option<VerificationRow>, Fault> {
        let select =
            concat!("SELECT ", verification_columns!(), " FROM verifications WHERE id = $1");
        self.read_optional(sqlx::query_as(select).bind(id)).await
    }

    /// Returns the result of a guess that cannot be charged, or `None` if it can be.
    async fn refused_guess(
        &self,
        verification_id: Uuid,
        purpose: Purpose,
        user_id: Option<Uuid>,
        max_guesses: u32,
        now: Timestamp,
    ) -> Result<Option<GuessCharge>, Fault> {
        let Some(row) = self.verification(verification_id).await? else {
            return Ok(Some(GuessCharge::Spent));
        };
        let of_user = user_id.is_none() || row.user_id == user_id;
        if row.purpose()? != purpose || !of_user {
            return Ok(Some(GuessCharge::Spent));
        }
        if row.claimed_at.is_none() {
            return Ok(Some(GuessCharge::NotIssued));
        }
        let alive = row.guesses < i64::from(max_guesses)
            && row.expires_at.is_some_and(|expires_at| expires_at > now.0);
        Ok((!alive).then_some(GuessCharge::Spent))
    }
}
