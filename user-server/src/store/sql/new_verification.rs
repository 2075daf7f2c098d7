//! New verifications: registrations, email changes and password resets, each with the email that
//! contains its code.

use std::time::Duration;

use uuid::Uuid;

use super::change::ChangeTx;
use super::mail_queue::{self, QueuedCode};
use crate::domain::{Email, Fault, PendingLimit, Purpose, Username};

/// Verification to insert together with its queued email.
pub(super) struct NewVerification<'a> {
    pub(super) id: Uuid,
    pub(super) purpose: Purpose,
    pub(super) user_id: Option<Uuid>,
    pub(super) username: Option<&'a Username>,
    pub(super) email: &'a Email,
    pub(super) password_hash: Option<&'a str>,
    pub(super) kid: &'a str,
    pub(super) dead: bool,
}

impl NewVerification<'_> {
    /// Inserts the verification and queues its email. Inserts nothing and returns the time to wait
    /// if the network has requested too many that are pending. Must be called after
    /// [`mail_queue::next_rank`], which returns `rank`. `client` is the keyed hash of the network,
    /// and `known` is set if the account has logged in from it.
    pub(super) async fn insert(
        &self,
        tx: &mut ChangeTx,
        client: &str,
        known: bool,
        rank: i64,
        limit: Option<PendingLimit>,
    ) -> Result<Option<Duration>, Fault> {
        let at = tx.at();
        if let Some(limit) = limit
            && let Some(wait) = mail_queue::pending_wait(tx, client, limit, at).await?
        {
            return Ok(Some(wait));
        }
        let insert = sqlx::query(
            "INSERT INTO verifications (id, purpose, user_id, username, username_key, email,
                                        email_key, mailbox, budget_key, password_hash, dead, kid,
                                        created_at, requested_at, client)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14)",
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
        .bind(at.0)
        .bind(client);
        tx.run(insert).await?;
        let code = QueuedCode {
            verification_id: self.id,
            purpose: self.purpose,
            budget_key: self.email.budget_key(),
            client,
            known,
            rank,
        };
        mail_queue::queue_code(tx, &code, at).await?;
        Ok(None)
    }
}
