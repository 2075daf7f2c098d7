//! The outbox: whose turn it is, and what its mail says.

use async_trait::async_trait;
use uuid::Uuid;

use super::rows::VerificationRow;
use super::tx::Tx;
use super::{SqlStore, corrupt};
use crate::domain::mail::{Claim, ClaimedMail, Letter, Notice};
use crate::domain::ports::{MailBudget, Outbox};
use crate::domain::records::Purpose;
use crate::domain::{Fault, Timestamp};

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
/// When to look again at a verification that is being changed.
const HELD_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

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

#[derive(sqlx::FromRow)]
struct TurnRow {
    budget_key: String,
    letter: String,
}

#[async_trait]
impl Outbox for SqlStore {
    async fn claim(&self, budget: &MailBudget, now: Timestamp) -> Result<Claim, Fault> {
        let mut tx = self.pools.write().await?;
        let claim = match due(&mut tx, budget, now).await? {
            Some(claim) => claim,
            None => match turn(&mut tx, now).await? {
                Some(turn) => match take_turn(&mut tx, turn, budget, now).await? {
                    Some(claim) => claim,
                    None => return tx.undo(Claim::Idle(Some(now.plus(HELD_PAUSE)))).await,
                },
                None => {
                    let soon = next(&mut tx).await?;
                    return tx.undo(Claim::Idle(soon)).await;
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
        tx.run(
            sqlx::query("UPDATE outbox SET due_at = $2 WHERE id = $1 AND settled_at IS NULL")
                .bind(id)
                .bind(at.0),
        )
        .await?;
        tx.commit().await
    }
}

/// A mail that has had its turn and is to be sent, or sent again.
async fn due(tx: &mut Tx, budget: &MailBudget, now: Timestamp) -> Result<Option<Claim>, Fault> {
    let row: Option<OutboxRow> = tx.optional(sqlx::query_as(
        concat!("SELECT ", outbox_columns!(), " FROM outbox WHERE turn_at IS NOT NULL AND settled_at IS NULL AND due_at <= $1 ORDER BY due_at LIMIT 1", hold_unless_held!()),
    )
    .bind(now.0)).await?;
    let Some(row) = row else { return Ok(None) };
    let Some(verification_id) = row.verification_id else {
        let notice = Notice::of_name(&row.letter).ok_or_else(|| corrupt("a letter"))?;
        let to = row.recipient.clone().ok_or_else(|| corrupt("a notice to nobody"))?;
        let username = row.username.clone().unwrap_or_default();
        return lease(tx, &row, to, username, Letter::Notice(notice), budget, now).await.map(Some);
    };
    // A repeated mail carries the same code, and the code lives from now; but a code that is spent
    // is not mailed again.
    let select =
        concat!("SELECT ", verification_columns!(), " FROM verifications WHERE id = $1", hold!());
    let verification: Option<VerificationRow> =
        tx.optional(sqlx::query_as(select).bind(verification_id)).await?;
    let current = verification
        .filter(|v| Some(v.generation) == row.generation && v.guesses < i64::from(budget.guesses));
    let (Some(verification), Some(to)) = (current, row.recipient.clone()) else {
        settle(tx, row.id, now).await?;
        return Ok(Some(Claim::Nothing));
    };
    issue(tx, &verification, verification.generation, verification.guesses, budget, now).await?;
    let username = row.username.clone().unwrap_or_default();
    let letter = code_letter(&verification, verification.generation)?;
    lease(tx, &row, to, username, letter, budget, now).await.map(Some)
}

/// The address and purpose whose turn it is.
async fn turn(tx: &mut Tx, now: Timestamp) -> Result<Option<TurnRow>, Fault> {
    tx.optional(
        sqlx::query_as(concat!(
            "SELECT budget_key, letter FROM mail_turns WHERE waiting > 0 AND next_at <= $1 ORDER BY next_at LIMIT 1",
            hold_unless_held!()
        ))
        .bind(now.0),
    )
    .await
}

/// Serves the client that was served longest ago, spends the address's budget, and finds out what
/// the mail says. Known, unknown and pending addresses go the same way up to here, so that nothing
/// a client can see depends on it. `None` where the verification is held by somebody who may wait
/// for this turn: to wait for them too would never end.
async fn take_turn(
    tx: &mut Tx,
    turn: TurnRow,
    budget: &MailBudget,
    now: Timestamp,
) -> Result<Option<Claim>, Fault> {
    let row: Option<OutboxRow> = tx
        .optional(
            sqlx::query_as(concat!(
                "SELECT ",
                outbox_columns!(),
                " FROM outbox
         LEFT JOIN (SELECT client, MAX(turn_at) AS served FROM outbox
                    WHERE budget_key = $1 AND letter = $2 AND turn_at IS NOT NULL GROUP BY client) AS clients
         ON clients.client = outbox.client
         WHERE budget_key = $1 AND letter = $2 AND turn_at IS NULL AND settled_at IS NULL
         ORDER BY COALESCE(served, 0), created_at, id LIMIT 1"
            ))
            .bind(&turn.budget_key)
            .bind(&turn.letter),
        )
        .await?;
    let Some(row) = row else {
        set_turn(tx, &turn, None, false, now).await?;
        return Ok(Some(Claim::Nothing));
    };
    let verification = match row.verification_id {
        Some(id) if now.since(Timestamp(row.created_at)) < budget.patience => {
            let select = concat!(
                "SELECT ",
                verification_columns!(),
                " FROM verifications WHERE id = $1",
                hold_unless_held!()
            );
            let free: Option<VerificationRow> =
                tx.optional(sqlx::query_as(select).bind(id)).await?;
            if free.is_none() && exists(tx, id).await? {
                return Ok(None);
            }
            free
        }
        _ => None,
    };
    let Some(verification) = verification else {
        // Voided while it waited, or too old to be of use: its turn goes to the next.
        settle(tx, row.id, now).await?;
        set_turn(tx, &turn, None, true, now).await?;
        return Ok(Some(Claim::Nothing));
    };
    tx.run(sqlx::query("UPDATE outbox SET turn_at = $2 WHERE id = $1").bind(row.id).bind(now.0))
        .await?;
    let next_at = next_turn(tx, &turn, budget, now).await?;
    set_turn(tx, &turn, Some(next_at), true, now).await?;

    let alive = verification.expires_at.is_some_and(|at| at > now.0)
        && verification.guesses < i64::from(budget.guesses);
    let (generation, guesses) = if alive {
        (verification.generation, verification.guesses)
    } else {
        (verification.generation + 1, 0)
    };
    issue(tx, &verification, generation, guesses, budget, now).await?;
    tx.run(
        sqlx::query("UPDATE outbox SET generation = $2 WHERE id = $1")
            .bind(row.id)
            .bind(generation),
    )
    .await?;

    let owner: Option<(String, String)> = match verification.purpose()? {
        Purpose::PasswordReset => {
            owner_by(tx, "SELECT mailbox, username FROM users WHERE id = $1", verification.user_id)
                .await?
        }
        Purpose::Registration | Purpose::EmailChange => {
            let known: Option<(String, String)> = tx
                .optional(
                    sqlx::query_as("SELECT mailbox, username FROM users WHERE email_key = $1")
                        .bind(&verification.email_key),
                )
                .await?;
            if let Some(owner) = known {
                return notice_owner(tx, &turn, &row, &verification, owner, budget, now)
                    .await
                    .map(Some);
            }
            let username = match verification.username.clone() {
                Some(name) => name,
                None => owner_by(
                    tx,
                    "SELECT mailbox, username FROM users WHERE id = $1",
                    verification.user_id,
                )
                .await?
                .map(|(_, name)| name)
                .unwrap_or_default(),
            };
            // An address that was somebody's when the row was written stays dead: who has it now
            // did not ask.
            (verification.dead == 0).then(|| (verification.mailbox.clone(), username))
        }
    };
    let Some((to, username)) = owner else {
        settle(tx, row.id, now).await?;
        return Ok(Some(Claim::Nothing));
    };
    let letter = code_letter(&verification, generation)?;
    lease(tx, &row, to, username, letter, budget, now).await.map(Some)
}

/// Tells the owner of a known address that somebody typed it, unless they were told within the
/// hour.
async fn notice_owner(
    tx: &mut Tx,
    turn: &TurnRow,
    row: &OutboxRow,
    verification: &VerificationRow,
    (mailbox, username): (String, String),
    budget: &MailBudget,
    now: Timestamp,
) -> Result<Claim, Fault> {
    tx.run(sqlx::query("UPDATE verifications SET dead = 1 WHERE id = $1").bind(verification.id))
        .await?;
    settle(tx, row.id, now).await?;
    // By whichever purpose: it is the same news to the same person.
    let last = sqlx::query_as("SELECT MAX(noticed_at) FROM mail_turns WHERE budget_key = $1")
        .bind(&turn.budget_key);
    let (noticed_at,): (Option<i64>,) = tx.one(last).await?;
    let told = noticed_at.is_some_and(|at| now.since(Timestamp(at)) < budget.notice_pause);
    if !told {
        super::rows::notify(tx, Notice::AlreadyRegistered, &mailbox, &username, now).await?;
        tx.run(
            sqlx::query(
                "UPDATE mail_turns SET noticed_at = $3 WHERE budget_key = $1 AND letter = $2",
            )
            .bind(&turn.budget_key)
            .bind(&turn.letter)
            .bind(now.0),
        )
        .await?;
    }
    Ok(Claim::Nothing)
}

async fn owner_by(
    tx: &mut Tx,
    statement: &'static str,
    id: Option<Uuid>,
) -> Result<Option<(String, String)>, Fault> {
    tx.optional(sqlx::query_as(statement).bind(id)).await
}

async fn exists(tx: &mut Tx, verification_id: Uuid) -> Result<bool, Fault> {
    let query =
        sqlx::query_as("SELECT created_at FROM verifications WHERE id = $1").bind(verification_id);
    let found: Option<(i64,)> = tx.optional(query).await?;
    Ok(found.is_some())
}

fn code_letter(verification: &VerificationRow, generation: i64) -> Result<Letter, Fault> {
    Ok(Letter::Code {
        purpose: verification.purpose()?,
        verification_id: verification.id,
        generation: u32::try_from(generation).map_err(|_| corrupt("a generation"))?,
        kid: verification.kid.clone(),
    })
}

/// Makes a code valid from now.
async fn issue(
    tx: &mut Tx,
    verification: &VerificationRow,
    generation: i64,
    guesses: i64,
    budget: &MailBudget,
    now: Timestamp,
) -> Result<(), Fault> {
    tx.run(
        sqlx::query(
            "UPDATE verifications SET generation = $2, guesses = $3, claimed_at = $4, expires_at = $5 WHERE id = $1",
        )
        .bind(verification.id)
        .bind(generation)
        .bind(guesses)
        .bind(now.0)
        .bind(now.plus(budget.code_life).0),
    )
    .await?;
    Ok(())
}

/// Holds a mail for one worker: nobody else sees it before the lease ends.
async fn lease(
    tx: &mut Tx,
    row: &OutboxRow,
    to: String,
    username: String,
    letter: Letter,
    budget: &MailBudget,
    now: Timestamp,
) -> Result<Claim, Fault> {
    tx.run(
        sqlx::query(
            "UPDATE outbox SET attempts = attempts + 1, due_at = $2, recipient = $3, username = $4 WHERE id = $1",
        )
        .bind(row.id)
        .bind(now.plus(budget.lease).0)
        .bind(&to)
        .bind(&username),
    )
    .await?;
    Ok(Claim::Mail(ClaimedMail {
        id: row.id,
        created_at: Timestamp(row.created_at),
        attempt: u32::try_from(row.attempts + 1).unwrap_or(u32::MAX),
        to,
        username,
        letter,
    }))
}

async fn settle(tx: &mut Tx, id: Uuid, now: Timestamp) -> Result<(), Fault> {
    tx.run(sqlx::query("UPDATE outbox SET settled_at = $2 WHERE id = $1").bind(id).bind(now.0))
        .await?;
    Ok(())
}

/// Notes that a turn was used, and when the next one is.
async fn set_turn(
    tx: &mut Tx,
    turn: &TurnRow,
    next_at: Option<Timestamp>,
    one_less: bool,
    now: Timestamp,
) -> Result<(), Fault> {
    let statement = if one_less {
        "UPDATE mail_turns SET waiting = waiting - 1, next_at = $3 WHERE budget_key = $1 AND letter = $2"
    } else {
        "UPDATE mail_turns SET waiting = 0, next_at = $3 WHERE budget_key = $1 AND letter = $2"
    };
    tx.run(
        sqlx::query(statement)
            .bind(&turn.budget_key)
            .bind(&turn.letter)
            .bind(next_at.unwrap_or(now).0),
    )
    .await?;
    Ok(())
}

/// When the budget allows the next mail: after the pause, and when the oldest of an hour's and a
/// day's mails has aged.
async fn next_turn(
    tx: &mut Tx,
    turn: &TurnRow,
    budget: &MailBudget,
    now: Timestamp,
) -> Result<Timestamp, Fault> {
    let mut next = now.plus(budget.pause);
    // A code of the day before can still be guessed at while it lives, so a day of guesses begins
    // that much earlier.
    for (window, most) in [(HOUR, budget.per_hour), (DAY + budget.code_life, budget.per_day)] {
        let oldest: Option<(i64,)> = tx
            .optional(
                sqlx::query_as(
                    "SELECT turn_at FROM outbox WHERE budget_key = $1 AND letter = $2 AND turn_at > $3
             ORDER BY turn_at DESC LIMIT 1 OFFSET $4",
                )
                .bind(&turn.budget_key)
                .bind(&turn.letter)
                .bind(now.minus(window).0)
                .bind(i64::from(most) - 1),
            )
            .await?;
        if let Some((at,)) = oldest {
            next = next.max(Timestamp(at).plus(window));
        }
    }
    Ok(next)
}

/// When something will be due.
async fn next(tx: &mut Tx) -> Result<Option<Timestamp>, Fault> {
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
