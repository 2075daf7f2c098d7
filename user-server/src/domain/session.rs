//! Sessions: their records, and the ports that refresh and end them and read the revocation log.

use std::time::Duration;

use uuid::Uuid;

use super::{Change, DeviceName, Timestamp, UserRecord, UserVersion};

/// The largest number of sessions of one account. A further login ends the least recently used.
pub const MAX_SESSIONS: u32 = 100;

/// A session to open.
#[derive(Debug, Clone)]
pub struct NewSession {
    pub id: Uuid,
    /// The name of the key that its refresh tokens are derived from.
    pub kid: String,
    /// The device that the client named.
    pub device: Option<DeviceName>,
    /// The network that it is opened from, in the coarse form that its owner sees.
    pub network: Option<String>,
    /// The pseudonym of that network, which is known to the account from now on; empty if the
    /// network is unknown.
    pub client: String,
}

impl NewSession {
    /// Returns the record of the session as it is right after being opened.
    #[must_use]
    pub fn opened(&self, user_id: Uuid, at: Timestamp) -> SessionRecord {
        let (id, kid) = (self.id, self.kid.clone());
        SessionRecord { id, user_id, counter: 0, created_at: at, rotated_at: at, kid }
    }
}

/// An open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    pub id: Uuid,
    pub user_id: Uuid,
    /// The number of refreshes, which its current refresh token carries.
    pub counter: u32,
    pub created_at: Timestamp,
    /// The time of the last refresh, or of the login where there was none.
    pub rotated_at: Timestamp,
    /// The name of the key that its current refresh token is derived from.
    pub kid: String,
}

/// An open session, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    pub id: Uuid,
    pub created_at: Timestamp,
    /// The time of the last refresh, or of the login where there was none.
    pub last_used_at: Timestamp,
    /// The device that the client named.
    pub device: Option<String>,
    /// The network that it was opened from, in coarse form.
    pub network: Option<String>,
}

/// Sessions that were ended, as they were appended to the revocation log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndedSessions {
    /// Ids of sessions, or the id of a user for all sessions of that user.
    pub subjects: Vec<Uuid>,
    /// The number of sessions.
    pub sessions: u32,
}

/// The subject of a revocation that ends every session: all tokens issued until then.
pub const EVERYONE: Uuid = Uuid::max();

/// An entry of the revocation log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// The id of a session or of a user, or [`EVERYONE`].
    pub subject: Uuid,
    pub at: Timestamp,
}

/// The largest number of refreshes of one session within a window, which begins with the first of
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshLimit {
    pub uses: u32,
    pub window: Duration,
}

/// Result of [`Sessions::refresh`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionRefresh {
    Advanced(SessionRecord),
    /// The limit is reached; the session can be refreshed after this time.
    TooMany(Duration),
    /// The session has ended, or its counter is another.
    Unchanged,
}

port! {
    ($)
    /// Sessions, for the token service.
    Sessions, sessions_port {
        /// Advances the counter of a session from `counter` by one and sets its key.
        fn refresh(session_id: Uuid, counter: u32, kid: &str, limit: RefreshLimit, change: Change) -> SessionRefresh;
        /// Finds a session that has not ended.
        fn session(id: Uuid) -> Option<SessionRecord>;
        /// Finds the account of a session that has not ended.
        fn session_owner(session_id: Uuid) -> Option<UserRecord>;
        /// Lists open sessions of a user, the most recently used first, up to `limit` of them.
        fn sessions_of(user_id: Uuid, limit: u32) -> Vec<SessionSummary>;
        /// Ends one session. Ends nothing, and records nothing, where it has ended already.
        fn end_session(session_id: Uuid, change: Change) -> EndedSessions;
        /// Ends every session of a user and voids every open code. Records nothing where there was
        /// no session.
        fn end_all_sessions(user_id: Uuid, change: Change) -> EndedSessions;
    }
}

port! {
    ($)
    /// The log of ended sessions and changed accounts, from which every node learns of revocations.
    RevocationLog, revocation_log_port {
        /// Returns the entries that are not older than `since`.
        fn revocations(since: Timestamp) -> Vec<Revocation>;
        /// Returns the versions of the accounts that changed at `since` or later.
        fn changes(since: Timestamp) -> Vec<UserVersion>;
    }
}
