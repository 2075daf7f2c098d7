//! The consistency check: searches for rows that violate an invariant, and changes nothing. A
//! server may run at the same time.

use std::sync::Arc;

use serde_json::{Value, json};

use super::command::CommandError;
use super::database;
use crate::config::Config;
use crate::domain::{Fault, InspectionBounds, Invariant, Store};
use crate::store::{PostgresStore, SqliteStore};
use crate::{outbox, password};

impl std::fmt::Display for Invariant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.violations == 0 {
            return write!(f, "good   {}", self.condition);
        }
        let more = if self.violations >= Self::MAX_COUNTED { " or more" } else { "" };
        let plural = if self.violations == 1 { "" } else { "s" };
        write!(f, "WRONG  {}: {}{more} violation{plural}", self.condition, self.violations)?;
        for (index, id) in self.ids.iter().enumerate() {
            write!(f, "{} {id}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

/// Returns an invariant with its violations as one JSON object.
#[must_use]
pub fn invariant_json(invariant: &Invariant) -> Value {
    let ids: Vec<String> = invariant.ids.iter().map(ToString::to_string).collect();
    json!({
        "invariant": invariant.condition,
        "good": invariant.violations == 0,
        "violations": invariant.violations,
        "ids": ids,
    })
}

/// Checks the configured store, and returns every invariant with the rows that violate it.
///
/// # Errors
/// If the store cannot be read.
pub async fn fsck(config: &Config) -> Result<Vec<Invariant>, CommandError> {
    let path = database::path(config);
    let location = database::location(config);
    database::require_schema(config).await?;
    let store: Arc<dyn Store> = match &config.postgres {
        Some(postgres) => Arc::new(PostgresStore::open(&postgres.options)),
        None => Arc::new(SqliteStore::open_read_only(&path)),
    };
    let result = inspect(&*store, config.code_life).await;
    store.close().await;
    result.map_err(|fault| {
        let error = CommandError::new(format!("cannot read the database {location}: {fault}"));
        match &config.postgres {
            Some(_) => error.hint("Run `user-server check` to test the configuration."),
            None => error.hint("Set DATA_DIR to the folder of the database."),
        }
    })
}

async fn inspect(
    store: &dyn Store,
    code_life: std::time::Duration,
) -> Result<Vec<Invariant>, Fault> {
    let now = database::now(store).await?;
    store.inspect(&bounds(code_life), now).await
}

/// Returns the bounds that this version guarantees for stored values. `code_life` is the lifetime
/// of a one-time code.
#[must_use]
pub fn bounds(code_life: std::time::Duration) -> InspectionBounds {
    InspectionBounds { policy: outbox::policy(code_life), is_hash: password::is_usable }
}
