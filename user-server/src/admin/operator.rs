//! The operator of a command, for the audit log.

use super::database;
use crate::config::operator_name;
use crate::domain::{
    AuditEvent, AuditKind, AuditRecord, Change, ChangeContext, Fault, Origin, RecordedOutcome,
    Store, Timestamp,
};

/// Maximum length of an operator's name in the audit log, in characters.
const MAX_NAME: usize = 64;

/// The operator who runs a command, for the audit log.
#[derive(clap::Args)]
pub struct Operator {
    /// Name of the operator for the audit log; by default, the caller of sudo, or else the user
    /// that runs the command
    #[arg(long = "operator", global = true, value_name = "NAME", value_parser = operator)]
    name: Option<String>,
}

/// Parses the name of an operator, which is a line of the audit log.
fn operator(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("expected a name without control characters".to_owned());
    }
    match text.chars().count() {
        0..=MAX_NAME => Ok(text.to_owned()),
        _ => Err(format!("expected at most {MAX_NAME} characters")),
    }
}

impl Operator {
    /// Returns the context of a change that this operator makes at `at`.
    pub(super) fn at(&self, at: Timestamp) -> ChangeContext {
        let name = self.name.clone().unwrap_or_else(operator_name);
        let shown =
            |letter: char| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
        ChangeContext {
            at,
            origin: Origin::Operator(name.chars().map(shown).take(MAX_NAME).collect()),
            claim: None,
        }
    }

    /// Returns a change with this audit event that this operator makes at `at`. Commands have no
    /// idempotency keys, so the outcome that the change records is never replayed.
    pub(super) fn change(&self, at: Timestamp, event: AuditEvent) -> Change {
        Change::new(self.at(at), event, RecordedOutcome::at(at))
    }

    /// Records an event that this operator causes now, and that changes no other row.
    pub(super) async fn record(&self, store: &dyn Store, event: AuditEvent) -> Result<(), Fault> {
        let context = self.at(database::now(store).await?);
        store.record(&AuditRecord { context, event }).await
    }

    /// Records an event of this kind, which has a detail but no account, and which this operator
    /// causes now.
    pub(super) async fn record_detail(
        &self,
        store: &dyn Store,
        kind: AuditKind,
        detail: &str,
    ) -> Result<(), Fault> {
        self.record(store, AuditEvent::new(kind).detail(detail)).await
    }
}
