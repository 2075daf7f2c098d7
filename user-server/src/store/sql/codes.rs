//! One-time codes: a guess is counted in one statement, before it is compared.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use uuid::Uuid;

use super::calls::{self, Function, Nothing};
use super::json::id;
use super::mail_queue::{self, QueuedCode, RANK_STEP};
use super::rows::VerificationRow;
use super::{SqlStore, counters};
use crate::domain::{
    Adjustment, Allowance, CLOCK_SKEW, Change, Codes, Fault, Guess, GuessCharge, Purpose,
    ResendPolicy, ResendResult, Timestamp,
};

#[async_trait]
impl Codes for SqlStore {
    async fn charge_guess(
        &self,
        verification_id: Uuid,
        purpose: Purpose,
        user_id: Option<Uuid>,
        max_guesses: u32,
        charge: Adjustment,
        now: Timestamp,
    ) -> Result<GuessCharge, Fault> {
        // A guess that can only fail writes nothing.
        let (row, charge) = self.verification_and(verification_id, charge).await?;
        if let Some(refused) = refused(row, purpose, user_id, max_guesses)? {
            return Ok(refused);
        }
        let decided = self.decide(&charge).await?;
        if let Some((decided, max)) = decided.and_then(|decided| {
            // With a budget that is used up, only the first guess is allowed.
            let max = match decided.verdict {
                Ok(Allowance::FirstGuess(_)) => 1,
                Ok(_) => max_guesses,
                Err(_) => return None,
            };
            Some((decided, max))
        }) {
            let call = || {
                json!({
                    "verification_id": id(verification_id), "user_id": id(user_id), "max_guesses": max,
                    "counters": decided.counters(),
                })
            };
            let row: Option<VerificationRow> = self.call(Function::ChargeGuess, call).await?;
            if let Some(row) = row {
                return Ok(GuessCharge::Charged(Guess { charged: charge.keys, ..row.guess(now)? }));
            }
        }
        let mut tx = self.pools.write().await?;
        let guess = sqlx::query_as(concat!(
            "UPDATE verifications SET guesses = guesses + 1
             WHERE id = $1 AND purpose = $2 AND ($3 IS NULL OR user_id = $3) AND guesses < $4
             RETURNING ",
            verification_columns!()
        ))
        .bind(verification_id)
        .bind(purpose.name())
        .bind(user_id)
        .bind(i64::from(max_guesses));
        let charged: Option<VerificationRow> = tx.optional(guess).await?;
        // It may have been spent after it was read.
        let Some(row) = charged else { return tx.undo(GuessCharge::Spent).await };
        let (is_first, keys) = (row.guesses == 1, charge.keys.clone());
        match counters::adjust(&mut tx, charge).await? {
            Ok(Allowance::FirstGuess(wait)) if !is_first => {
                return tx.undo(GuessCharge::TooMany(wait)).await;
            }
            Err(wait) => return tx.undo(GuessCharge::TooMany(wait)).await,
            Ok(_) => {}
        }
        tx.commit().await?;
        Ok(GuessCharge::Charged(Guess { charged: keys, ..row.guess(now)? }))
    }

    async fn refused_guess(
        &self,
        verification_id: Uuid,
        purpose: Purpose,
        user_id: Option<Uuid>,
        max_guesses: u32,
    ) -> Result<Option<GuessCharge>, Fault> {
        refused(self.verification(verification_id).await?, purpose, user_id, max_guesses)
    }

    async fn refund_guess(&self, guess: &Guess) -> Result<(), Fault> {
        let refund: Option<Nothing> =
            self.call(Function::RefundGuess, || calls::guess(guess)).await?;
        if refund.is_some() {
            return Ok(());
        }
        let mut tx = self.pools.write().await?;
        let refund = sqlx::query(
            "UPDATE verifications SET guesses = guesses - 1
             WHERE id = $1 AND generation = $2 AND guesses > 0",
        )
        .bind(guess.verification_id)
        .bind(i64::from(guess.generation));
        tx.run(refund).await?;
        counters::refund(&mut tx, &guess.charged).await?;
        tx.commit().await
    }

    async fn resend(
        &self,
        verification_id: Uuid,
        client: &str,
        policy: &ResendPolicy,
        kids: &[&str],
        change: Change,
    ) -> Result<ResendResult, Fault> {
        let plain = self.resend_plainly(verification_id, client, policy, kids, &change);
        if let Some(result) = plain.await? {
            return Ok(result);
        }
        let mut tx = self.begin(change).await?;
        let at = tx.at();
        let rank = mail_queue::next_rank(&mut tx, client, at).await?;
        // Locks the row, so that concurrent requests see each other's email.
        // It is updated once: a second update in a transaction would also lock the user, which a
        // deletion locks first.
        let lock = concat!(
            "SELECT ",
            verification_columns!(),
            " FROM verifications WHERE id = $1",
            lock_row!()
        );
        let row: Option<VerificationRow> =
            tx.optional(sqlx::query_as(lock).bind(verification_id)).await?;
        let Some(row) = row else { return tx.undo(ResendResult::Unknown).await };
        if let Some(wait) = row.wait_for_resend(policy, at) {
            return tx.undo(ResendResult::TooSoon(wait)).await;
        }
        let resent = row.resent(policy, kids, at);
        let set = sqlx::query(
            "UPDATE verifications SET requested_at = $2, resends = resends + 1, generation = $3,
                 guesses = $4, kid = $5,
                 claimed_at = CASE WHEN $6 = 1 THEN NULL ELSE claimed_at END,
                 expires_at = CASE WHEN $6 = 1 THEN NULL ELSE expires_at END
             WHERE id = $1",
        )
        .bind(verification_id)
        .bind(at.0)
        .bind(resent.generation)
        .bind(resent.guesses)
        .bind(resent.kid)
        .bind(i64::from(resent.is_replaced));
        tx.run(set).await?;
        let account = row.user_id.filter(|_| row.purpose().is_ok_and(Purpose::is_for_an_account));
        let known =
            mail_queue::is_known(&mut tx, account, client, at.minus(policy.known_for)).await?;
        let queued = sqlx::query_as(
            "SELECT created_at FROM outbox
             WHERE verification_id = $1 AND turn_at IS NULL AND settled_at + 0 IS NULL",
        );
        let queued: Option<(i64,)> = tx.optional(queued.bind(verification_id)).await?;
        if queued.is_none() {
            let code = QueuedCode {
                verification_id,
                purpose: row.purpose()?,
                budget_key: &row.budget_key,
                client,
                known,
                rank,
            };
            mail_queue::queue_code(&mut tx, &code, at).await?;
        }
        tx.change.set_event_user(row.user_id);
        tx.commit().await?;
        Ok(ResendResult::Queued)
    }

    async fn refused_resend(
        &self,
        verification_id: Uuid,
        policy: &ResendPolicy,
        now: Timestamp,
    ) -> Result<Option<ResendResult>, Fault> {
        let Some(row) = self.verification(verification_id).await? else {
            return Ok(Some(ResendResult::Unknown));
        };
        Ok(row.wait_for_resend(policy, now).map(ResendResult::TooSoon))
    }
}

/// What becomes of a code when its email is sent again.
struct Resent<'a> {
    generation: i64,
    guesses: i64,
    kid: &'a str,
    /// Set if the email will contain another code, which does not exist before the email is
    /// claimed.
    is_replaced: bool,
}

impl VerificationRow {
    /// Decides what becomes of a code that is sent again. `kids` are the names of the server keys
    /// that are not retired; the first one signs.
    fn resent<'a>(&'a self, policy: &ResendPolicy, kids: &[&'a str], at: Timestamp) -> Resent<'a> {
        let is_new = self.guesses >= i64::from(policy.max_guesses)
            || self.requested_at().plus(policy.code_life) <= at;
        let kid = match kids.first() {
            Some(signing) if !kids.contains(&self.kid.as_str()) => signing,
            _ => self.kid.as_str(),
        };
        Resent {
            generation: self.generation + i64::from(is_new),
            guesses: if is_new { 0 } else { self.guesses },
            kid,
            is_replaced: is_new || kid != self.kid,
        }
    }

    /// Returns the time until the code may be sent again, or `None` if it may be sent now. After
    /// the last permitted resend, that is the time until the verification is deleted.
    fn wait_for_resend(&self, policy: &ResendPolicy, now: Timestamp) -> Option<Duration> {
        let (from, span) = if self.resends >= i64::from(policy.max_resends) {
            (self.created_at(), policy.life)
        } else {
            (self.requested_at(), policy.pause)
        };
        // A longer wait than the policy allows shows that the clock was set back, so it is over.
        let wait = from.plus(span).since(now);
        (!wait.is_zero() && wait <= span + CLOCK_SKEW).then(|| wait.min(span))
    }
}

/// Returns the refusal if a guess at the code of a verification would be refused.
fn refused(
    row: Option<VerificationRow>,
    purpose: Purpose,
    user_id: Option<Uuid>,
    max_guesses: u32,
) -> Result<Option<GuessCharge>, Fault> {
    let Some(row) = row else { return Ok(Some(GuessCharge::Unknown)) };
    let of_user = user_id.is_none() || row.user_id == user_id;
    if row.purpose()? != purpose || !of_user {
        return Ok(Some(GuessCharge::Unknown));
    }
    Ok((row.guesses >= i64::from(max_guesses)).then_some(GuessCharge::Spent))
}

impl SqlStore {
    /// Queues an email again by one call of a stored function, which is given the row from which
    /// this was decided. Returns `None` if the row has changed since, or if this database has no
    /// stored functions.
    async fn resend_plainly(
        &self,
        verification_id: Uuid,
        client: &str,
        policy: &ResendPolicy,
        kids: &[&str],
        change: &Change,
    ) -> Result<Option<ResendResult>, Fault> {
        if !calls::exist() {
            return Ok(None);
        }
        let (at, row) = (change.at(), self.verification(verification_id).await?);
        let Some(row) = row else { return Ok(Some(ResendResult::Unknown)) };
        if let Some(wait) = row.wait_for_resend(policy, at) {
            return Ok(Some(ResendResult::TooSoon(wait)));
        }
        let resent = row.resent(policy, kids, at);
        let call = || {
            json!({
                "verification_id": id(verification_id), "was_resends": row.resends,
                "was_generation": row.generation, "was_guesses": row.guesses, "was_kid": row.kid,
                "was_requested_at": row.requested_at().0, "generation": resent.generation,
                "guesses": resent.guesses, "kid": resent.kid, "is_replaced": resent.is_replaced,
                "client": client, "rank_step": RANK_STEP, "email_id": id(Uuid::now_v7()),
                "known_since": at.minus(policy.known_for).0, "at": at.0,
                "change": calls::change(change),
            })
        };
        let queued: Option<Nothing> = self.call(Function::ResendCode, call).await?;
        Ok(queued.map(|Nothing {}| ResendResult::Queued))
    }

    pub(super) async fn verification(&self, id: Uuid) -> Result<Option<VerificationRow>, Fault> {
        let select =
            concat!("SELECT ", verification_columns!(), " FROM verifications WHERE id = $1");
        self.read_optional(sqlx::query_as(select).bind(id)).await
    }
}
