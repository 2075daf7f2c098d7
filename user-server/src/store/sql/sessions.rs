//! Sessions and the revocation log.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::rows::{self, SessionRow, UserRow};
use super::{SqlStore, audit, idempotency};
use crate::domain::audit::{Event, Kind};
use crate::domain::ports::Sessions;
use crate::domain::records::{
    Done, Ended, Revocation, Rotation, SessionRecord, UserRecord, UserVersion,
};
use crate::domain::{Act, Fault, Timestamp};

#[async_trait]
impl Sessions for SqlStore {
    async fn rotate(
        &self,
        session_id: Uuid,
        counter: u32,
        grace: Duration,
        kid: &str,
        act: &Act,
    ) -> Result<Rotation, Fault> {
        let mut tx = self.pools.write().await?;
        let moved: Option<SessionRow> = tx
            .optional(
                sqlx::query_as(concat!(
                    "UPDATE sessions SET counter = counter + 1, rotated_at = $3, kid = $4
             WHERE id = $1 AND counter = $2 AND counter < 4294967295 RETURNING ",
                    session_columns!()
                ))
                .bind(session_id)
                .bind(i64::from(counter))
                .bind(act.at.0)
                .bind(kid),
            )
            .await?;
        if let Some(row) = moved {
            audit::record(&mut tx, act, &Event::of(Kind::Refreshed, row.user_id).session(row.id))
                .await?;
            let session: SessionRecord = row.try_into()?;
            let done = Done::at(act.at).user(session.user_id).session(session.clone());
            idempotency::complete(&mut tx, act, done).await?;
            tx.commit().await?;
            return Ok(Rotation::Moved(session));
        }
        let row: Option<SessionRow> = tx
            .optional(
                sqlx::query_as(concat!(
                    "SELECT ",
                    session_columns!(),
                    " FROM sessions WHERE id = $1"
                ))
                .bind(session_id),
            )
            .await?;
        let Some(row) = row else { return tx.undo(Rotation::Gone).await };
        let age = row.counter - i64::from(counter);
        if age <= 0 {
            return tx.undo(Rotation::Ahead).await;
        }
        if age == 1 && act.at.since(Timestamp(row.rotated_at)) <= grace {
            let session: SessionRecord = row.try_into()?;
            let done = Done::at(act.at).user(session.user_id).session(session.clone());
            idempotency::complete(&mut tx, act, done).await?;
            tx.commit().await?;
            return Ok(Rotation::Repeated(session));
        }
        let ids = tx
            .all(sqlx::query_as("DELETE FROM sessions WHERE id = $1 RETURNING id").bind(session_id))
            .await?;
        let ended = rows::revoke_all(&mut tx, ids, act.at).await?;
        audit::record(
            &mut tx,
            act,
            &Event::of(Kind::ReuseDetected, row.user_id).session(session_id),
        )
        .await?;
        tx.commit().await?;
        Ok(Rotation::Ended(ended))
    }

    async fn session_user(&self, session_id: Uuid) -> Result<Option<Uuid>, Fault> {
        let row: Option<(Uuid,)> = self
            .read_optional(
                sqlx::query_as("SELECT user_id FROM sessions WHERE id = $1").bind(session_id),
            )
            .await?;
        Ok(row.map(|(id,)| id))
    }

    async fn session_owner(&self, session_id: Uuid) -> Result<Option<UserRecord>, Fault> {
        let row: Option<UserRow> = self
            .read_optional(
                sqlx::query_as(concat!(
                    "SELECT ",
                    user_columns!(),
                    " FROM sessions JOIN users ON users.id = sessions.user_id WHERE sessions.id = $1"
                ))
                .bind(session_id),
            )
            .await?;
        Ok(row.map(UserRecord::from))
    }

    async fn end_session(&self, session_id: Uuid, act: &Act) -> Result<Ended, Fault> {
        let mut tx = self.pools.write().await?;
        let delete =
            sqlx::query_as("DELETE FROM sessions WHERE id = $1 RETURNING user_id").bind(session_id);
        let user: Option<(Uuid,)> = tx.optional(delete).await?;
        let Some((user_id,)) = user else { return tx.undo(Ended::default()).await };
        let ended = rows::revoke_all(&mut tx, vec![(session_id,)], act.at).await?;
        audit::record(&mut tx, act, &Event::of(Kind::LoggedOut, user_id).session(session_id))
            .await?;
        idempotency::complete(&mut tx, act, Done::at(act.at).user(user_id).ended(ended.sessions))
            .await?;
        tx.commit().await?;
        Ok(ended)
    }

    async fn end_all_sessions(&self, user_id: Uuid, act: &Act) -> Result<Ended, Fault> {
        let mut tx = self.pools.write().await?;
        let ended = rows::end_sessions(&mut tx, user_id, None, act.at).await?;
        rows::void_codes(&mut tx, user_id).await?;
        if ended.sessions > 0 {
            audit::record(
                &mut tx,
                act,
                &Event::of(Kind::LoggedOut, user_id).detail("all sessions"),
            )
            .await?;
            idempotency::complete(
                &mut tx,
                act,
                Done::at(act.at).user(user_id).ended(ended.sessions),
            )
            .await?;
        }
        tx.commit().await?;
        Ok(ended)
    }

    async fn revocations(&self, since: Timestamp) -> Result<Vec<Revocation>, Fault> {
        let rows: Vec<(Uuid, i64)> = self
            .read_all(
                sqlx::query_as("SELECT subject, at FROM revocations WHERE at >= $1").bind(since.0),
            )
            .await?;
        Ok(rows
            .into_iter()
            .map(|(subject, at)| Revocation { subject, at: Timestamp(at) })
            .collect())
    }

    async fn changes(&self, since: Timestamp) -> Result<Vec<UserVersion>, Fault> {
        let rows: Vec<(Uuid, i64)> = self
            .read_all(
                sqlx::query_as("SELECT id, version FROM users WHERE changed_at >= $1")
                    .bind(since.0),
            )
            .await?;
        Ok(rows.into_iter().map(|(user_id, version)| UserVersion { user_id, version }).collect())
    }
}
