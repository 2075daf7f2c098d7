//! Codes: guesses are paid for before they are looked at, in one statement.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{self, VerificationRow};
use super::{SqlStore, audit, idempotency};
use crate::domain::audit::{Event, Kind};
use crate::domain::ports::Codes;
use crate::domain::records::{Charge, Done, Guess, Purpose, Resend};
use crate::domain::{Act, Fault, Timestamp};

#[async_trait]
impl Codes for SqlStore {
    async fn charge_guess(
        &self,
        verification_id: Uuid,
        purpose: Purpose,
        user_id: Option<Uuid>,
        most: u32,
        now: Timestamp,
    ) -> Result<Charge, Fault> {
        let mut tx = self.pools.write().await?;
        let charged: Option<VerificationRow> = tx
            .optional(
                sqlx::query_as(concat!(
                    "UPDATE verifications SET guesses = guesses + 1
             WHERE id = $1 AND purpose = $2 AND ($3 IS NULL OR user_id = $3) AND guesses < $4 AND expires_at > $5
             RETURNING ",
                    verification_columns!()
                ))
                .bind(verification_id)
                .bind(purpose.name())
                .bind(user_id)
                .bind(i64::from(most))
                .bind(now.0),
            )
            .await?;
        let charge = match charged {
            Some(row) => Charge::Charged(row.guess()?),
            None => {
                let waiting: Option<(i64,)> = tx
                    .optional(
                        sqlx::query_as(
                            "SELECT created_at FROM verifications
                     WHERE id = $1 AND purpose = $2 AND ($3 IS NULL OR user_id = $3) AND claimed_at IS NULL",
                        )
                        .bind(verification_id)
                        .bind(purpose.name())
                        .bind(user_id),
                    )
                    .await?;
                if waiting.is_some() { Charge::NotIssued } else { Charge::Spent }
            }
        };
        tx.commit().await?;
        Ok(charge)
    }

    async fn refund_guess(&self, guess: &Guess) -> Result<(), Fault> {
        let mut tx = self.pools.write().await?;
        tx.run(
            sqlx::query(
                "UPDATE verifications SET guesses = guesses - 1 WHERE id = $1 AND generation = $2 AND guesses > 0",
            )
            .bind(guess.verification_id)
            .bind(i64::from(guess.generation)),
        )
        .await?;
        tx.commit().await
    }

    async fn resend(
        &self,
        verification_id: Uuid,
        client: &str,
        after: Duration,
        kids: &[&str],
        act: &Act,
    ) -> Result<Resend, Fault> {
        let mut tx = self.pools.write().await?;
        // The row is held, so that two at once see each other's mail.
        let row: Option<VerificationRow> = tx
            .optional(
                sqlx::query_as(concat!(
                    "UPDATE verifications SET guesses = guesses WHERE id = $1 RETURNING ",
                    verification_columns!()
                ))
                .bind(verification_id),
            )
            .await?;
        let Some(row) = row else { return tx.undo(Resend::Spent).await };
        if let Some(claimed) = row.claimed_at {
            let wait = Timestamp(claimed).plus(after).since(act.at);
            if !wait.is_zero() {
                return tx.undo(Resend::TooSoon(wait)).await;
            }
        }
        if let Some(signing) = kids.first()
            && !kids.contains(&row.kid.as_str())
        {
            let renew = sqlx::query("UPDATE verifications SET kid = $2 WHERE id = $1");
            tx.run(renew.bind(verification_id).bind(*signing)).await?;
        }
        let waiting: Option<(i64,)> = tx.optional(sqlx::query_as(
            "SELECT created_at FROM outbox WHERE verification_id = $1 AND turn_at IS NULL AND settled_at IS NULL",
        )
        .bind(verification_id)).await?;
        if waiting.is_none() {
            rows::queue_code(&mut tx, row.id, row.purpose()?, &row.budget_key, client, act.at)
                .await?;
        }
        let event = Event { user_id: row.user_id, ..Event::new(Kind::CodeResent) };
        audit::record(&mut tx, act, &event.subject(verification_id.as_bytes())).await?;
        idempotency::complete(&mut tx, act, Done::at(act.at).verification(Some(verification_id)))
            .await?;
        tx.commit().await?;
        Ok(Resend::Queued)
    }
}
