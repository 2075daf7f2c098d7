//! Retired server keys, and the rows that depend on each key.

use async_trait::async_trait;

use super::SqlStore;
use crate::domain::{Change, Fault, KeyRecords, KeyUse, RetiredKey, Timestamp};

#[async_trait]
impl KeyRecords for SqlStore {
    async fn retire_key(&self, kids: &[String], change: Change) -> Result<bool, Fault> {
        let mut tx = self.begin(change).await?;
        let mut retired = 0;
        for kid in kids {
            let retire = sqlx::query(
                "INSERT INTO retired_keys (kid, retired_at) VALUES ($1, $2)
                 ON CONFLICT (kid) DO NOTHING",
            )
            .bind(kid)
            .bind(tx.at().0);
            retired += tx.run(retire).await?;
        }
        if retired == 0 {
            return tx.undo(false).await;
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn retired_keys(&self) -> Result<Vec<RetiredKey>, Fault> {
        let select = "SELECT kid, retired_at FROM retired_keys ORDER BY retired_at, kid";
        let rows: Vec<(String, i64)> = self.watch_all(sqlx::query_as(select)).await?;
        Ok(rows.into_iter().map(|(kid, at)| RetiredKey { kid, at: Timestamp(at) }).collect())
    }

    async fn key_uses(&self) -> Result<Vec<KeyUse>, Fault> {
        let rows: Vec<(String, i64, i64)> = self
            .read_all(sqlx::query_as(
                "SELECT kid, CAST(SUM(session) AS BIGINT), CAST(SUM(code) AS BIGINT)
                 FROM (SELECT kid, 1 AS session, 0 AS code FROM sessions
                       UNION ALL SELECT kid, 0 AS session, 1 AS code FROM verifications WHERE dead <> 2) AS uses
                 GROUP BY kid ORDER BY kid",
            ))
            .await?;
        Ok(rows.into_iter().map(|(kid, sessions, codes)| KeyUse { kid, sessions, codes }).collect())
    }
}
