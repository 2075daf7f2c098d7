//! Sessions and the revocation log.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::SqlStore;
use super::calls::{self, Ended, Function, Nothing};
use super::json::id;
use super::rows::{self, SessionRow, UserRow};
use crate::domain::{
    Change, EndedSessions, Fault, LogPart, LogRead, RefreshLimit, Revocation, RevocationLog,
    SessionRecord, SessionRefresh, SessionSummary, Sessions, Subject, Timestamp, UserRecord,
    UserVersion,
};

#[derive(sqlx::FromRow)]
struct SummaryRow {
    id: Uuid,
    created_at: i64,
    rotated_at: i64,
    device: Option<String>,
    network: Option<String>,
}

impl From<SummaryRow> for SessionSummary {
    fn from(row: SummaryRow) -> Self {
        Self {
            id: row.id,
            created_at: Timestamp(row.created_at),
            last_used_at: Timestamp(row.rotated_at),
            device: row.device,
            network: row.network,
        }
    }
}

/// Result of the function that refreshes a session.
#[derive(Deserialize)]
struct Refreshed {
    /// Session that was refreshed.
    session: Option<SessionRow>,
    /// Start of the window of refreshes, if the session was refreshed too often.
    limited_since: Option<i64>,
}

/// Returns the result of a refresh that changed nothing.
fn unchanged(limited_since: Option<i64>, limit: RefreshLimit, at: Timestamp) -> SessionRefresh {
    limited_since.map_or(SessionRefresh::Unchanged, |since| {
        SessionRefresh::TooMany(Timestamp(since).plus(limit.window).since(at))
    })
}

#[async_trait]
impl Sessions for SqlStore {
    async fn refresh(
        &self,
        session_id: Uuid,
        counter: u32,
        kid: &str,
        limit: RefreshLimit,
        change: Change,
    ) -> Result<SessionRefresh, Fault> {
        let at = change.at();
        let call = || {
            json!({
                "session_id": id(session_id), "counter": counter, "kid": kid, "at": at.0,
                "window_start": at.minus(limit.window).0, "max_refreshes": limit.uses,
                "change": calls::change(&change),
            })
        };
        let refreshed: Option<Refreshed> = self.call(Function::RefreshSession, call).await?;
        match refreshed {
            Some(Refreshed { session: Some(session), .. }) => {
                return Ok(SessionRefresh::Advanced(session.try_into()?));
            }
            Some(Refreshed { limited_since, .. }) => {
                return Ok(unchanged(limited_since, limit, at));
            }
            None => {}
        }
        let mut tx = self.begin(change).await?;
        // A window that seems to begin in the future, since the clock was set back, is over.
        let advance = sqlx::query_as(concat!(
            "UPDATE sessions SET counter = counter + 1, rotated_at = $3, kid = $4,
                 issued_until = CASE WHEN rotated_at > $3 AND rotated_at > issued_until
                                     THEN rotated_at ELSE issued_until END,
                 refreshes = CASE WHEN refreshes_since > $5 AND refreshes_since <= $3
                                  THEN refreshes + 1 ELSE 1 END,
                 refreshes_since = CASE WHEN refreshes_since > $5 AND refreshes_since <= $3
                                        THEN refreshes_since ELSE $3 END
             WHERE id = $1 AND counter = $2 AND counter < 4294967295
                   AND (refreshes < $6 OR refreshes_since <= $5 OR refreshes_since > $3) RETURNING ",
            session_columns!()
        ))
        .bind(session_id)
        .bind(i64::from(counter))
        .bind(at.0)
        .bind(kid)
        .bind(at.minus(limit.window).0)
        .bind(i64::from(limit.uses));
        let row: Option<SessionRow> = tx.optional(advance).await?;
        let Some(row) = row else {
            let limited = sqlx::query_as(
                "SELECT refreshes_since FROM sessions WHERE id = $1 AND counter = $2
                        AND refreshes >= $3",
            );
            let limited = limited.bind(session_id).bind(i64::from(counter));
            let since: Option<(i64,)> = tx.optional(limited.bind(i64::from(limit.uses))).await?;
            return tx.undo(unchanged(since.map(|(since,)| since), limit, at)).await;
        };
        let session: SessionRecord = row.try_into()?;
        tx.change.set_session(session.clone());
        tx.commit().await?;
        Ok(SessionRefresh::Advanced(session))
    }

    async fn session(&self, id: Uuid) -> Result<Option<SessionRecord>, Fault> {
        let select = concat!("SELECT ", session_columns!(), " FROM sessions WHERE id = $1");
        let row: Option<SessionRow> = self.read_optional(sqlx::query_as(select).bind(id)).await?;
        row.map(SessionRecord::try_from).transpose()
    }

    async fn session_owner(&self, session_id: Uuid) -> Result<Option<UserRecord>, Fault> {
        let select = concat!(
            "SELECT ",
            user_columns!(),
            " FROM users WHERE id = (SELECT user_id FROM sessions WHERE id = $1)"
        );
        let row: Option<UserRow> =
            self.read_optional(sqlx::query_as(select).bind(session_id)).await?;
        Ok(row.map(UserRecord::from))
    }

    async fn sessions_of(&self, user_id: Uuid, limit: u32) -> Result<Vec<SessionSummary>, Fault> {
        let select = sqlx::query_as(
            "SELECT id, created_at, rotated_at, device, network FROM sessions
             WHERE user_id = $1 ORDER BY rotated_at DESC, id LIMIT $2",
        );
        let rows: Vec<SummaryRow> =
            self.read_all(select.bind(user_id).bind(i64::from(limit))).await?;
        Ok(rows.into_iter().map(SessionSummary::from).collect())
    }

    async fn end_session(&self, session_id: Uuid, change: Change) -> Result<EndedSessions, Fault> {
        let at = change.at();
        let call = || json!({ "session_id": id(session_id), "at": at.0, "change": calls::change(&change) });
        let ended: Option<Ended> = self.call(Function::EndSession, call).await?;
        if let Some(ended) = ended {
            return Ok(ended.into());
        }
        // If there is no such session, nothing is written, and no transaction waits for its turn.
        if calls::exist() && self.session(session_id).await?.is_none() {
            return Ok(EndedSessions::default());
        }
        let mut tx = self.begin(change).await?;
        let delete =
            concat!("DELETE FROM sessions WHERE id = $1 RETURNING user_id, ", last_issue!());
        let deleted: Option<(Uuid, i64)> =
            tx.optional(sqlx::query_as(delete).bind(session_id)).await?;
        let Some((user_id, issued)) = deleted else {
            return tx.undo(EndedSessions::default()).await;
        };
        let ended = rows::revoke_all(&mut tx, vec![(session_id, issued)], at).await?;
        tx.change.set_user(user_id);
        tx.change.set_sessions_ended(ended.sessions);
        tx.commit().await?;
        Ok(ended)
    }

    async fn revoke_session(
        &self,
        session_id: Uuid,
        at: Timestamp,
        change: Change,
    ) -> Result<EndedSessions, Fault> {
        let subject = Subject::Session(session_id);
        let call = || json!({ "session_id": id(session_id), "at": at.0, "change": calls::change(&change) });
        let revoked: Option<Nothing> = self.call(Function::RevokeSession, call).await?;
        if revoked.is_none() {
            let mut tx = self.begin(change).await?;
            rows::revoke(&mut tx, subject, at).await?;
            tx.commit().await?;
        }
        Ok(EndedSessions { subjects: vec![subject], issued_until: at, ..EndedSessions::default() })
    }

    async fn end_all_sessions(
        &self,
        user_id: Uuid,
        change: Change,
    ) -> Result<EndedSessions, Fault> {
        let at = change.at();
        let call =
            || json!({ "user_id": id(user_id), "at": at.0, "change": calls::change(&change) });
        let ended: Option<Ended> = self.call(Function::EndAllSessions, call).await?;
        if let Some(ended) = ended {
            return Ok(ended.into());
        }
        let mut tx = self.begin(change).await?;
        rows::lock_user(&mut tx, user_id).await?;
        let ended = rows::end_sessions(&mut tx, user_id, None, at).await?;
        rows::void_codes(&mut tx, user_id).await?;
        if ended.sessions == 0 {
            return tx.give_up(ended).await;
        }
        tx.change.set_sessions_ended(ended.sessions);
        tx.commit().await?;
        Ok(ended)
    }
}

#[async_trait]
impl RevocationLog for SqlStore {
    async fn revocations(&self, part: &LogPart) -> Result<LogRead, Fault> {
        let mut tx = self.pools.watch().await?;
        let select = sqlx::query_as(
            "SELECT seq, subject, kind, at FROM revocations
             WHERE seq > $1 OR at BETWEEN $2 AND $3",
        );
        let select = select.bind(part.after).bind(part.since.0).bind(part.until.0);
        let mut rows: Vec<(i64, Uuid, Option<i16>, i64)> = tx.all(select).await?;
        rows.extend(super::super::late_revocations(&mut tx, &part.numbers).await?);
        // Afterwards: an entry that is deleted in between is either found or marked.
        let (erased, highest, is_standby): (i64, i64, i64) = tx
            .one(sqlx::query_as(concat!(
                "SELECT COALESCE(MAX(at), 0), (SELECT COALESCE(MAX(seq), 0) FROM revocations), ",
                is_standby!(),
                " FROM erased_revocations WHERE id = 1"
            )))
            .await?;
        tx.finish().await?;
        if is_standby != 0 {
            return Err(Fault::ReadOnly(
                "the database is a standby, which may lack the latest changes".to_owned(),
            ));
        }
        let entry = |(seq, id, kind, at)| {
            let subject = Subject::stored(id, kind);
            Revocation { seq, subject, at: Timestamp(at) }
        };
        let entries = rows.into_iter().map(entry).collect();
        Ok(LogRead { entries, erased: Timestamp(erased), highest })
    }

    async fn mark_erased(&self, until: Timestamp) -> Result<(), Fault> {
        let mut tx = self.pools.write().await?;
        rows::mark_erased(&mut tx, until).await?;
        tx.commit().await
    }

    async fn changes(&self, since: Timestamp) -> Result<Vec<UserVersion>, Fault> {
        let select = sqlx::query_as("SELECT id, version FROM users WHERE changed_at >= $1");
        let rows: Vec<(Uuid, i64)> = self.watch_all(select.bind(since.0)).await?;
        Ok(rows.into_iter().map(|(user_id, version)| UserVersion { user_id, version }).collect())
    }
}
