//! Login sessions: their records, and the ports that refresh and end them and read the revocation
//! log.

use std::time::Duration;

use uuid::Uuid;

use super::{Change, DeviceName, Timestamp, UserRecord, UserVersion};

/// Maximum number of sessions of one account. A further login ends the least recently used session.
pub const MAX_SESSIONS: u32 = 100;

/// Session to open.
#[derive(Debug, Clone)]
pub struct NewSession {
    pub id: Uuid,
    /// Name of the server key that the session's refresh tokens are derived from.
    pub kid: String,
    /// Name of the device, if the client has stated one.
    pub device: Option<DeviceName>,
    /// Network of the client that logs in, in the coarse form that the user sees in the list of
    /// sessions. `None` if the network is unknown.
    pub network: Option<String>,
    /// Keyed hash of the network of the client that logs in, which is stored as a known network of
    /// the account. Empty if the network is unknown.
    pub client: String,
}

impl NewSession {
    /// Returns the record of the session right after it is opened at the time `at`.
    #[must_use]
    pub fn opened(&self, user_id: Uuid, at: Timestamp) -> SessionRecord {
        let (id, kid) = (self.id, self.kid.clone());
        SessionRecord { id, user_id, counter: 0, created_at: at, rotated_at: at, kid }
    }
}

/// Stored record of an open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    pub id: Uuid,
    pub user_id: Uuid,
    /// Number of refreshes so far. A refresh token contains this number, so an earlier token is
    /// recognised as superseded.
    pub counter: u32,
    pub created_at: Timestamp,
    /// Time of the last refresh, or of the login if there was no refresh.
    pub rotated_at: Timestamp,
    /// Name of the server key that the current refresh token is derived from.
    pub kid: String,
}

/// Open session, as the user sees it in the list of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    pub id: Uuid,
    pub created_at: Timestamp,
    /// Time of the last refresh, or of the login if there was no refresh.
    pub last_used_at: Timestamp,
    /// Name of the device, if the client has stated one.
    pub device: Option<String>,
    /// Network from which the user logged in, as an IPv4 /24 or an IPv6 /48. `None` if it is
    /// unknown.
    pub network: Option<String>,
}

/// Sessions that a change ended, as they were appended to the revocation log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndedSessions {
    /// The ended sessions, and the user if it was deleted, which stands for all of its sessions.
    pub subjects: Vec<Subject>,
    /// Number of ended sessions.
    pub sessions: u32,
    /// Latest time in the revocation log, in the future if a token was issued while the clock was
    /// ahead.
    pub issued_until: Timestamp,
}

impl EndedSessions {
    /// Returns the ids of all subjects.
    #[must_use]
    pub fn ids(&self) -> Vec<Uuid> {
        self.subjects.iter().map(|subject| subject.id()).collect()
    }
}

/// Subject of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    Session(Uuid),
    /// User that was deleted.
    User(Uuid),
    /// Session, or user that was deleted: the entry was made by an earlier version, which did not
    /// store the kind.
    SessionOrUser(Uuid),
    /// All tokens that were issued until then, of all users.
    Everyone,
}

impl Subject {
    /// Returns the id under which the subject is stored: that of the session or user, or the
    /// largest UUID for everyone.
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Self::Session(id) | Self::User(id) | Self::SessionOrUser(id) => id,
            Self::Everyone => Uuid::max(),
        }
    }

    /// Returns the number under which the kind of the subject is stored, or `None` if the kind is
    /// not known.
    #[must_use]
    pub fn kind(self) -> Option<i16> {
        match self {
            Self::Session(_) => Some(1),
            Self::User(_) => Some(2),
            Self::Everyone => Some(3),
            Self::SessionOrUser(_) => None,
        }
    }

    /// Returns the subject that is stored under an id and the number of a kind.
    #[must_use]
    pub fn stored(id: Uuid, kind: Option<i16>) -> Self {
        match kind {
            _ if id == Uuid::max() => Self::Everyone,
            Some(1) => Self::Session(id),
            Some(2) => Self::User(id),
            _ => Self::SessionOrUser(id),
        }
    }
}

/// Longest lifetime of an access token that can be configured.
pub const MAX_ACCESS_LIFE: Duration = Duration::from_secs(60 * 60);

/// Entry of the revocation log. Access tokens of the subject that were issued before it are not
/// accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Number of the entry. Entries are numbered in the order in which their transactions wrote
    /// them, which may differ from the order of their commits.
    pub seq: i64,
    pub subject: Subject,
    /// Time by the clock of the node that wrote the entry, which may be wrong, or a later time at
    /// which the last token of the subject was issued.
    pub at: Timestamp,
}

/// Part of the revocation log: the entries after a number, those made in a span of time, and those
/// with these numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPart {
    pub after: i64,
    pub since: Timestamp,
    pub until: Timestamp,
    pub numbers: Vec<i64>,
}

impl LogPart {
    /// Returns the whole log.
    #[must_use]
    pub fn all() -> Self {
        Self { after: 0, ..Self::since(Timestamp(0)) }
    }

    /// Returns the part that was made at `since` or later.
    #[must_use]
    pub fn since(since: Timestamp) -> Self {
        Self { after: i64::MAX, since, until: Timestamp(i64::MAX), numbers: Vec::new() }
    }
}

/// Result of reading a part of the revocation log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRead {
    pub entries: Vec<Revocation>,
    /// Time until which tokens may have been issued that an entry concerned which was deleted.
    pub erased: Timestamp,
    /// Highest number of an entry in the log, or zero if there is none.
    pub highest: i64,
}

/// Rate limit for refreshes of one session: at most `uses` within `window`, which begins with the
/// first refresh in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshLimit {
    pub uses: u32,
    pub window: Duration,
}

/// Result of [`Sessions::refresh`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionRefresh {
    Advanced(SessionRecord),
    /// The rate limit is reached. The session can be refreshed after this time.
    TooMany(Duration),
    /// The session has ended, or its counter is not the expected one. Nothing changed.
    Unchanged,
}

port! {
    ($)
    /// Sessions, for the `tokens` module.
    Sessions, sessions_port {
        /// Refreshes a session: increments its counter, which must be `counter`, and stores `kid`,
        /// the name of the server key of the next refresh token.
        fn refresh(session_id: Uuid, counter: u32, kid: &str, limit: RefreshLimit, change: Change) -> SessionRefresh;
        /// Finds an open session. Returns `None` if it has ended.
        fn session(id: Uuid) -> Option<SessionRecord>;
        /// Finds the account of an open session. Returns `None` if the session has ended.
        fn session_owner(session_id: Uuid) -> Option<UserRecord>;
        /// Returns at most `limit` open sessions of a user, the most recently used first.
        fn sessions_of(user_id: Uuid, limit: u32) -> Vec<SessionSummary>;
        /// Ends one session. Does nothing, and records no audit event, if the session has already
        /// ended.
        fn end_session(session_id: Uuid, change: Change) -> EndedSessions;
        /// Appends a session that has no row to the revocation log. `at` is at least the time at
        /// which its last token was issued.
        fn revoke_session(session_id: Uuid, at: Timestamp, change: Change) -> EndedSessions;
        /// Ends all sessions of a user and voids the user's open codes. Records no audit event if
        /// there was no session.
        fn end_all_sessions(user_id: Uuid, change: Change) -> EndedSessions;
    }
}

port! {
    ($)
    /// The log of ended sessions and changed accounts, which every node polls to reject revoked
    /// tokens.
    RevocationLog, revocation_log_port {
        /// Reads a part of the log. Fails on a standby, which may lack the latest entries.
        fn revocations(part: &LogPart) -> LogRead;
        /// Records that entries may have been deleted that concerned tokens which were issued until
        /// this time.
        fn mark_erased(until: Timestamp) -> ();
        /// Returns the current versions of the accounts that changed at `since` or later.
        fn changes(since: Timestamp) -> Vec<UserVersion>;
    }
}
