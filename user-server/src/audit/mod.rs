//! The audit log: actor, event, time and network. A change writes its own entry in its transaction.
//! This module records events that belong to no change, and seals all entries into a keyed hash
//! chain.

mod chain;
mod sealer;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{
    AUDITED_LOGIN, AuditEvent, AuditFilter, AuditKind, AuditRecord, AuditTrail, ChangeContext,
    Fault, Timestamp,
};
use crate::keys::Pseudonyms;

pub use sealer::Sealer;
pub use verify::{ChainFault, ChainReport, ChainVerdict, verify};

/// Difference between two clocks that needs no correction.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// Returns the time of the last event if it is more than a minute after `now`: the clock is behind
/// that of an earlier process.
pub async fn event_after(
    log: &(impl AuditTrail + ?Sized),
    now: Timestamp,
) -> Result<Option<Timestamp>, Fault> {
    let last = log.entries(&AuditFilter { limit: 1, ..AuditFilter::default() }).await?;
    let last = last.last().map(|entry| entry.at);
    Ok(last.filter(|at| at.since(now) > CLOCK_TOLERANCE))
}

/// Recorder of audit events that belong to no change, such as failed logins.
pub struct AuditLog {
    log: Arc<dyn AuditTrail>,
    pseudonyms: Pseudonyms,
}

/// Account or login identifier of a failed login.
#[derive(Debug, Clone, Copy)]
pub enum Attempted<'a> {
    /// Id of the account.
    User(uuid::Uuid),
    /// Login identifier that belongs to no account. Only its keyed hash is stored.
    Unknown(&'a str),
}

impl AuditLog {
    /// Creates a recorder that writes to `log`.
    #[must_use]
    pub fn new(log: Arc<dyn AuditTrail>, pseudonyms: Pseudonyms) -> Self {
        Self { log, pseudonyms }
    }

    /// Records an attempt with a wrong password, or with the correct password of a disabled
    /// account. `detail` is a fixed text that names the operation or the reason.
    pub async fn login_failed(
        &self,
        attempted: Attempted<'_>,
        detail: &'static str,
        context: ChangeContext,
    ) -> Result<(), Fault> {
        let event = match attempted {
            Attempted::User(id) => AuditEvent::of(AuditKind::LoginFailed, id),
            Attempted::Unknown(login) => AuditEvent::new(AuditKind::LoginFailed)
                .subject(&self.pseudonyms.of(AUDITED_LOGIN, &[login])),
        };
        self.log.record(&AuditRecord { context, event: event.detail(detail) }).await
    }
}
