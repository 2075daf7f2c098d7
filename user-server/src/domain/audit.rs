//! What the audit tells: events, the rows that they become, and the chain that the rows are sealed
//! into.

use uuid::Uuid;

use super::{Act, Timestamp};

/// The use under which a login text is hashed for the audit, so that attempts at it can be known as
/// such.
pub const AUDITED_LOGIN: &str = "audited login";

/// What happened. A kind more is one row here.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name in storage; it must never change.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    /// A registration was written down; the subject is what its code verifies.
    Registered "registered"
    /// The code of a registration was entered: the account exists.
    Verified "verified"
    /// A session was opened with a password.
    LoggedIn "logged_in"
    /// A password was wrong, or right for a disabled account.
    LoginFailed "login_failed"
    /// A refresh token was used.
    Refreshed "refreshed"
    /// A refresh token was used that somebody had used before: the session ended.
    ReuseDetected "reuse_detected"
    /// An account was changed; the detail names the fields.
    Updated "updated"
    /// A code was asked for again.
    CodeResent "code_resent"
    /// A new address was proved and counts.
    EmailConfirmed "email_confirmed"
    /// A password reset was asked for.
    ResetRequested "reset_requested"
    /// A password was reset.
    ResetDone "reset_done"
    /// A session was ended, or all of a user's.
    LoggedOut "logged_out"
    /// An account was deleted.
    Deleted "deleted"
    /// An operator let nobody log in to an account any more.
    Disabled "disabled"
    /// An operator let its owner log in again.
    Enabled "enabled"
    /// An operator forgot the failed logins of an account.
    Unlocked "unlocked"
    /// An operator ended a key for good; the detail is its name.
    KeyRetired "key_retired"
    /// An operator brings users along: a row where it begins, and one with the numbers where it
    /// ends.
    Imported "imported"
    /// An operator took a copy of every user with their password hashes; the detail is its format.
    Exported "exported"
    /// An operator put the database back: every session ended.
    Restored "restored"
    /// Somebody was told to wait; one a key and minute.
    Throttled "throttled"
    /// The end of the chain was not what had been vouched for when more was to be sealed behind it:
    /// somebody changed it.
    ChainBroken "chain_broken"
    /// The key that vouched for the end of the chain was not known when more was to be sealed
    /// behind it.
    ChainTakenOver "chain_taken_over"
}

/// Something that happened. It holds no secret, and no name or address of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: Kind,
    /// To whose account.
    pub user_id: Option<Uuid>,
    /// In which session.
    pub session_id: Option<Uuid>,
    /// What else it is about: a verification's id, or the keyed hash of a login that is nobody's.
    pub subject: Option<Vec<u8>>,
    /// More, in fixed words.
    pub detail: String,
    /// Where it may come in floods: it is written once under this key.
    pub dedup: Option<[u8; 32]>,
}

impl Event {
    /// An event that concerns no account.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            user_id: None,
            session_id: None,
            subject: None,
            detail: String::new(),
            dedup: None,
        }
    }

    /// An event of an account.
    #[must_use]
    pub fn of(kind: Kind, user_id: Uuid) -> Self {
        Self { user_id: Some(user_id), ..Self::new(kind) }
    }

    /// In this session.
    #[must_use]
    pub fn session(self, id: Uuid) -> Self {
        Self { session_id: Some(id), ..self }
    }

    /// About this.
    #[must_use]
    pub fn subject(self, subject: &[u8]) -> Self {
        Self { subject: Some(subject.to_vec()), ..self }
    }

    /// With these fixed words.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }
}

/// An event, and who caused it.
#[derive(Debug, Clone)]
pub struct Note {
    /// Who, and when.
    pub act: Act,
    /// What.
    pub event: Event,
}

/// A hash of the chain.
pub type Hash = [u8; 32];

/// A row of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// What happened, by the name of its [`Kind`], or of one that a later version knows.
    pub kind: String,
    /// To whose account.
    pub user_id: Option<Uuid>,
    /// In which session.
    pub session_id: Option<Uuid>,
    /// What else it is about.
    pub subject: Option<Vec<u8>>,
    /// More, in fixed words.
    pub detail: String,
    /// The operator who did it.
    pub operator: Option<String>,
    /// The client's network, until it is erased with its account.
    pub network: Option<String>,
    /// What the commitment to the network is salted with; erased with it.
    pub salt: Option<Vec<u8>>,
    /// Whether network and salt may be gone: the account that they belong to was deleted.
    pub erasable: bool,
    /// Its place in the chain, once it has one.
    pub seal: Option<Seal>,
}

/// A row's place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Its number; they have no gaps.
    pub seq: i64,
    /// The salted hash of the network, where there was one when the row was sealed.
    pub commitment: Option<Hash>,
    /// The hash over the row and the hash before it.
    pub hash: Hash,
    /// The key that vouches for the hash.
    pub kid: String,
    /// What it vouches with.
    pub mac: Hash,
}

/// The two ends of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The number of the last row; zero where there is none yet.
    pub seq: i64,
    /// Its hash.
    pub hash: Hash,
    /// The number of the last row that was pruned from the beginning; zero where none was.
    pub anchor_seq: i64,
    /// Its hash.
    pub anchor_hash: Hash,
    /// The key that vouches for both, and what it vouches with.
    pub mac: Option<(String, Hash)>,
}

/// What becomes of the chain.
#[derive(Debug)]
pub enum Step<'a> {
    /// These rows are put at its end.
    Seal(&'a mut [Entry]),
    /// It begins behind the row of this number and hash.
    Prune(i64, Hash),
}

/// What an attempt to seal gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealing {
    /// So many rows were sealed.
    Done(usize),
    /// Another worker seals.
    Elsewhere,
    /// What was to link the rows would not.
    Refused,
}

/// Rows that are not in the chain yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsealed {
    /// How many.
    pub rows: i64,
    /// When the oldest was written.
    pub oldest: Option<Timestamp>,
}

/// Which rows to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this account.
    pub user_id: Option<Uuid>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// The newest so many.
    pub limit: u32,
}
