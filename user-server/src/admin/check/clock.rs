//! The check of the clock.

use super::{Finding, good, warning};
use crate::admin::database::open;
use crate::admin::timestamps;
use crate::audit;
use crate::config::Config;
use crate::domain::{Clock, Fault, Store, SystemClock};

/// Compares this machine's clock with the database's, if that has one, and with the last event in
/// the audit log. Returns `None` if there is no database that can be read.
pub(super) async fn clock(config: &Config) -> Option<Finding> {
    let store = open(config).await.ok()?;
    let checked = compare(&*store).await;
    store.close().await;
    checked.ok()
}

async fn compare(store: &dyn Store) -> Result<Finding, Fault> {
    let server_time = store.server_time().await?;
    let local = SystemClock.now();
    let now = server_time.unwrap_or(local);
    let clock = match server_time {
        Some(_) => "the clock of the database",
        None => "the clock of this machine",
    };
    let shown = timestamps::format(now);
    if let Some(last) = audit::event_after(store, now).await? {
        return Ok(warning(
            "clock",
            format!(
                "{clock} shows {shown}, but the last event in the audit log is of {}: tokens may be \
                 refused; synchronise it",
                timestamps::format(last)
            ),
        ));
    }
    if now.since(local).max(local.since(now)) > audit::CLOCK_TOLERANCE {
        return Ok(warning(
            "clock",
            format!(
                "the clock of this machine shows {}, that of the database {shown}, which is used; \
                 synchronise them",
                timestamps::format(local)
            ),
        ));
    }
    Ok(good("clock", format!("{clock} shows {shown}")))
}
