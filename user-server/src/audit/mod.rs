//! The audit: who did what, when, from where. A change writes its own row, in its transaction; here
//! is what happens without a change, and the keyed hash chain that all rows are sealed into.

mod chain;
mod sealer;
mod verify;

use std::sync::Arc;

use crate::domain::{
    AUDITED_LOGIN, AuditEvent, AuditKind, AuditRecord, AuditTrail, ChangeContext, Fault,
};
use crate::keys::Pseudonyms;

pub use sealer::Sealer;
pub use verify::{Broken, ChainVerdict, Report, verify};

/// What notes that which changes nothing.
pub struct AuditLog {
    log: Arc<dyn AuditTrail>,
    pseudonyms: Pseudonyms,
}

/// Whose password was wrong.
#[derive(Debug, Clone, Copy)]
pub enum Attempted<'a> {
    /// An account's.
    User(uuid::Uuid),
    /// That of a login text that nobody has; only its keyed hash is written.
    Unknown(&'a str),
}

impl AuditLog {
    /// A audit_log that writes into `log`.
    #[must_use]
    pub fn new(log: Arc<dyn AuditTrail>, pseudonyms: Pseudonyms) -> Self {
        Self { log, pseudonyms }
    }

    /// Somebody gave a wrong password, or the right one of a disabled account. `detail` says where,
    /// in fixed words.
    pub async fn login_failed(
        &self,
        whose: Attempted<'_>,
        detail: &'static str,
        context: ChangeContext,
    ) -> Result<(), Fault> {
        let event = match whose {
            Attempted::User(id) => AuditEvent::of(AuditKind::LoginFailed, id),
            Attempted::Unknown(login) => AuditEvent::new(AuditKind::LoginFailed)
                .subject(&self.pseudonyms.of(AUDITED_LOGIN, &[login])),
        };
        self.log.record(&AuditRecord { context, event: event.detail(detail) }).await
    }
}
