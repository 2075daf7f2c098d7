//! The outbox: selects the email that is due, and decides on its recipient and content.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::mail_queue::queue_notice;
use super::mail_slots::{free_slot, next_due};
use super::rows::{OutboxRow, VerificationRow};
use super::tx::Tx;
use super::{SqlStore, corrupt};
use crate::domain::{
    ClaimedMail, CodeDelivery, FailedAttempt, Fault, MailClass, MailKind, MailPolicy, Notice,
    NoticeRequest, Outbox, OutboxClaim, PendingCode, Recipient, Timestamp,
};

/// Pause before another attempt if the verification of the next email is locked by another
/// transaction.
const LOCKED_PAUSE: Duration = Duration::from_millis(20);

#[derive(sqlx::FromRow)]
struct RecipientRow {
    mailbox: String,
    username: String,
}

impl From<RecipientRow> for Recipient {
    fn from(RecipientRow { mailbox, username }: RecipientRow) -> Self {
        Self { mailbox, username }
    }
}

/// Result of an attempt to claim an email of one class.
enum Claimed {
    Done(OutboxClaim),
    /// No email of this class is due.
    NotDue,
    /// The verification of the next email is locked by another transaction.
    Locked,
}

#[async_trait]
impl Outbox for SqlStore {
    async fn claim(&self, policy: &MailPolicy, now: Timestamp) -> Result<OutboxClaim, Fault> {
        let mut tx = self.pools.write().await?;
        let first = MailClass::ALL.iter().position(|class| *class == policy.first).unwrap_or(0);
        for class in MailClass::ALL.into_iter().cycle().skip(first).take(MailClass::ALL.len()) {
            let claimed = match class {
                MailClass::Code => code(&mut tx, policy, now).await?,
                MailClass::Notice => notice(&mut tx, policy, now).await?,
                MailClass::Retry => retry(&mut tx, policy, now).await?,
            };
            match claimed {
                Claimed::NotDue => {}
                Claimed::Done(claim) => return tx.commit().await.map(|()| claim),
                Claimed::Locked => {
                    let again = now.plus(LOCKED_PAUSE);
                    return tx.undo(OutboxClaim::Idle(Some(again))).await;
                }
            }
        }
        let soon = next_due(&mut tx).await?;
        tx.undo(OutboxClaim::Idle(soon)).await
    }

    async fn settle(&self, id: Uuid, delivered: bool, now: Timestamp) -> Result<(), Fault> {
        let mut tx = self.pools.write().await?;
        let settle = sqlx::query("UPDATE outbox SET settled_at = $2, delivered = $3 WHERE id = $1");
        tx.run(settle.bind(id).bind(now.0).bind(i64::from(delivered))).await?;
        tx.commit().await
    }

    async fn retry(&self, id: Uuid, failed: &FailedAttempt<'_>) -> Result<(), Fault> {
        let mut tx = self.pools.write().await?;
        let retry = sqlx::query(
            "UPDATE outbox SET due_at = $2, failed_at = $3, failed_domain = $4, unexplained = $5
             WHERE id = $1 AND settled_at IS NULL",
        )
        .bind(id)
        .bind(failed.retry_at.0)
        .bind(failed.at.0)
        .bind(failed.domain)
        .bind(i64::from(failed.unexplained));
        tx.run(retry).await?;
        tx.commit().await
    }
}

/// Claims an email that could not be sent before and is due for another attempt.
async fn retry(tx: &mut Tx, policy: &MailPolicy, now: Timestamp) -> Result<Claimed, Fault> {
    let select = concat!(
        "SELECT ",
        outbox_columns!(),
        " FROM outbox WHERE turn_at IS NOT NULL AND settled_at IS NULL AND due_at <= $1
         ORDER BY due_at LIMIT 1",
        lock_row_or_skip!()
    );
    let row: Option<OutboxRow> = tx.optional(sqlx::query_as(select).bind(now.0)).await?;
    let Some(row) = row else { return Ok(Claimed::NotDue) };
    let Some(verification_id) = row.verification_id else {
        return lease_notice(tx, &row, policy, now).await;
    };
    // A retried email carries the same code, and its lifetime starts again, since no earlier
    // attempt has delivered it. A code that is spent is not sent again.
    let select = concat!(
        "SELECT ",
        verification_columns!(),
        " FROM verifications WHERE id = $1",
        lock_row!()
    );
    let verification: Option<VerificationRow> =
        tx.optional(sqlx::query_as(select).bind(verification_id)).await?;
    let current = verification.filter(|verification| {
        Some(verification.generation) == row.generation && verification.is_open(policy)
    });
    let (Some(verification), Some(mailbox)) = (current, row.recipient.clone()) else {
        settle(tx, row.id, now).await?;
        return Ok(Claimed::Done(OutboxClaim::Nothing));
    };
    issue(tx, &verification, false, policy, now).await?;
    let username = row.username.clone().unwrap_or_default();
    lease(tx, &row, Recipient { mailbox, username }, code_mail(&verification)?, policy, now).await
}

/// Claims the next notice that the rate limit of its address allows.
async fn notice(tx: &mut Tx, policy: &MailPolicy, now: Timestamp) -> Result<Claimed, Fault> {
    let Some(slot) = free_slot(tx, true, now).await? else { return Ok(Claimed::NotDue) };
    let Some(row) = slot.next_email(tx, policy, now).await? else {
        slot.empty(tx).await?;
        return Ok(Claimed::Done(OutboxClaim::Nothing));
    };
    use_turn(tx, &row, now).await?;
    slot.take(tx, now.plus(policy.notice_pause)).await?;
    lease_notice(tx, &row, policy, now).await
}

async fn lease_notice(
    tx: &mut Tx,
    row: &OutboxRow,
    policy: &MailPolicy,
    now: Timestamp,
) -> Result<Claimed, Fault> {
    let notice =
        Notice::of_name(&row.letter).ok_or_else(|| corrupt("an unknown kind of notice"))?;
    let mailbox = row.recipient.clone().ok_or_else(|| corrupt("a notice without a recipient"))?;
    let recipient = Recipient { mailbox, username: row.username.clone().unwrap_or_default() };
    lease(tx, row, recipient, MailKind::Notice(notice), policy, now).await
}

/// Claims the next code email that the rate limit of its address allows: the one of the network
/// that was served longest ago. Then decides what to send. Addresses with and without an account
/// are treated alike up to that decision, and nothing that a client can see depends on it. Never
/// waits for a locked verification, since its transaction may wait for the mail slot that this one
/// has locked.
async fn code(tx: &mut Tx, policy: &MailPolicy, now: Timestamp) -> Result<Claimed, Fault> {
    let Some(slot) = free_slot(tx, false, now).await? else { return Ok(Claimed::NotDue) };
    let Some(row) = slot.next_email(tx, policy, now).await? else {
        match slot.next_share(tx, policy, now).await? {
            Some(at) => slot.block(tx, at).await?,
            None => slot.empty(tx).await?,
        }
        return Ok(Claimed::Done(OutboxClaim::Nothing));
    };
    let verification = match row.verification_id {
        Some(id) if now.since(Timestamp(row.created_at)) < policy.max_age => {
            let select = concat!(
                "SELECT ",
                verification_columns!(),
                " FROM verifications WHERE id = $1",
                lock_row_or_skip!()
            );
            let unlocked: Option<VerificationRow> =
                tx.optional(sqlx::query_as(select).bind(id)).await?;
            if unlocked.is_none() && exists(tx, id).await? {
                return Ok(Claimed::Locked);
            }
            unlocked
        }
        _ => None,
    };
    let Some(verification) = verification.filter(|verification| verification.is_open(policy))
    else {
        // Void, out of guesses, or too old to be of use: the slot stays free for the next.
        settle(tx, row.id, now).await?;
        slot.take(tx, now).await?;
        return Ok(Claimed::Done(OutboxClaim::Nothing));
    };
    use_turn(tx, &row, now).await?;
    let next_at = slot.next_code(tx, policy, now).await?;
    slot.take(tx, next_at).await?;
    let delivery = (policy.deliver)(pending_code(tx, &verification).await?);
    let is_dead = matches!(delivery, CodeDelivery::Notify(_));
    issue(tx, &verification, is_dead, policy, now).await?;
    let set_generation = sqlx::query("UPDATE outbox SET generation = $2 WHERE id = $1");
    tx.run(set_generation.bind(row.id).bind(verification.generation)).await?;

    match delivery {
        CodeDelivery::Send(recipient) => {
            lease(tx, &row, recipient, code_mail(&verification)?, policy, now).await
        }
        CodeDelivery::Notify(owner) => {
            settle(tx, row.id, now).await?;
            let Recipient { mailbox, username } = &owner;
            let request = NoticeRequest { notice: Notice::AlreadyRegistered, client: &row.client };
            queue_notice(tx, request, mailbox, username, row.rank, now).await?;
            Ok(Claimed::Done(OutboxClaim::Nothing))
        }
        CodeDelivery::Drop => {
            settle(tx, row.id, now).await?;
            Ok(Claimed::Done(OutboxClaim::Nothing))
        }
    }
}

async fn use_turn(tx: &mut Tx, row: &OutboxRow, now: Timestamp) -> Result<(), Fault> {
    let turn = sqlx::query("UPDATE outbox SET turn_at = $2 WHERE id = $1");
    tx.run(turn.bind(row.id).bind(now.0)).await.map(drop)
}

/// Reads the accounts that a due code concerns: the one it was requested for, and the one with the
/// address.
async fn pending_code(tx: &mut Tx, verification: &VerificationRow) -> Result<PendingCode, Fault> {
    let subject = sqlx::query_as("SELECT mailbox, username FROM users WHERE id = $1");
    let subject: Option<RecipientRow> = tx.optional(subject.bind(verification.user_id)).await?;
    let holder = sqlx::query_as("SELECT mailbox, username FROM users WHERE email_key = $1");
    let holder: Option<RecipientRow> = tx.optional(holder.bind(&verification.email_key)).await?;
    Ok(PendingCode {
        purpose: verification.purpose()?,
        address: verification.mailbox.clone(),
        dead: verification.dead != 0,
        subject: subject.map(Recipient::from),
        holder: holder.map(Recipient::from),
    })
}

async fn exists(tx: &mut Tx, verification_id: Uuid) -> Result<bool, Fault> {
    let query =
        sqlx::query_as("SELECT created_at FROM verifications WHERE id = $1").bind(verification_id);
    let found: Option<(i64,)> = tx.optional(query).await?;
    Ok(found.is_some())
}

fn code_mail(verification: &VerificationRow) -> Result<MailKind, Fault> {
    Ok(MailKind::Code {
        purpose: verification.purpose()?,
        verification_id: verification.id,
        generation: verification.generation()?,
        kid: verification.kid.clone(),
    })
}

/// Starts the lifetime of a code, of which none is correct any more if `is_dead` is set. Its
/// generation and wrong guesses are unchanged, because clients can see their effect. The row is
/// updated once: a second update in a transaction would also lock the user, which a deletion locks
/// first.
async fn issue(
    tx: &mut Tx,
    verification: &VerificationRow,
    is_dead: bool,
    policy: &MailPolicy,
    now: Timestamp,
) -> Result<(), Fault> {
    let issue = sqlx::query(
        "UPDATE verifications SET claimed_at = $2, expires_at = $3,
                                  dead = CASE WHEN $4 = 1 THEN 1 ELSE dead END WHERE id = $1",
    )
    .bind(verification.id)
    .bind(now.0)
    .bind(now.plus(policy.code_life).0)
    .bind(i64::from(is_dead));
    tx.run(issue).await?;
    Ok(())
}

/// Leases an email to one worker, with its final recipient: no other worker can claim it before the
/// lease ends.
async fn lease(
    tx: &mut Tx,
    row: &OutboxRow,
    recipient: Recipient,
    kind: MailKind,
    policy: &MailPolicy,
    now: Timestamp,
) -> Result<Claimed, Fault> {
    let lease = sqlx::query(
        "UPDATE outbox SET attempts = attempts + 1, due_at = $2, recipient = $3, username = $4
         WHERE id = $1",
    )
    .bind(row.id)
    .bind(now.plus(policy.lease).0)
    .bind(&recipient.mailbox)
    .bind(&recipient.username);
    tx.run(lease).await?;
    Ok(Claimed::Done(OutboxClaim::Mail(ClaimedMail {
        id: row.id,
        created_at: Timestamp(row.created_at),
        attempt: u32::try_from(row.attempts + 1).unwrap_or(u32::MAX),
        unexplained: row.unexplained != 0,
        recipient,
        kind,
    })))
}

/// Marks an email as completed without having been sent.
async fn settle(tx: &mut Tx, id: Uuid, now: Timestamp) -> Result<(), Fault> {
    let settle = sqlx::query("UPDATE outbox SET settled_at = $2 WHERE id = $1");
    tx.run(settle.bind(id).bind(now.0)).await?;
    Ok(())
}
