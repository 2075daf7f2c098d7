//! Lookups: everything that a request reads before it changes anything, in one round trip.

use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::SqlStore;
use super::counters::ReadCounters;
use super::json::hex;
use super::rows::{UserRow, VerificationRow};
use crate::domain::{AccountLookup, Adjustment, BudgetCounter, Fault, Found, LoginKey, UserKey};

/// User, `true` if the username is taken, and counters.
type Row = (Option<String>, bool, Option<String>);

impl SqlStore {
    /// Reads all values of a lookup in one statement, or returns `None` if the database cannot.
    pub(super) async fn look_up_at_once(
        &self,
        lookup: &AccountLookup<'_>,
    ) -> Result<Option<Found>, Fault> {
        let Some(statement) = super::super::lookup(lookup.user.as_ref()) else { return Ok(None) };
        let query = sqlx::query_as(statement);
        let query = match lookup.user {
            None => query.bind(Uuid::nil()),
            Some(UserKey::Id(id)) => query.bind(id),
            Some(UserKey::Login(LoginKey::Username(key) | LoginKey::Email(key))) => query.bind(key),
        };
        let (user, username_taken, counters): Row =
            self.read_one(query.bind(lookup.username).bind(list(lookup.counters))).await?;
        let user: Option<UserRow> = user.as_deref().map(parse).transpose()?;
        let counters = Some(read(counters.as_deref(), lookup.counters)?);
        Ok(Some(Found { user: user.map(Into::into), username_taken, counters }))
    }

    /// Reads a verification, together with the counters of an adjustment if the database can.
    pub(super) async fn verification_and(
        &self,
        id: Uuid,
        charge: Adjustment,
    ) -> Result<(Option<VerificationRow>, Adjustment), Fault> {
        let Some(statement) = super::super::lookup_verification() else {
            return Ok((self.verification(id).await?, charge));
        };
        let query = sqlx::query_as(statement).bind(id).bind(list(&charge.keys));
        let (row, counters): (Option<String>, Option<String>) = self.read_one(query).await?;
        let counters = read(counters.as_deref(), &charge.keys)?;
        Ok((row.as_deref().map(parse).transpose()?, charge.after_reading(Some(counters))))
    }
}

/// Returns the keys of counters as a list in JSON.
fn list(keys: &[[u8; 32]]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| hex(key)).collect();
    serde_json::Value::from(keys).to_string()
}

/// Returns the counters with these keys from a list in JSON.
fn read(counters: Option<&str>, keys: &[[u8; 32]]) -> Result<Vec<BudgetCounter>, Fault> {
    let read: ReadCounters = counters.map(parse).transpose()?.unwrap_or_default();
    read.of(keys)
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Fault> {
    serde_json::from_str(json)
        .map_err(|error| Fault::Internal(format!("the database returned an invalid row: {error}")))
}
