//! The outbox: which email is due, and what it contains.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{self, VerificationRow};
use super::tx::Tx;
use super::{SqlStore, corrupt};
use crate::domain::{
    ClaimedMail, CodeDelivery, Fault, MailKind, MailPolicy, Notice, Outbox, OutboxClaim,
    PendingCode, Recipient, Timestamp,
};

/// The time after which a verification that another transaction has locked is tried again.
const LOCKED_PAUSE: Duration = Duration::from_millis(20);

#[derive(sqlx::FromRow)]
struct OutboxRow {
    id: Uuid,
    letter: String,
    verification_id: Option<Uuid>,
    recipient: Option<String>,
    username: Option<String>,
    generation: Option<i64>,
    attempts: i64,
    created_at: i64,
}

/// The mail slot of an address and a purpose: the next email that its budget allows.
#[derive(sqlx::FromRow)]
struct SlotRow {
    budget_key: String,
    letter: String,
}

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

#[async_trait]
impl Outbox for SqlStore {
    async fn claim(&self, policy: &MailPolicy, now: Timestamp) -> Result<OutboxClaim, Fault> {
        let mut tx = self.pools.write().await?;
        let claim = match due(&mut tx, policy, now).await? {
            Some(claim) => claim,
            None => match free_slot(&mut tx, now).await? {
                Some(slot) => match use_slot(&mut tx, slot, policy, now).await? {
                    Some(claim) => claim,
                    None => {
                        let retry = now.plus(LOCKED_PAUSE);
                        return tx.undo(OutboxClaim::Idle(Some(retry))).await;
                    }
                },
                None => {
                    let soon = next_due(&mut tx).await?;
                    return tx.undo(OutboxClaim::Idle(soon)).await;
                }
            },
        };
        tx.commit().await?;
        Ok(claim)
    }

    async fn settle(&self, id: Uuid, now: Timestamp) -> Result<(), Fault> {
        let mut tx = self.pools.write().await?;
        settle(&mut tx, id, now).await?;
        tx.commit().await
    }

    async fn retry_at(&self, id: Uuid, at: Timestamp) -> Result<(), Fault> {
        let mut tx = self.pools.write().await?;
        let retry = "UPDATE outbox SET due_at = $2 WHERE id = $1 AND settled_at IS NULL";
        tx.run(sqlx::query(retry).bind(id).bind(at.0)).await?;
        tx.commit().await
    }
}

/// Claims an email that has had its slot and is to be sent, or sent again.
async fn due(
    tx: &mut Tx,
    policy: &MailPolicy,
    now: Timestamp,
) -> Result<Option<OutboxClaim>, Fault> {
    let select = concat!(
        "SELECT ",
        outbox_columns!(),
        " FROM outbox WHERE turn_at IS NOT NULL AND settled_at IS NULL AND due_at <= $1
         ORDER BY due_at LIMIT 1",
        lock_row_or_skip!()
    );
    let row: Option<OutboxRow> = tx.optional(sqlx::query_as(select).bind(now.0)).await?;
    let Some(row) = row else { return Ok(None) };
    let username = row.username.clone().unwrap_or_default();
    let Some(verification_id) = row.verification_id else {
        let notice =
            Notice::of_name(&row.letter).ok_or_else(|| corrupt("an unknown kind of notice"))?;
        let mailbox =
            row.recipient.clone().ok_or_else(|| corrupt("a notice without a recipient"))?;
        let recipient = Recipient { mailbox, username };
        return lease(tx, &row, recipient, MailKind::Notice(notice), policy, now).await.map(Some);
    };
    // A retried email carries the same code, and its lifetime starts again. A code that is spent is
    // not sent again.
    let select = concat!(
        "SELECT ",
        verification_columns!(),
        " FROM verifications WHERE id = $1",
        lock_row!()
    );
    let verification: Option<VerificationRow> =
        tx.optional(sqlx::query_as(select).bind(verification_id)).await?;
    let current = verification.filter(|v| {
        Some(v.generation) == row.generation && v.guesses < i64::from(policy.max_guesses)
    });
    let (Some(verification), Some(mailbox)) = (current, row.recipient.clone()) else {
        settle(tx, row.id, now).await?;
        return Ok(Some(OutboxClaim::Nothing));
    };
    let generation = verification.generation;
    issue(tx, &verification, generation, verification.guesses, policy, now).await?;
    let kind = code_mail(&verification, generation)?;
    lease(tx, &row, Recipient { mailbox, username }, kind, policy, now).await.map(Some)
}

/// Finds a mail slot that is free: its budget allows an email now.
async fn free_slot(tx: &mut Tx, now: Timestamp) -> Result<Option<SlotRow>, Fault> {
    let select = concat!(
        "SELECT budget_key, letter FROM mail_turns WHERE waiting > 0 AND next_at <= $1
         ORDER BY next_at LIMIT 1",
        lock_row_or_skip!()
    );
    tx.optional(sqlx::query_as(select).bind(now.0)).await
}

/// Uses a slot for the client that was served longest ago, charges the address's budget, and
/// decides what to send. Known, unknown and pending addresses are treated alike up to that
/// decision, so nothing that a client can see depends on it. Returns `None` where the verification
/// is locked by a transaction that may wait for this slot: waiting for it would deadlock.
async fn use_slot(
    tx: &mut Tx,
    slot: SlotRow,
    policy: &MailPolicy,
    now: Timestamp,
) -> Result<Option<OutboxClaim>, Fault> {
    let select = concat!(
        "SELECT ",
        outbox_columns!(),
        " FROM outbox
         LEFT JOIN (SELECT client, MAX(turn_at) AS served FROM outbox
                    WHERE budget_key = $1 AND letter = $2 AND turn_at IS NOT NULL GROUP BY client) AS clients
         ON clients.client = outbox.client
         WHERE budget_key = $1 AND letter = $2 AND turn_at IS NULL AND settled_at IS NULL
         ORDER BY COALESCE(served, 0), created_at, id LIMIT 1"
    );
    let oldest = sqlx::query_as(select).bind(&slot.budget_key).bind(&slot.letter);
    let row: Option<OutboxRow> = tx.optional(oldest).await?;
    let Some(row) = row else {
        set_slot(tx, &slot, None, false, now).await?;
        return Ok(Some(OutboxClaim::Nothing));
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
                return Ok(None);
            }
            unlocked
        }
        _ => None,
    };
    let Some(verification) = verification else {
        // Voided while it waited, or too old to be of use: the slot stays free for the next.
        settle(tx, row.id, now).await?;
        set_slot(tx, &slot, None, true, now).await?;
        return Ok(Some(OutboxClaim::Nothing));
    };
    let use_slot = sqlx::query("UPDATE outbox SET turn_at = $2 WHERE id = $1");
    tx.run(use_slot.bind(row.id).bind(now.0)).await?;
    let next_at = next_slot(tx, &slot, policy, now).await?;
    set_slot(tx, &slot, Some(next_at), true, now).await?;

    let alive = verification.expires_at.is_some_and(|at| at > now.0)
        && verification.guesses < i64::from(policy.max_guesses);
    let (generation, guesses) = match alive {
        true => (verification.generation, verification.guesses),
        false => (verification.generation + 1, 0),
    };
    issue(tx, &verification, generation, guesses, policy, now).await?;
    let set_generation = sqlx::query("UPDATE outbox SET generation = $2 WHERE id = $1");
    tx.run(set_generation.bind(row.id).bind(generation)).await?;

    let pending = pending_code(tx, &verification).await?;
    match (policy.deliver)(pending) {
        CodeDelivery::Send(recipient) => {
            let kind = code_mail(&verification, generation)?;
            lease(tx, &row, recipient, kind, policy, now).await.map(Some)
        }
        CodeDelivery::Notify(owner) => {
            let void = sqlx::query("UPDATE verifications SET dead = 1 WHERE id = $1");
            tx.run(void.bind(verification.id)).await?;
            settle(tx, row.id, now).await?;
            notify_owner(tx, &slot, &owner, policy, now).await?;
            Ok(Some(OutboxClaim::Nothing))
        }
        CodeDelivery::Drop => {
            settle(tx, row.id, now).await?;
            Ok(Some(OutboxClaim::Nothing))
        }
    }
}

/// Reads the accounts that a due code concerns.
async fn pending_code(tx: &mut Tx, verification: &VerificationRow) -> Result<PendingCode, Fault> {
    let subject = sqlx::query_as("SELECT mailbox, username FROM users WHERE id = $1");
    let subject: Option<RecipientRow> = tx.optional(subject.bind(verification.user_id)).await?;
    let holder = sqlx::query_as("SELECT mailbox, username FROM users WHERE email_key = $1");
    let holder: Option<RecipientRow> = tx.optional(holder.bind(&verification.email_key)).await?;
    Ok(PendingCode {
        purpose: verification.purpose()?,
        requested: Recipient {
            mailbox: verification.mailbox.clone(),
            username: verification.username.clone().unwrap_or_default(),
        },
        dead: verification.dead != 0,
        subject: subject.map(Recipient::from),
        holder: holder.map(Recipient::from),
    })
}

/// Notifies the owner of an address that it was typed, unless they were notified recently.
async fn notify_owner(
    tx: &mut Tx,
    slot: &SlotRow,
    owner: &Recipient,
    policy: &MailPolicy,
    now: Timestamp,
) -> Result<(), Fault> {
    // For any purpose: it is the same news to the same person.
    let last = sqlx::query_as("SELECT MAX(noticed_at) FROM mail_turns WHERE budget_key = $1")
        .bind(&slot.budget_key);
    let (noticed_at,): (Option<i64>,) = tx.one(last).await?;
    if noticed_at.is_some_and(|at| now.since(Timestamp(at)) < policy.notice_pause) {
        return Ok(());
    }
    let Recipient { mailbox, username } = owner;
    rows::queue_notice(tx, Notice::AlreadyRegistered, mailbox, username, now).await?;
    let noticed =
        sqlx::query("UPDATE mail_turns SET noticed_at = $3 WHERE budget_key = $1 AND letter = $2")
            .bind(&slot.budget_key)
            .bind(&slot.letter)
            .bind(now.0);
    tx.run(noticed).await?;
    Ok(())
}

async fn exists(tx: &mut Tx, verification_id: Uuid) -> Result<bool, Fault> {
    let query =
        sqlx::query_as("SELECT created_at FROM verifications WHERE id = $1").bind(verification_id);
    let found: Option<(i64,)> = tx.optional(query).await?;
    Ok(found.is_some())
}

fn code_mail(verification: &VerificationRow, generation: i64) -> Result<MailKind, Fault> {
    Ok(MailKind::Code {
        purpose: verification.purpose()?,
        verification_id: verification.id,
        generation: u32::try_from(generation)
            .map_err(|_| corrupt("an invalid generation of a code"))?,
        kid: verification.kid.clone(),
    })
}

/// Starts the lifetime of a code.
async fn issue(
    tx: &mut Tx,
    verification: &VerificationRow,
    generation: i64,
    guesses: i64,
    policy: &MailPolicy,
    now: Timestamp,
) -> Result<(), Fault> {
    let issue = sqlx::query(
        "UPDATE verifications SET generation = $2, guesses = $3, claimed_at = $4, expires_at = $5
         WHERE id = $1",
    )
    .bind(verification.id)
    .bind(generation)
    .bind(guesses)
    .bind(now.0)
    .bind(now.plus(policy.code_life).0);
    tx.run(issue).await?;
    Ok(())
}

/// Leases an email to one worker: no other worker can claim it before the lease ends.
async fn lease(
    tx: &mut Tx,
    row: &OutboxRow,
    recipient: Recipient,
    kind: MailKind,
    policy: &MailPolicy,
    now: Timestamp,
) -> Result<OutboxClaim, Fault> {
    let lease = sqlx::query(
        "UPDATE outbox SET attempts = attempts + 1, due_at = $2, recipient = $3, username = $4
         WHERE id = $1",
    )
    .bind(row.id)
    .bind(now.plus(policy.lease).0)
    .bind(&recipient.mailbox)
    .bind(&recipient.username);
    tx.run(lease).await?;
    Ok(OutboxClaim::Mail(ClaimedMail {
        id: row.id,
        created_at: Timestamp(row.created_at),
        attempt: u32::try_from(row.attempts + 1).unwrap_or(u32::MAX),
        recipient,
        kind,
    }))
}

async fn settle(tx: &mut Tx, id: Uuid, now: Timestamp) -> Result<(), Fault> {
    let settle = sqlx::query("UPDATE outbox SET settled_at = $2 WHERE id = $1");
    tx.run(settle.bind(id).bind(now.0)).await?;
    Ok(())
}

/// Stores the time of the next slot, which is now where none was used, and the number of waiting
/// emails: one less, or zero.
async fn set_slot(
    tx: &mut Tx,
    slot: &SlotRow,
    next_at: Option<Timestamp>,
    one_less: bool,
    now: Timestamp,
) -> Result<(), Fault> {
    let statement = if one_less {
        "UPDATE mail_turns SET waiting = waiting - 1, next_at = $3
         WHERE budget_key = $1 AND letter = $2"
    } else {
        "UPDATE mail_turns SET waiting = 0, next_at = $3 WHERE budget_key = $1 AND letter = $2"
    };
    let update = sqlx::query(statement)
        .bind(&slot.budget_key)
        .bind(&slot.letter)
        .bind(next_at.unwrap_or(now).0);
    tx.run(update).await?;
    Ok(())
}

/// Returns the time at which the budget allows the next email: after the pause, and when the oldest
/// email of each full period has left it.
async fn next_slot(
    tx: &mut Tx,
    slot: &SlotRow,
    policy: &MailPolicy,
    now: Timestamp,
) -> Result<Timestamp, Fault> {
    let mut next = now.plus(policy.pause);
    for (period, max) in policy.windows {
        let oldest = sqlx::query_as(
            "SELECT turn_at FROM outbox WHERE budget_key = $1 AND letter = $2 AND turn_at > $3
             ORDER BY turn_at DESC LIMIT 1 OFFSET $4",
        )
        .bind(&slot.budget_key)
        .bind(&slot.letter)
        .bind(now.minus(period).0)
        .bind(i64::from(max) - 1);
        let oldest: Option<(i64,)> = tx.optional(oldest).await?;
        if let Some((at,)) = oldest {
            next = next.max(Timestamp(at).plus(period));
        }
    }
    Ok(next)
}

/// Returns the time at which the next email will be due.
async fn next_due(tx: &mut Tx) -> Result<Option<Timestamp>, Fault> {
    let (at,): (Option<i64>,) = tx
        .one(sqlx::query_as(
            "SELECT MIN(at) FROM (
             SELECT MIN(due_at) AS at FROM outbox WHERE turn_at IS NOT NULL AND settled_at IS NULL
             UNION ALL SELECT MIN(next_at) AS at FROM mail_turns WHERE waiting > 0
         ) AS soon",
        ))
        .await?;
    Ok(at.map(Timestamp))
}
