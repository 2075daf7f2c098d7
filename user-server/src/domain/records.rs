//! What the ports carry: rows as the services see them.

mod idempotency;
mod operators;

use std::time::Duration;

use uuid::Uuid;

use super::{Email, Timestamp, Username};
pub use idempotency::{Done, KeyClaim, KeyStanding, KeyedRequest};
pub use operators::{Account, Imported, NewUser, StoredUser};

/// An active account.
#[derive(Clone)]
pub struct UserRecord {
    /// The account's id.
    pub id: Uuid,
    /// As the user writes it.
    pub username: String,
    /// As it is compared.
    pub username_key: String,
    /// As the user writes it.
    pub email: String,
    /// As it is compared.
    pub email_key: String,
    /// The PHC string.
    pub password_hash: String,
    /// Moves on with every change of the password: what was proved under an older one no longer
    /// counts.
    pub credentials: i64,
    /// Whether an operator has disabled the account.
    pub disabled: bool,
    /// When the account became active.
    pub created_at: Timestamp,
    /// Moves on with every change of the row.
    pub version: i64,
}

/// What an account shows to its owner's gateway. It holds nothing that proves anything, so it may
/// be cached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The account's id.
    pub id: Uuid,
    /// As the user writes it.
    pub username: String,
    /// As the user writes it.
    pub email: String,
    /// When the account became active.
    pub created_at: Timestamp,
    /// The version of the row that it was taken from.
    pub version: i64,
}

impl From<UserRecord> for Profile {
    fn from(user: UserRecord) -> Self {
        let UserRecord { id, username, email, created_at, version, .. } = user;
        Self { id, username, email, created_at, version }
    }
}

/// A user has changed: what was taken from an older version is old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserVersion {
    /// Who.
    pub user_id: Uuid,
    /// The version that counts now, or a later one.
    pub version: i64,
}

/// What is cached of a token.
#[derive(Debug, PartialEq, Eq)]
pub enum Cached {
    /// Its session had not ended, and this is its user.
    Known(Profile),
    /// Something is missing; who has read it in SQL may fill it in under these leases.
    Unknown(Leases),
}

/// The right to fill in what was missing. A lease that was taken before the read and that nobody
/// has ended since shows that what was read still holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leases {
    /// For the session.
    pub session: Option<Uuid>,
    /// For the user.
    pub user: Option<Uuid>,
}

/// What a code is for. A code verifies only its own purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To activate a registration.
    Registration,
    /// To make a new address count.
    EmailChange,
    /// To set a password without the old one.
    PasswordReset,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Registration, Self::EmailChange, Self::PasswordReset];

    /// The name in storage and in the derivation of codes; it must never change.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::EmailChange => "email_change",
            Self::PasswordReset => "password_reset",
        }
    }

    /// The purpose of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }
}

/// A registration to write down.
pub struct Registration {
    /// Its id, which is all that its code verifies.
    pub verification_id: Uuid,
    /// The name asked for.
    pub username: Username,
    /// The address asked for.
    pub email: Email,
    /// The PHC string of the password asked for.
    pub password_hash: String,
    /// What its mail waits its turn by.
    pub client: String,
    /// The key that its codes are made with.
    pub kid: String,
}

/// A request for a reset to write down, for a known address or not.
pub struct ResetRequest {
    /// Its id.
    pub verification_id: Uuid,
    /// The address typed.
    pub email: Email,
    /// What its mail waits its turn by.
    pub client: String,
    /// The key that its codes are made with.
    pub kid: String,
}

/// What a login text stands for.
#[derive(Debug, Clone, Copy)]
pub enum LoginKey<'a> {
    /// A username's key.
    Username(&'a str),
    /// An address's key.
    Email(&'a str),
}

/// A session to open.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id.
    pub id: Uuid,
    /// The key that its refresh tokens are made with.
    pub kid: String,
}

impl NewSession {
    /// The session as it is when it has just been opened.
    #[must_use]
    pub fn opened(&self, user_id: Uuid, at: Timestamp) -> SessionRecord {
        let (id, kid) = (self.id, self.kid.clone());
        SessionRecord { id, user_id, counter: 0, created_at: at, rotated_at: at, kid }
    }
}

/// A session, as far as its refresh token needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// How often it was refreshed: the number in its current refresh token.
    pub counter: u32,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was last refreshed, or opened.
    pub rotated_at: Timestamp,
    /// The key that its current refresh token is made with.
    pub kid: String,
}

/// What using a refresh token did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// It was the current one; this is its successor's session.
    Moved(SessionRecord),
    /// It was the one before the current one, used again in time: the same successor.
    Repeated(SessionRecord),
    /// It was an older one, so somebody has a copy: the session has ended.
    Ended(Ended),
    /// Its number has not been reached: it is from a future that a restored database has forgotten.
    Ahead,
    /// Its session has ended before.
    Gone,
}

/// Sessions that ended, and what was appended to the revocation log for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// Ids of sessions, or of a user for all of theirs.
    pub subjects: Vec<Uuid>,
    /// How many sessions that were.
    pub sessions: u32,
}

/// The subject of an entry that ends every session at once: all tokens that were issued until then.
pub const EVERYONE: Uuid = Uuid::max();

/// An entry of the revocation log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// A session's or a user's id, or [`EVERYONE`].
    pub subject: Uuid,
    /// When it ended.
    pub at: Timestamp,
}

/// A guess that was paid for.
#[derive(Debug, Clone)]
pub struct Guess {
    /// The verification that it was made at.
    pub verification_id: Uuid,
    /// What for.
    pub purpose: Purpose,
    /// Which of its codes is the current one.
    pub generation: u32,
    /// The key that the code is made with.
    pub kid: String,
    /// Whether nothing can be the right code, because the address is somebody's or nobody's.
    pub dead: bool,
    /// Whose it is, for a change or a reset.
    pub user_id: Option<Uuid>,
}

/// What asking to guess gave.
#[derive(Debug, Clone)]
pub enum Charge {
    /// A guess.
    Charged(Guess),
    /// No code was made yet, so every guess is wrong.
    NotIssued,
    /// There is no such code, or no more: expired, used, out of guesses, unknown.
    Spent,
}

/// What asking for the code again gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// A mail waits its turn.
    Queued,
    /// The last mail is too young.
    TooSoon(Duration),
    /// There is no such verification.
    Spent,
}

/// What activating a registration gave.
pub enum Activation {
    /// The account is active and its first session open.
    Active(Box<UserRecord>),
    /// Somebody has the name; the code is still good.
    UsernameTaken,
    /// Somebody has the address; the code is spent.
    EmailTaken,
    /// Another use of the code came first.
    Spent,
}

/// What confirming a new address gave.
pub enum EmailChange {
    /// It counts now.
    Changed(Box<UserRecord>),
    /// Somebody has it; the code is spent.
    EmailTaken,
    /// Another use of the code came first.
    Spent,
}

/// A change of an account to write down in one piece.
pub struct UserChange {
    /// Whose.
    pub user_id: Uuid,
    /// The session that asks, and that stays.
    pub session_id: Uuid,
    /// What the proof of the current password was made under, where one was made.
    pub credentials: Option<i64>,
    /// A new name.
    pub username: Option<Username>,
    /// The PHC string of a new password.
    pub password_hash: Option<String>,
    /// A new address, which waits for its code under this id.
    pub email: Option<(Uuid, Email)>,
    /// What the code's mail waits its turn by.
    pub client: String,
    /// The key that its codes are made with.
    pub kid: String,
}

impl UserChange {
    /// Which fields it changes, for the audit.
    #[must_use]
    pub fn fields(&self) -> String {
        let fields = [
            (self.username.is_some(), "username"),
            (self.email.is_some(), "email"),
            (self.password_hash.is_some(), "password"),
        ];
        fields
            .iter()
            .filter(|(changed, _)| *changed)
            .map(|(_, name)| *name)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// What a change gave.
pub enum Changed {
    /// It is done; these sessions ended.
    Done(Box<UserRecord>, Ended),
    /// Somebody has the name; nothing changed.
    UsernameTaken,
    /// The account is gone, or its password changed meanwhile; nothing changed.
    Gone,
}

/// What a reset gave.
pub struct ResetDone {
    /// Whose password it is.
    pub user: UserRecord,
    /// The sessions that ended.
    pub ended: Ended,
}

/// A budget's counter. A counter that is not there is all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// How much is spent.
    pub count: u32,
    /// Since when it counts.
    pub since: Timestamp,
    /// Before when nothing more may be spent.
    pub blocked_until: Timestamp,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

impl Counter {
    /// Nothing spent.
    pub const ZERO: Self = Self {
        count: 0,
        since: Timestamp(0),
        blocked_until: Timestamp(0),
        expires_at: Timestamp(0),
    };
}

/// Something that has to hold of what is stored, and whether it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invariant {
    /// What has to hold.
    pub holds: &'static str,
    /// How many rows break it; not all are counted where they are many.
    pub broken: usize,
    /// The ids of the first of them that have one.
    pub ids: Vec<Uuid>,
}

impl Invariant {
    /// The most rows that are looked for.
    pub const MOST: usize = 1000;
    /// The most ids that are kept.
    pub const SHOWN: usize = 10;
}

/// A key that was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredKey {
    /// Its name.
    pub kid: String,
    /// When it was.
    pub at: Timestamp,
}

/// What hangs on a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// Its name.
    pub kid: String,
    /// Sessions whose refresh tokens it makes.
    pub sessions: i64,
    /// Codes that it makes.
    pub codes: i64,
}
