//! The audit log: actor, event, time and network. A change writes its own entry in its transaction.
//! This module records events that belong to no change, and seals all entries into a keyed hash
//! chain.

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
