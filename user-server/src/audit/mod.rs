//! The audit log: actor, event, time and network. A change writes its own row in its transaction.
//! This module records events without a change, and seals all rows into a keyed hash chain.

mod chain;
mod sealer;
mod verify;

use std::sync::Arc;

use crate::domain::{
    AUDITED_LOGIN, AuditEvent, AuditKind, AuditRecord, AuditTrail, ChangeContext, Fault,
};
use crate::keys::Pseudonyms;

pub use sealer::Sealer;
pub use verify::{ChainFault, ChainReport, ChainVerdict, verify};

/// The service that records events without a change.
pub struct AuditLog {
    log: Arc<dyn AuditTrail>,
    pseudonyms: Pseudonyms,
}

/// Subject of a failed login.
#[derive(Debug, Clone, Copy)]
pub enum Attempted<'a> {
    /// The id of an account.
    User(uuid::Uuid),
    /// A login text that belongs to no account. Only its keyed hash is stored.
    Unknown(&'a str),
}

impl AuditLog {
    /// Creates a service that writes to `log`.
    #[must_use]
    pub fn new(log: Arc<dyn AuditTrail>, pseudonyms: Pseudonyms) -> Self {
        Self { log, pseudonyms }
    }

    /// Records a wrong password, or the correct one of a disabled account. `detail` is a fixed text
    /// that names the operation or the reason.
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
