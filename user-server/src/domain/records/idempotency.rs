//! What is kept of a request that carries an idempotency key.

use uuid::Uuid;

use super::SessionRecord;
use crate::domain::Timestamp;

/// The right to do what a key stands for. The change that it is done with completes it in its own
/// transaction, or fails where somebody else holds the key by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyClaim {
    /// The client's key.
    pub key: Uuid,
    /// Who holds it: a name of this one attempt.
    pub holder: Uuid,
}

/// A request that wants to be done under a key.
#[derive(Debug, Clone)]
pub struct KeyedRequest {
    /// The key, and this attempt.
    pub claim: KeyClaim,
    /// The server's key that the tag is made with.
    pub kid: String,
    /// A tag over all that the request says.
    pub tag: [u8; 32],
    /// How long the claim holds, where nothing comes of it.
    pub until: Timestamp,
}

/// What became of a wish for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStanding {
    /// It is this attempt's.
    Claimed,
    /// It stands for this request.
    Used {
        /// The server's key that the tag is made with.
        kid: String,
        /// The tag of the request.
        tag: [u8; 32],
        /// What came of it; `None` while it is under way.
        done: Option<Done>,
    },
}

/// What a change has left that its reply is made of again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// When.
    pub at: Timestamp,
    /// Whom it was about.
    pub user_id: Option<Uuid>,
    /// The verification that it began or went on with.
    pub verification_id: Option<Uuid>,
    /// The session that it opened or refreshed, as it was then.
    pub session: Option<SessionRecord>,
    /// How many sessions it ended.
    pub sessions_ended: u32,
}

impl Done {
    /// A change of which only the time is known yet.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self { at, user_id: None, verification_id: None, session: None, sessions_ended: 0 }
    }

    /// The same, about this user.
    #[must_use]
    pub fn user(self, id: Uuid) -> Self {
        Self { user_id: Some(id), ..self }
    }

    /// The same, with this verification.
    #[must_use]
    pub fn verification(self, id: Option<Uuid>) -> Self {
        Self { verification_id: id, ..self }
    }

    /// The same, with this session.
    #[must_use]
    pub fn session(self, session: SessionRecord) -> Self {
        Self { session: Some(session), ..self }
    }

    /// The same, with so many sessions ended.
    #[must_use]
    pub fn ended(self, sessions: u32) -> Self {
        Self { sessions_ended: sessions, ..self }
    }
}
