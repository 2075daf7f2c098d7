//! Queueing of emails: a code waits for the mail slot of its address and purpose, a notice for the
//! mail slot of its address and kind. The emails of each requesting network are ranked so that all
//! networks are served fairly.

use std::time::Duration;

use uuid::Uuid;

use super::tx::Tx;
use crate::domain::{Fault, NoticeRequest, PendingLimit, Purpose, Timestamp};

/// Difference in rank between two emails that one network requests at the same time, in
/// milliseconds. The first email of any other network is sent before the second one.
pub(super) const RANK_STEP: i64 = 1000;

/// Code email to queue.
pub(super) struct QueuedCode<'a> {
    pub(super) verification_id: Uuid,
    pub(super) purpose: Purpose,
    /// Form of the email address under which emails to it are counted.
    pub(super) budget_key: &'a str,
    pub(super) client: &'a str,
    /// Set if the account has logged in from the network, which then has an email rate limit of its
    /// own.
    pub(super) known: bool,
    pub(super) rank: i64,
}

/// Queues a code email, and counts it in its mail slot.
pub(super) async fn queue_code(
    tx: &mut Tx,
    code: &QueuedCode<'_>,
    now: Timestamp,
) -> Result<(), Fault> {
    // A mail slot that nobody else can use up.
    let own_key = format!("{} {}", code.client, code.budget_key);
    let budget_key = if code.known { own_key.as_str() } else { code.budget_key };
    let rank = code.rank;
    let insert = sqlx::query(
        "INSERT INTO outbox (id, letter, verification_id, budget_key, client, created_at, due_at, rank)
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7)",
    )
    .bind(Uuid::now_v7())
    .bind(code.purpose.name())
    .bind(code.verification_id)
    .bind(budget_key)
    .bind(code.client)
    .bind(now.0)
    .bind(rank);
    tx.run(insert).await?;
    // The slot may be blocked because the networks that wait for it have had their share.
    let slot = sqlx::query(
        "INSERT INTO mail_turns (budget_key, letter, next_at, budget_at, waiting, rank, notice)
         VALUES ($1, $2, $3, $3, 1, $4, 0)
         ON CONFLICT (budget_key, letter) DO UPDATE SET waiting = mail_turns.waiting + 1,
             next_at = mail_turns.budget_at,
             rank = CASE
                 WHEN mail_turns.waiting > 0 AND mail_turns.rank < excluded.rank THEN mail_turns.rank
                 WHEN mail_turns.budget_at > excluded.rank THEN mail_turns.budget_at
                 ELSE excluded.rank END",
    )
    .bind(budget_key)
    .bind(code.purpose.name())
    .bind(now.0)
    .bind(rank);
    tx.run(slot).await?;
    Ok(())
}

/// Queues a notice to the user of an account, unless a notice of the same kind already waits for
/// the same address.
pub(super) async fn queue_notice(
    tx: &mut Tx,
    NoticeRequest { notice, client }: NoticeRequest<'_>,
    mailbox: &str,
    username: &str,
    rank: i64,
    now: Timestamp,
) -> Result<(), Fault> {
    // With the suffix, since another suffix may belong to another account.
    let budget_key = mailbox.to_ascii_lowercase();
    let slot = sqlx::query_as(
        "INSERT INTO mail_turns (budget_key, letter, next_at, budget_at, waiting, rank, notice)
         VALUES ($1, $2, $3, $3, 1, $4, 1)
         ON CONFLICT (budget_key, letter) DO UPDATE SET waiting = 1,
             rank = CASE WHEN mail_turns.next_at > excluded.rank THEN mail_turns.next_at
                    ELSE excluded.rank END
         WHERE mail_turns.waiting = 0 RETURNING waiting",
    )
    .bind(&budget_key)
    .bind(notice.name())
    .bind(now.0)
    .bind(rank);
    let waits: Option<(i64,)> = tx.optional(slot).await?;
    if waits.is_none() {
        return Ok(());
    }
    let insert = sqlx::query(
        "INSERT INTO outbox (id, letter, budget_key, client, recipient, username, created_at, due_at,
                             rank)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)",
    )
    .bind(Uuid::now_v7())
    .bind(notice.name())
    .bind(&budget_key)
    .bind(client)
    .bind(mailbox)
    .bind(username)
    .bind(now.0)
    .bind(rank);
    tx.run(insert).await?;
    Ok(())
}

/// Returns the rank of the next email that a network requests: the current time in milliseconds, or
/// [`RANK_STEP`] after the network's last email. Locks the network's row until the transaction
/// ends, so it must be called before any other row is locked except the counters of an update, to
/// avoid deadlocks.
pub(super) async fn next_rank(tx: &mut Tx, client: &str, now: Timestamp) -> Result<i64, Fault> {
    let rank = sqlx::query_as(
        "INSERT INTO mail_clients (client, rank) VALUES ($1, $2)
         ON CONFLICT (client) DO UPDATE SET rank = CASE
             WHEN mail_clients.rank + $3 > excluded.rank THEN mail_clients.rank + $3
             ELSE excluded.rank END
         RETURNING rank",
    )
    .bind(client)
    .bind(now.0)
    .bind(RANK_STEP);
    let (rank,): (i64,) = tx.one(rank).await?;
    Ok(rank)
}

/// Returns the time to wait if a network has requested too many registrations and resets that are
/// pending, otherwise `None`. Must be called after [`next_rank`], so that concurrent requests of
/// the network are counted.
pub(super) async fn pending_wait(
    tx: &mut Tx,
    client: &str,
    limit: PendingLimit,
    now: Timestamp,
) -> Result<Option<Duration>, Fault> {
    let pending = sqlx::query_as(
        "SELECT COUNT(*), MIN(created_at) FROM verifications
         WHERE client = $1 AND created_at > $2 AND purpose <> $3",
    )
    .bind(client)
    .bind(now.minus(limit.life).0)
    .bind(Purpose::EmailChange.name());
    let (pending, oldest): (i64, Option<i64>) = tx.one(pending).await?;
    let wait = Timestamp(oldest.unwrap_or(now.0)).plus(limit.life).since(now);
    Ok((pending >= i64::from(limit.max)).then_some(wait))
}

/// Records that an account has logged in from a network. `client` is the keyed hash of the network;
/// nothing is recorded if it is empty.
pub(super) async fn make_known(
    tx: &mut Tx,
    user_id: Uuid,
    client: &str,
    now: Timestamp,
) -> Result<(), Fault> {
    if client.is_empty() {
        return Ok(());
    }
    let record = sqlx::query(
        "INSERT INTO known_networks (user_id, client, opened_at) VALUES ($1, $2, $3)
         ON CONFLICT (user_id, client) DO UPDATE SET opened_at = excluded.opened_at",
    );
    tx.run(record.bind(user_id).bind(client).bind(now.0)).await?;
    Ok(())
}

/// Reports whether an account has logged in from a network since the time `since`. The query is the
/// same if there is no account, so that its duration reveals nothing.
pub(super) async fn is_known(
    tx: &mut Tx,
    user_id: Option<Uuid>,
    client: &str,
    since: Timestamp,
) -> Result<bool, Fault> {
    let found = sqlx::query_as(
        "SELECT opened_at FROM known_networks WHERE user_id = $1 AND client = $2 AND opened_at > $3",
    );
    let user_id = user_id.unwrap_or(Uuid::nil());
    let found: Option<(i64,)> = tx.optional(found.bind(user_id).bind(client).bind(since.0)).await?;
    Ok(found.is_some())
}
