//! The audit log: events, the entries that they become, and the hash chain that the entries are
//! sealed into.

use std::time::Duration;

use uuid::Uuid;

use super::{ChangeContext, Timestamp};

/// The purpose under which a login text is hashed for the audit log, so that failed logins with the
/// same text can be recognised.
pub const AUDITED_LOGIN: &str = "audited login";

/// Declares the kinds of events with their names in storage.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal)*) => {
        /// Kind of an audit event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum AuditKind { $($(#[$doc])* $kind,)* }

        impl AuditKind {
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Returns the name in storage, which must never change.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    /// A registration was stored; its subject is the id that the code verifies.
    Registered "registered"
    /// The code of a registration was entered, and the account was created.
    Verified "verified"
    /// A session was opened with a password.
    LoggedIn "logged_in"
    /// A password was wrong, or correct for a disabled account.
    LoginFailed "login_failed"
    /// A refresh token was used.
    Refreshed "refreshed"
    /// A superseded refresh token was presented, and its session ended.
    ReuseDetected "reuse_detected"
    /// An account was updated; the detail names the fields.
    Updated "updated"
    /// A code was requested again.
    CodeResent "code_resent"
    /// A new email address was confirmed.
    EmailConfirmed "email_confirmed"
    /// A password reset was requested.
    ResetRequested "reset_requested"
    /// A password was reset.
    ResetDone "reset_done"
    /// One session, or all sessions of a user, were ended by their owner.
    LoggedOut "logged_out"
    /// An account was deleted.
    Deleted "deleted"
    /// An operator disabled an account.
    Disabled "disabled"
    /// An operator enabled an account.
    Enabled "enabled"
    /// An operator cleared the failed logins of an account.
    Unlocked "unlocked"
    /// An operator created an account.
    Created "created"
    /// An operator set the email address of an account.
    EmailSet "email_set"
    /// An operator retired a key; the detail is its name.
    KeyRetired "key_retired"
    /// An operator imported users: one event at the start, and one with the numbers at the end.
    Imported "imported"
    /// An operator exported every user with their password hashes; the detail is the format.
    Exported "exported"
    /// An operator restored the database from a backup, and every session ended.
    Restored "restored"
    /// A request was rate limited; recorded once per key and minute.
    Throttled "throttled"
    /// The end of the chain did not match its MAC when entries were about to be sealed: the log was
    /// altered.
    ChainBroken "chain_broken"
    /// The key of the MAC at the end of the chain was unknown when entries were about to be sealed.
    ChainTakenOver "chain_taken_over"
}

/// An event for the audit log. It contains no secret, and no name or address of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    pub kind: AuditKind,
    /// The account that the event concerns.
    pub user_id: Option<Uuid>,
    /// The session that the event concerns.
    pub session_id: Option<Uuid>,
    /// A further subject: the id of a verification, or the keyed hash of a login without an
    /// account.
    pub subject: Option<Vec<u8>>,
    /// Details, in fixed words only.
    pub detail: String,
    /// A key under which the event is recorded only once, for events that may be very frequent.
    pub dedup: Option<[u8; 32]>,
}

impl AuditEvent {
    /// Returns an event that concerns no account.
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

    /// Returns an event that concerns an account.
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

/// An event that changes nothing else, with its time and origin.
#[derive(Debug, Clone)]
pub struct AuditRecord {
    pub context: ChangeContext,
    pub event: AuditEvent,
}

/// A SHA-256 hash of the chain.
pub type ChainHash = [u8; 32];

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub id: Uuid,
    pub at: Timestamp,
    /// The name of an [`AuditKind`], or of one that a later version has added.
    pub kind: String,
    /// The account that the event concerns.
    pub user_id: Option<Uuid>,
    /// The session that the event concerns.
    pub session_id: Option<Uuid>,
    /// A further subject: the id of a verification, or the keyed hash of a login without an
    /// account.
    pub subject: Option<Vec<u8>>,
    /// Details, in fixed words only.
    pub detail: String,
    /// The name of the operator who caused the event.
    pub operator: Option<String>,
    /// The network of the client, until it is erased together with the account.
    pub network: Option<String>,
    /// The salt of the commitment to the network; erased together with it.
    pub salt: Option<Vec<u8>>,
    /// Set if network and salt may be missing because the account was deleted.
    pub erasable: bool,
    /// The position in the chain, once the entry is sealed.
    pub seal: Option<AuditSeal>,
}

/// Position of an entry in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSeal {
    /// The sequence number, without gaps.
    pub seq: i64,
    /// The salted hash of the network, where there was one when the entry was sealed.
    pub commitment: Option<ChainHash>,
    /// The hash over the entry and the previous hash.
    pub hash: ChainHash,
    /// The name of the key of the MAC.
    pub kid: String,
    /// The MAC over the hash.
    pub mac: ChainHash,
}

/// Both ends of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditChain {
    /// The sequence number of the last entry, or zero.
    pub seq: i64,
    /// The hash of the last entry.
    pub hash: ChainHash,
    /// The sequence number of the last entry that was pruned, or zero.
    pub anchor_seq: i64,
    /// The hash of the last entry that was pruned.
    pub anchor_hash: ChainHash,
    /// The name of a key, and the MAC under it over both ends.
    pub mac: Option<(String, ChainHash)>,
}

/// Operation on the chain.
#[derive(Debug)]
pub enum ChainStep<'a> {
    /// Appends these entries.
    Seal(&'a mut [AuditEntry]),
    /// Removes everything up to the entry with this sequence number and hash.
    Prune(i64, ChainHash),
}

/// A function that applies a step to the chain, seals its entries, and renews the MAC. Returns
/// false if the chain must stay as it is.
pub type ChainUpdate = Box<dyn FnMut(&mut AuditChain, ChainStep<'_>) -> bool + Send>;

/// Result of [`AuditTrail::seal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealResult {
    /// This many entries were sealed.
    Sealed(usize),
    /// Another worker holds the lease.
    Elsewhere,
    /// The chain update refused.
    Refused,
}

/// Entries that are not in the chain yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsealed {
    /// The number of entries.
    pub rows: i64,
    /// The time of the oldest.
    pub oldest: Option<Timestamp>,
}

/// Filter of audit entries.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub user_id: Option<Uuid>,
    pub kind: Option<String>,
    /// The earliest time, inclusive.
    pub since: Option<Timestamp>,
    /// The latest time, exclusive.
    pub until: Option<Timestamp>,
    /// The number of newest entries to return.
    pub limit: u32,
}

port! {
    ($)
    /// The audit log. Every change records its own event; this port records what changes nothing
    /// else, seals entries into the chain, and reads them.
    AuditTrail, audit_trail_port {
        /// Records an event that changes nothing else.
        fn record(record: &AuditRecord) -> ();
        /// Appends at most `limit` of the oldest unsealed entries to the chain by `update`. Only
        /// the worker that holds the lease may do so.
        fn seal(worker: Uuid, lease: Duration, limit: u32, update: ChainUpdate, now: Timestamp) -> SealResult;
        /// Counts the entries that are not in the chain yet.
        fn unsealed() -> Unsealed;
        /// Deletes at most `limit` entries older than `before` from the start of the chain, and
        /// renews its MAC by `update`. Returns their number.
        fn prune(before: Timestamp, limit: u32, update: ChainUpdate) -> u64;
        /// Reads both ends of the chain.
        fn chain() -> AuditChain;
        /// Returns at most `limit` entries of the chain that follow `seq`.
        fn chained_after(seq: i64, limit: u32) -> Vec<AuditEntry>;
        /// Returns the newest entries that match a filter, oldest first.
        fn entries(filter: &AuditFilter) -> Vec<AuditEntry>;
    }
}
