//! A change of the stored data: its time and origin, its audit event, and the outcome that a repeat
//! under the same idempotency key is answered from.

use super::{AuditEvent, ClientNetwork, KeyClaim, RecordedOutcome, SessionRecord, Timestamp};
use uuid::Uuid;

/// Time and origin of a change, and the idempotency key that it completes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeContext {
    pub at: Timestamp,
    pub origin: Origin,
    pub claim: Option<KeyClaim>,
}

/// Initiator of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A client of the service, with its network where a gateway named it.
    Client(Option<ClientNetwork>),
    /// An operator of this name, through a command.
    Operator(String),
}

/// The context of a change by a client from an unknown network.
impl From<Timestamp> for ChangeContext {
    fn from(at: Timestamp) -> Self {
        Self { at, origin: Origin::Client(None), claim: None }
    }
}

/// A change to be made by a port method. The store writes the audit event, completes the
/// idempotency claim with the outcome, and commits, all in one transaction; a method that has no
/// `Change` cannot commit one.
#[derive(Debug, Clone)]
pub struct Change {
    context: ChangeContext,
    event: AuditEvent,
    outcome: RecordedOutcome,
}

impl Change {
    /// Combines the three parts of a change. The event and the outcome may leave out what only the
    /// transaction knows; the store then adds it.
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

    /// Adds the account that the transaction found, to the event and to the outcome.
    pub fn set_user(&mut self, id: Uuid) {
        self.event.user_id = Some(id);
        self.outcome.user_id = Some(id);
    }

    /// Adds the account that the transaction found to the event only, so that a repeat of the
    /// request cannot learn it.
    pub fn set_event_user(&mut self, id: Option<Uuid>) {
        self.event.user_id = id;
    }

    /// Adds the session that the transaction refreshed.
    pub fn set_session(&mut self, session: SessionRecord) {
        self.set_user(session.user_id);
        self.event.session_id = Some(session.id);
        self.outcome.session = Some(session);
    }

    /// Adds the number of sessions that the transaction ended.
    pub fn set_sessions_ended(&mut self, sessions: u32) {
        self.outcome.sessions_ended = sessions;
    }
}
