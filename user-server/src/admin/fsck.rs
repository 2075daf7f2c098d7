//! Looks for rows that can't be, beside a running server, and changes nothing.

use std::sync::Arc;

use crate::config::Config;
use crate::domain::{Clock, Fault, InspectionBounds, Invariant, Store, SystemClock};
use crate::store::{PostgresStore, SqliteStore};
use crate::{outbox, password};

impl std::fmt::Display for Invariant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.violations == 0 {
            return write!(f, "good   {}", self.condition);
        }
        let more = if self.violations >= Self::MAX_COUNTED { " or more" } else { "" };
        write!(f, "WRONG  {}: {}{more} not", self.condition, self.violations)?;
        for (index, id) in self.ids.iter().enumerate() {
            write!(f, "{} {id}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

/// Looks at the store that a configuration names.
///
/// # Errors
/// Where it can't be read.
pub async fn fsck(config: &Config) -> Result<Vec<Invariant>, Fault> {
    let store: Arc<dyn Store> = match &config.postgres {
        Some(postgres) => Arc::new(PostgresStore::open(&postgres.options)),
        None => Arc::new(SqliteStore::open_read_only(&config.data_dir.join("users.db"))),
    };
    let now = store.server_time().await?.unwrap_or_else(|| SystemClock.now());
    let found = store.inspect(&bounds(config.code_life), now).await?;
    store.close().await;
    Ok(found)
}

/// What this version's services keep to.
#[must_use]
pub fn bounds(code_life: std::time::Duration) -> InspectionBounds {
    InspectionBounds { policy: outbox::policy(code_life), is_hash: password::is_usable }
}
