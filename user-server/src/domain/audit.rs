//! The audit log: events, the entries that record them, and the hash chain into which the entries
//! are sealed.

use std::time::Duration;

use uuid::Uuid;

use super::{ChangeContext, Timestamp};

/// Label of the keyed hash that replaces a login identifier in the audit log. Equal identifiers
/// have equal hashes, so failed logins with the same identifier can be found.
pub const AUDITED_LOGIN: &str = "audited login";

/// Declares the kinds of events with their names in storage.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal)*) => {
        /// Kind of an audit event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AuditKind { $($(#[$doc])* $kind,)* }

        impl AuditKind {
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Returns the name of this kind in the database, which must never change.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    /// A registration was stored, to be verified with a code. The event's subject is the id of the
    /// verification.
    Registered "registered"
    /// The code of a registration was entered, and the account was created.
    Verified "verified"
    /// A session was opened with a password.
    LoggedIn "logged_in"
    /// A password was wrong, or correct for a disabled account.
    LoginFailed "login_failed"
    /// A session was refreshed with a refresh token.
    Refreshed "refreshed"
    /// A refresh token that was already used was presented, and its session was ended.
    ReuseDetected "reuse_detected"
    /// An account was updated; the event's detail names the changed fields.
    Updated "updated"
    /// A client requested that a code is sent again.
    CodeResent "code_resent"
    /// A new email address was confirmed.
    EmailConfirmed "email_confirmed"
    /// A password reset was requested.
    ResetRequested "reset_requested"
    /// A user has set a new password with the code of a password reset.
    ResetDone "reset_done"
    /// A user ended one session or all sessions.
    LoggedOut "logged_out"
    /// An account was deleted.
    Deleted "deleted"
    /// An operator disabled an account.
    Disabled "disabled"
    /// An operator enabled an account.
    Enabled "enabled"
    /// An operator reset the counters of failed logins of an account.
    Unlocked "unlocked"
    /// An operator created an account.
    Created "created"
    /// An operator set the email address of an account.
    EmailSet "email_set"
    /// An operator retired a server key; the event's detail is the name of the key.
    KeyRetired "key_retired"
    /// An operator imported users. One event is recorded at the start, and one with the numbers of
    /// users at the end.
    Imported "imported"
    /// An operator exported all users with their password hashes; the event's detail is the file
    /// format.
    Exported "exported"
    /// An operator restored the database from a backup, and every session ended.
    Restored "restored"
    /// A request was rate limited. Recorded at most once a minute for each user, session, login
    /// identifier or network.
    Throttled "throttled"
    /// The end of the hash chain did not match its MAC before new entries were sealed, so the audit
    /// log was altered.
    ChainBroken "chain_broken"
    /// The MAC at the end of the hash chain was made with a server key that is retired or not
    /// configured, so it could not be verified before new entries were sealed.
    ChainTakenOver "chain_taken_over"
}

/// Event to record in the audit log. It contains no secret, and no username or email address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    pub kind: AuditKind,
    /// Account that the event concerns, if any.
    pub user_id: Option<Uuid>,
    /// Session that the event concerns, if any.
    pub session_id: Option<Uuid>,
    /// Id of a verification, or keyed hash of a login identifier without an account, if the event
    /// concerns one.
    pub subject: Option<Vec<u8>>,
    /// Details for operators, in fixed words that contain no user data. Empty if there are none.
    pub detail: String,
    /// Deduplication key for frequent events: an event with the key of a stored event is not
    /// recorded. `None` if every occurrence is recorded.
    pub dedup: Option<[u8; 32]>,
}

impl AuditEvent {
    /// Creates an event that concerns no account.
    #[must_use]
    pub fn new(kind: AuditKind) -> Self {
        Self {
            kind,
            user_id: None,
            session_id: None,
            subject: None,
            detail: String::new(),
            dedup: None,
        }
    }

    /// Creates an event that concerns the account `user_id`.
    #[must_use]
    pub fn of(kind: AuditKind, user_id: Uuid) -> Self {
        Self { user_id: Some(user_id), ..Self::new(kind) }
    }

    #[must_use]
    pub fn session(self, id: Uuid) -> Self {
        Self { session_id: Some(id), ..self }
    }

    #[must_use]
    pub fn subject(self, subject: &[u8]) -> Self {
        Self { subject: Some(subject.to_vec()), ..self }
    }

    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }
}

/// Event that is recorded on its own, not as part of a change, with its time and origin.
#[derive(Debug, Clone)]
pub struct AuditRecord {
    pub context: ChangeContext,
    pub event: AuditEvent,
}

/// SHA-256 hash in the hash chain of the audit log.
pub type ChainHash = [u8; 32];

/// Stored entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub id: Uuid,
    pub at: Timestamp,
    /// Name of an [`AuditKind`], possibly one that only a later version of the server knows.
    pub kind: String,
    /// Account that the event concerns, if any.
    pub user_id: Option<Uuid>,
    /// Session that the event concerns, if any.
    pub session_id: Option<Uuid>,
    /// Id of a verification, or keyed hash of a login identifier without an account, if the event
    /// concerns one.
    pub subject: Option<Vec<u8>>,
    /// Details for operators, in fixed words that contain no user data. Empty if there are none.
    pub detail: String,
    /// Name of the operator who caused the event, or `None` for a client's request.
    pub operator: Option<String>,
    /// Network of the client, or `None` if it is unknown, or was erased because the account was
    /// deleted.
    pub network: Option<String>,
    /// Salt of the commitment to the network; erased together with the network.
    pub salt: Option<Vec<u8>>,
    /// Set if network and salt may have been erased because the account was deleted. Otherwise
    /// their absence shows that the entry was altered.
    pub erasable: bool,
    /// Position in the hash chain, or `None` if the entry is not sealed yet.
    pub seal: Option<AuditSeal>,
}

/// Position of a sealed audit entry in the hash chain, with its hash and MAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSeal {
    /// Sequence number of the entry. There are no gaps.
    pub seq: i64,
    /// Salted hash of the client's network, or `None` if the entry had no network when it was
    /// sealed.
    pub commitment: Option<ChainHash>,
    /// Hash over this entry and the hash of the previous entry.
    pub hash: ChainHash,
    /// Name of the server key that `mac` was made with.
    pub kid: String,
    /// MAC over `hash`.
    pub mac: ChainHash,
}

/// First and last position of the audit log's hash chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditChain {
    /// Sequence number of the last entry, or zero if none was ever sealed.
    pub seq: i64,
    /// Hash of the last entry.
    pub hash: ChainHash,
    /// Sequence number of the last entry that was pruned from the start, or zero if none was.
    pub anchor_seq: i64,
    /// Hash of the last entry that was pruned.
    pub anchor_hash: ChainHash,
    /// Name of a server key, and the MAC over both ends of the chain with that key. `None` before
    /// the first entry is sealed.
    pub mac: Option<(String, ChainHash)>,
}

/// Operation on the audit log's hash chain.
#[derive(Debug)]
pub enum ChainStep<'a> {
    /// Appends these entries to the chain.
    Seal(&'a mut [AuditEntry]),
    /// Removes the entries up to the one with this sequence number and hash, inclusive.
    Prune(i64, ChainHash),
}

/// Function that applies a step to the hash chain, seals the entries of the step, and renews the
/// chain's MAC. Returns `false` if the chain must not be changed.
pub type ChainUpdate = Box<dyn FnMut(&mut AuditChain, ChainStep<'_>) -> bool + Send>;

/// Result of [`AuditTrail::seal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealResult {
    /// Number of entries that were sealed.
    Sealed(usize),
    /// Another worker has the lease, so nothing was sealed.
    Elsewhere,
    /// The [`ChainUpdate`] returned `false`, so nothing was sealed.
    Refused,
}

/// Number and age of the audit entries that are not sealed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsealed {
    /// Number of unsealed entries.
    pub rows: i64,
    /// Time of the oldest unsealed entry, or `None` if there is none.
    pub oldest: Option<Timestamp>,
}

/// Filter for audit entries. A condition that is `None` matches every entry.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub user_id: Option<Uuid>,
    pub kind: Option<String>,
    /// Earliest time, inclusive.
    pub since: Option<Timestamp>,
    /// Latest time, exclusive.
    pub until: Option<Timestamp>,
    /// Maximum number of entries to return; the newest are returned.
    pub limit: u32,
}

port! {
    ($)
    /// The audit log. Every change records its own event; this port records the events that belong
    /// to no change, seals entries into the hash chain, and reads entries.
    AuditTrail, audit_trail_port {
        /// Records an event that belongs to no change.
        fn record(record: &AuditRecord) -> ();
        /// Seals at most `limit` of the oldest unsealed entries with `update`, which appends them
        /// to the hash chain. First takes or renews the lease for `worker`; only one worker at a
        /// time has it.
        fn seal(worker: Uuid, lease: Duration, limit: u32, update: ChainUpdate, now: Timestamp) -> SealResult;
        /// Counts the entries that are not sealed yet.
        fn unsealed() -> Unsealed;
        /// Deletes at most `limit` entries older than `before` from the start of the hash chain,
        /// and renews the chain's MAC with `update`. Returns the number of deleted entries.
        fn prune(before: Timestamp, limit: u32, update: ChainUpdate) -> u64;
        /// Reads both ends of the hash chain.
        fn chain() -> AuditChain;
        /// Returns at most `limit` sealed entries with sequence numbers greater than `seq`, in
        /// order.
        fn chained_after(seq: i64, limit: u32) -> Vec<AuditEntry>;
        /// Returns the newest entries that match a filter, in chronological order.
        fn entries(filter: &AuditFilter) -> Vec<AuditEntry>;
    }
}
