//! The audit log: entries, which are written in the transaction of their change, and the hash chain
//! into which they are sealed.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::super::Db;
use super::calls::{self, Function, Nothing};
use super::tx::Tx;
use super::{SqlStore, corrupt};
use crate::domain::{
    AuditChain, AuditEntry, AuditEvent, AuditFilter, AuditRecord, AuditSeal, AuditTrail, ChainHash,
    ChainStep, ChainUpdate, ChangeContext, Fault, Origin, SealResult, Timestamp, Unsealed,
};

/// Maximum number of entries that one statement updates.
const MAX_SEALS: usize = 64;

#[derive(sqlx::FromRow)]
struct EntryRow {
    id: Uuid,
    at: i64,
    kind: String,
    user_id: Option<Uuid>,
    session_id: Option<Uuid>,
    subject: Option<Vec<u8>>,
    detail: String,
    operator: Option<String>,
    network: Option<String>,
    salt: Option<Vec<u8>>,
    seq: Option<i64>,
    commitment: Option<Vec<u8>>,
    hash: Option<Vec<u8>>,
    kid: Option<String>,
    mac: Option<Vec<u8>>,
    erasable: i64,
}

#[derive(sqlx::FromRow)]
struct ChainRow {
    seq: i64,
    hash: Vec<u8>,
    anchor_seq: i64,
    anchor_hash: Vec<u8>,
    kid: Option<String>,
    mac: Option<Vec<u8>>,
}

#[async_trait]
impl AuditTrail for SqlStore {
    async fn record(&self, entry: &AuditRecord) -> Result<(), Fault> {
        let call = || json!({ "event": calls::event(&entry.context, &entry.event) });
        let recorded: Option<Nothing> = self.call(Function::RecordEvent, call).await?;
        if recorded.is_some() {
            return Ok(());
        }
        let mut tx = self.pools.write().await?;
        let mut origin = entry.context.origin.clone();
        {
            // Looked up without an account too, so that both take equally long.
            let user_id = entry.event.user_id.unwrap_or(Uuid::nil());
            // The account is locked, so that a concurrent deletion erases this entry too. If it was
            // deleted already, nothing personal is recorded.
            let lock =
                sqlx::query_as(concat!("SELECT created_at FROM users WHERE id = $1", keep_row!()))
                    .bind(user_id);
            let user: Option<(i64,)> = tx.optional(lock).await?;
            let is_gone = entry.event.user_id.is_some() && user.is_none();
            if is_gone && matches!(origin, Origin::Client(_)) {
                origin = Origin::Client(None);
            }
        }
        record(&mut tx, &ChangeContext { origin, ..entry.context.clone() }, &entry.event).await?;
        tx.commit().await
    }

    async fn seal(
        &self,
        worker: Uuid,
        lease: Duration,
        limit: u32,
        mut update: ChainUpdate,
        now: Timestamp,
    ) -> Result<SealResult, Fault> {
        let mut tx = self.pools.write().await?;
        // Locks the row of the chain until the end of the transaction, so that two workers that
        // both believe to hold the lease run one after the other. A lease that ends later than any
        // that is granted now is from a clock that was ahead, and does not count.
        let locked: Option<ChainRow> = tx
            .optional(
                sqlx::query_as(concat!(
                    "UPDATE audit_chain SET holder = $1, leased_until = $2
             WHERE id = 1 AND (holder = $1 OR leased_until <= $3 OR leased_until > $4) RETURNING ",
                    chain_columns!()
                ))
                .bind(worker)
                .bind(now.plus(lease).0)
                .bind(now.0)
                .bind(now.plus(lease * 2).0),
            )
            .await?;
        let Some(locked) = locked else { return tx.undo(SealResult::Elsewhere).await };
        let before = AuditChain::try_from(locked)?;
        // Entries that a deletion is erasing are skipped, and sealed later.
        let rows: Vec<EntryRow> = tx
            .all(
                sqlx::query_as(concat!(
                    "SELECT ",
                    audit_columns!(),
                    ", CAST(0 AS BIGINT) AS erasable FROM audit WHERE seq IS NULL ORDER BY at, id LIMIT $1",
                    lock_row_or_skip!()
                ))
                .bind(i64::from(limit)),
            )
            .await?;
        let mut entries =
            rows.into_iter().map(AuditEntry::try_from).collect::<Result<Vec<_>, _>>()?;
        if entries.is_empty() {
            return tx.undo(SealResult::Sealed(0)).await;
        }
        let mut chain = before.clone();
        if !update(&mut chain, ChainStep::Seal(&mut entries)) {
            return tx.undo(SealResult::Refused).await;
        }
        write_seals(&mut tx, &entries).await?;
        store_chain(&mut tx, &before, &chain).await?;
        tx.commit().await?;
        Ok(SealResult::Sealed(entries.len()))
    }

    async fn unsealed(&self) -> Result<Unsealed, Fault> {
        let (rows, oldest): (i64, Option<i64>) = self
            .read_one(sqlx::query_as("SELECT COUNT(*), MIN(at) FROM audit WHERE seq IS NULL"))
            .await?;
        Ok(Unsealed { rows, oldest: oldest.map(Timestamp) })
    }

    async fn prune(
        &self,
        before: Timestamp,
        limit: u32,
        mut update: ChainUpdate,
    ) -> Result<u64, Fault> {
        let mut tx = self.pools.write().await?;
        let select =
            concat!("SELECT ", chain_columns!(), " FROM audit_chain WHERE id = 1", lock_row!());
        let chain = AuditChain::try_from(tx.one::<ChainRow>(sqlx::query_as(select)).await?)?;
        let rows: Vec<(i64, i64, Vec<u8>)> = tx
            .all(
                sqlx::query_as(
                    "SELECT seq, at, hash FROM audit WHERE seq IS NOT NULL AND seq > $1 ORDER BY seq LIMIT $2",
                )
                .bind(chain.anchor_seq)
                .bind(i64::from(limit)),
            )
            .await?;
        // Only from the start of the chain: an old entry after a newer one is retained a little
        // longer.
        let old = rows.iter().take_while(|(_, at, _)| *at < before.0);
        let Some((seq, _, hash)) = old.last() else { return tx.undo(0).await };
        let mut pruned = chain.clone();
        if !update(&mut pruned, ChainStep::Prune(*seq, hash_of(hash)?)) {
            return tx.undo(0).await;
        }
        // With a lower bound, since the index contains deleted entries until it is vacuumed.
        let delete = "DELETE FROM audit WHERE seq IS NOT NULL AND seq > $1 AND seq <= $2";
        let rows = tx.run(sqlx::query(delete).bind(chain.anchor_seq).bind(seq)).await?;
        store_chain(&mut tx, &chain, &pruned).await?;
        tx.commit().await?;
        Ok(rows)
    }

    async fn chain(&self) -> Result<AuditChain, Fault> {
        let select = concat!("SELECT ", chain_columns!(), " FROM audit_chain WHERE id = 1");
        self.read_one::<ChainRow>(sqlx::query_as(select)).await?.try_into()
    }

    async fn chained_after(&self, seq: i64, limit: u32) -> Result<Vec<AuditEntry>, Fault> {
        let rows: Vec<EntryRow> = self
            .read_all(
                sqlx::query_as(concat!(
                    "SELECT ",
                    audit_columns!(),
                    ", CASE WHEN salt IS NULL AND commitment IS NOT NULL AND EXISTS (
                 SELECT 1 FROM audit AS gone WHERE gone.kind = 'deleted' AND gone.user_id IS NOT NULL
                 AND (gone.user_id = audit.user_id OR gone.user_id IN (
                     SELECT kin.user_id FROM audit AS kin WHERE kin.subject = audit.subject
                 ))) THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END AS erasable
             FROM audit WHERE seq IS NOT NULL AND seq > $1 ORDER BY seq LIMIT $2"
                ))
                .bind(seq)
                .bind(i64::from(limit)),
            )
            .await?;
        rows.into_iter().map(AuditEntry::try_from).collect()
    }

    async fn entries(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, Fault> {
        let since = filter.since.map_or(i64::MIN, |since| since.0);
        let until = filter.until.map_or(i64::MAX, |until| until.0);
        // One statement per index, since a single statement with optional conditions would use
        // none.
        let query = match (filter.user_id, &filter.kind) {
            (Some(user_id), kind) => {
                sqlx::query_as(newest!("user_id = $4 AND ($5 IS NULL OR kind = $5)"))
                    .bind(since)
                    .bind(until)
                    .bind(i64::from(filter.limit))
                    .bind(user_id)
                    .bind(kind.clone())
            }
            (None, Some(kind)) => sqlx::query_as(newest!("kind = $4"))
                .bind(since)
                .bind(until)
                .bind(i64::from(filter.limit))
                .bind(kind.clone()),
            (None, None) => sqlx::query_as(newest!("id IS NOT NULL"))
                .bind(since)
                .bind(until)
                .bind(i64::from(filter.limit)),
        };
        let rows: Vec<EntryRow> = self.read_all(query).await?;
        rows.into_iter().rev().map(AuditEntry::try_from).collect()
    }
}

/// Inserts an audit event in the transaction of its change.
pub(super) async fn record(
    tx: &mut Tx,
    context: &ChangeContext,
    event: &AuditEvent,
) -> Result<(), Fault> {
    let (network, operator) = match &context.origin {
        Origin::Client(network) => (network.map(|network| network.to_string()), None),
        Origin::Operator(name) => (None, Some(name)),
    };
    let salt = network.as_ref().map(|_| Uuid::new_v4().into_bytes().to_vec());
    tx.run(
        sqlx::query(
            "INSERT INTO audit (id, at, kind, user_id, session_id, subject, detail, operator, network, salt, dedup)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
        )
        .bind(Uuid::now_v7())
        .bind(context.at.0)
        .bind(event.kind.name())
        .bind(event.user_id)
        .bind(event.session_id)
        .bind(&event.subject)
        .bind(&event.detail)
        .bind(operator)
        .bind(network)
        .bind(salt)
        .bind(event.dedup.map(|key| key.to_vec())),
    )
    .await?;
    Ok(())
}

/// Erases the client networks and their salts in the audit entries of a deleted account, including
/// the entries of its registration.
pub(super) async fn erase(tx: &mut Tx, user_id: Uuid) -> Result<(), Fault> {
    // Two statements, since one with OR would scan the table.
    for statement in [
        "UPDATE audit SET network = NULL, salt = NULL WHERE user_id = $1 AND salt IS NOT NULL",
        "UPDATE audit SET network = NULL, salt = NULL WHERE salt IS NOT NULL AND subject IN (
             SELECT kin.subject FROM audit AS kin WHERE kin.user_id = $1 AND kin.subject IS NOT NULL
         )",
    ] {
        tx.run(sqlx::query(statement).bind(user_id)).await?;
    }
    Ok(())
}

/// Stores the seals of these entries in batches. The batch sizes are powers of two, so that only a
/// few different statements are prepared.
async fn write_seals(tx: &mut Tx, entries: &[AuditEntry]) -> Result<(), Fault> {
    let mut remaining = entries;
    while !remaining.is_empty() {
        let (batch, after) = remaining.split_at(1 << remaining.len().min(MAX_SEALS).ilog2());
        let seals: Option<Vec<_>> =
            batch.iter().map(|entry| entry.seal.as_ref().map(|seal| (entry.id, seal))).collect();
        let seals = seals.ok_or_else(|| {
            Fault::internal("the chain update left an audit entry without a seal")
        })?;
        let mut write = QueryBuilder::<Db>::new(
            "UPDATE audit SET seq = seals.column2, commitment = seals.column3, hash = seals.column4, kid = seals.column5,
                              mac = seals.column6 FROM (",
        );
        write.push_values(seals, |mut row, (id, seal)| {
            row.push_bind(id)
                .push_bind(seal.seq)
                .push_bind(seal.commitment.map(|hash| hash.to_vec()))
                .push_bind(seal.hash.to_vec())
                .push_bind(seal.kid.clone())
                .push_bind(seal.mac.to_vec());
        });
        write.push(") AS seals WHERE audit.id = seals.column1 AND audit.seq IS NULL");
        tx.run(write.build()).await?;
        remaining = after;
    }
    Ok(())
}

/// Replaces the ends `from` of the hash chain with `to`. Fails if the stored ends are no longer
/// `from`.
async fn store_chain(tx: &mut Tx, from: &AuditChain, to: &AuditChain) -> Result<(), Fault> {
    let (kid, mac) = to
        .mac
        .as_ref()
        .ok_or_else(|| Fault::internal("the chain update left the audit chain without a MAC"))?;
    let stored = tx
        .run(
            sqlx::query(
                "UPDATE audit_chain SET seq = $1, hash = $2, anchor_seq = $3, anchor_hash = $4, kid = $5, mac = $6
             WHERE id = 1 AND seq = $7 AND anchor_seq = $8",
            )
            .bind(to.seq)
            .bind(to.hash.to_vec())
            .bind(to.anchor_seq)
            .bind(to.anchor_hash.to_vec())
            .bind(kid)
            .bind(mac.to_vec())
            .bind(from.seq)
            .bind(from.anchor_seq),
        )
        .await?;
    if stored == 1 {
        Ok(())
    } else {
        Err(Fault::internal("the audit chain changed while it was locked"))
    }
}

fn hash_of(bytes: &[u8]) -> Result<ChainHash, Fault> {
    bytes.try_into().map_err(|_| corrupt("an invalid hash in the audit log"))
}

impl TryFrom<EntryRow> for AuditEntry {
    type Error = Fault;

    fn try_from(row: EntryRow) -> Result<Self, Fault> {
        let seal = match (row.seq, row.hash, row.kid, row.mac) {
            (Some(seq), Some(hash), Some(kid), Some(mac)) => Some(AuditSeal {
                seq,
                commitment: row.commitment.as_deref().map(hash_of).transpose()?,
                hash: hash_of(&hash)?,
                kid,
                mac: hash_of(&mac)?,
            }),
            _ => None,
        };
        Ok(Self {
            id: row.id,
            at: Timestamp(row.at),
            kind: row.kind,
            user_id: row.user_id,
            session_id: row.session_id,
            subject: row.subject,
            detail: row.detail,
            operator: row.operator,
            network: row.network,
            salt: row.salt,
            erasable: row.erasable != 0,
            seal,
        })
    }
}

impl TryFrom<ChainRow> for AuditChain {
    type Error = Fault;

    fn try_from(row: ChainRow) -> Result<Self, Fault> {
        Ok(Self {
            seq: row.seq,
            hash: hash_of(&row.hash)?,
            anchor_seq: row.anchor_seq,
            anchor_hash: hash_of(&row.anchor_hash)?,
            mac: match (row.kid, row.mac) {
                (Some(kid), Some(mac)) => Some((kid, hash_of(&mac)?)),
                _ => None,
            },
        })
    }
}
