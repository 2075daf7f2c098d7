//! A change of the stored data: its time and origin, its audit event, and the outcome from which
//! the reply is rebuilt if the request is repeated with the same idempotency key.

use super::{AuditEvent, ClientNetwork, KeyClaim, RecordedOutcome, SessionRecord, Timestamp};
use uuid::Uuid;

/// Time and origin of a change, and the claim on an idempotency key that the change completes, if
/// any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeContext {
    pub at: Timestamp,
    pub origin: Origin,
    pub claim: Option<KeyClaim>,
}

/// Initiator of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A client of the service, with its network, or `None` if the network is unknown.
    Client(Option<ClientNetwork>),
    /// An operator with this name, through a command.
    Operator(String),
}

/// Converts a time to the context of a change by a client from an unknown network.
impl From<Timestamp> for ChangeContext {
    fn from(at: Timestamp) -> Self {
        Self { at, origin: Origin::Client(None), claim: None }
    }
}

/// Accompanying data of a change of the stored data: time, origin, audit event and recorded
/// outcome. The store writes the event, completes the idempotency claim with the outcome, and
/// commits, all in the transaction that makes the change.
#[derive(Debug, Clone)]
pub struct Change {
    context: ChangeContext,
    event: AuditEvent,
    outcome: RecordedOutcome,
}

impl Change {
    /// Combines context, audit event and recorded outcome. Values that are known only within the
    /// transaction may be missing; the store adds them.
    #[must_use]
    pub fn new(context: ChangeContext, event: AuditEvent, outcome: RecordedOutcome) -> Self {
        Self { context, event, outcome }
    }

    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.context.at
    }

    #[must_use]
    pub fn context(&self) -> &ChangeContext {
        &self.context
    }

    #[must_use]
    pub fn event(&self) -> &AuditEvent {
        &self.event
    }

    #[must_use]
    pub fn outcome(&self) -> &RecordedOutcome {
        &self.outcome
    }

    /// Sets the account of both the audit event and the recorded outcome.
    pub fn set_user(&mut self, id: Uuid) {
        self.event.user_id = Some(id);
        self.outcome.user_id = Some(id);
    }

    /// Sets the account of the audit event only, so that a repeat of the request cannot learn it.
    pub fn set_event_user(&mut self, id: Option<Uuid>) {
        self.event.user_id = id;
    }

    /// Sets session and account of both the audit event and the recorded outcome.
    pub fn set_session(&mut self, session: SessionRecord) {
        self.set_user(session.user_id);
        self.event.session_id = Some(session.id);
        self.outcome.session = Some(session);
    }

    /// Sets the number of ended sessions in the recorded outcome.
    pub fn set_sessions_ended(&mut self, sessions: u32) {
        self.outcome.sessions_ended = sessions;
    }
}
