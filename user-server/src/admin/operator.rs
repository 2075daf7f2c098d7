//! Who runs a command, for the audit.

use super::database;
use crate::domain::{
    AuditEvent, AuditKind, AuditRecord, Change, ChangeContext, Fault, Origin, RecordedOutcome,
    Store, Timestamp,
};

/// The longest name that is written down, in characters.
const LONGEST: usize = 64;

/// Who does it.
#[derive(clap::Args)]
pub struct Operator {
    /// Who does it, for the audit
    #[arg(
        long = "operator",
        global = true,
        value_name = "NAME",
        env = "USER",
        default_value = "unnamed"
    )]
    #[arg(hide_env_values = true)]
    name: String,
}

impl Operator {
    /// Returns the context of a change that this operator makes at `at`.
    pub(super) fn at(&self, at: Timestamp) -> ChangeContext {
        ChangeContext {
            at,
            origin: Origin::Operator(self.name.chars().take(LONGEST).collect()),
            claim: None,
        }
    }

    /// Returns a change that this operator makes at `at`. Commands have no idempotency keys, so the
    /// outcome of the change is not used.
    pub(super) fn change(&self, at: Timestamp, event: AuditEvent) -> Change {
        Change::new(self.at(at), event, RecordedOutcome::at(at))
    }

    /// Writes into the audit that they do this now, where no other row is changed with it.
    pub(super) async fn note(
        &self,
        store: &dyn Store,
        kind: AuditKind,
        detail: &str,
    ) -> Result<(), Fault> {
        let context = self.at(database::now(store).await?);
        store.record(&AuditRecord { context, event: AuditEvent::new(kind).detail(detail) }).await
    }
}
