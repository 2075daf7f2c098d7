//! Accounts: their records, and the port that creates, changes and deletes them.

use std::time::Duration;

use uuid::Uuid;

use super::{
    Adjustment, Change, Email, EndedSessions, Guess, NewSession, Notice, NoticeRequest, Timestamp,
    Username,
};

/// An active account, as it is stored.
#[derive(Clone)]
pub struct UserRecord {
    pub id: Uuid,
    /// The username as its owner writes it.
    pub username: String,
    /// The username in the form that is compared.
    pub username_key: String,
    /// The email address as its owner writes it.
    pub email: String,
    /// The email address in the form that is compared.
    pub email_key: String,
    /// The password hash, as a PHC string.
    pub password_hash: String,
    /// The version of the password: incremented with every change of it, so that a proof of an
    /// older password no longer counts.
    pub credentials: i64,
    /// Set while an operator has disabled the account.
    pub disabled: bool,
    /// The time at which the account became active.
    pub created_at: Timestamp,
    /// The version of the row: incremented with every change of it.
    pub version: i64,
}

/// The part of an account that its owner's gateway may see. It proves nothing, so it may be cached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub id: Uuid,
    pub username: String,
    pub email: String,
    /// The time at which the account became active.
    pub created_at: Timestamp,
    /// The version of the row that it was read from.
    pub version: i64,
}

impl From<UserRecord> for Profile {
    fn from(user: UserRecord) -> Self {
        let UserRecord { id, username, email, created_at, version, .. } = user;
        Self { id, username, email, created_at, version }
    }
}

/// The current version of a changed account. Anything read from an older version is out of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserVersion {
    pub user_id: Uuid,
    pub version: i64,
}

/// The key by which a login text identifies an account.
#[derive(Debug, Clone, Copy)]
pub enum LoginKey<'a> {
    Username(&'a str),
    Email(&'a str),
}

/// A registration to store as pending.
pub struct Registration {
    /// The id that its code verifies.
    pub verification_id: Uuid,
    pub username: Username,
    pub email: Email,
    /// The password hash, as a PHC string.
    pub password_hash: String,
    /// The pseudonym of the requesting network, by which the email queue is kept fair.
    pub client: String,
    /// The name of the key that its codes are derived from.
    pub kid: String,
    pub limit: PendingLimit,
}

/// The largest number of pending registrations and resets of one network, for known and unknown
/// addresses together.
#[derive(Debug, Clone, Copy)]
pub struct PendingLimit {
    pub max: u32,
    /// The time for which one is pending, unless it is completed.
    pub life: Duration,
}

/// Result of [`Accounts::register`] and [`Accounts::request_reset`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingResult {
    Stored,
    /// Too many of the network are pending; another is possible after this time.
    TooMany(Duration),
}

/// A request for a password reset, stored whether or not the address has an account.
pub struct ResetRequest {
    /// The id that its code verifies.
    pub verification_id: Uuid,
    pub email: Email,
    /// The pseudonym of the requesting network, by which the email queue is kept fair.
    pub client: String,
    /// The name of the key that its codes are derived from.
    pub kid: String,
    /// The time for which a network that opened a session of the account is known to it, and has
    /// an email budget of its own.
    pub known_for: Duration,
    pub limit: PendingLimit,
}

/// Result of [`Accounts::activate`].
pub enum Activation {
    /// The account is active and its first session is open.
    Active(Box<UserRecord>),
    /// Another account has the username; the code can be used again.
    UsernameTaken,
    /// Another account has the address; the code is spent.
    EmailTaken,
    /// The code was used concurrently, or replaced by a newer one.
    Spent,
}

/// Result of [`Accounts::confirm_email`].
pub enum EmailConfirmation {
    /// The account has the new address.
    Changed(Box<UserRecord>),
    /// Another account has the address; the code is spent.
    EmailTaken,
    /// The code was used concurrently, or replaced by a newer one.
    Spent,
}

/// A login with a correct password.
#[derive(Clone)]
pub struct PasswordLogin<'a> {
    /// The account as it was when the password was checked.
    pub user: &'a UserRecord,
    pub session: &'a NewSession,
    /// A stronger hash of the same password, to be stored instead of the present one.
    pub stronger_hash: Option<&'a str>,
    /// The settlement of the budgets that the attempt was charged to, and the charge for the
    /// session. It is made even where the session is refused.
    pub charge: Adjustment,
    /// The largest number of sessions of one account, at least 1. The longest unused ones end.
    pub max_sessions: u32,
}

/// Result of [`Accounts::open_session`].
#[derive(Debug, PartialEq, Eq)]
pub enum SessionOpening {
    /// The session is open. These sessions have ended to make room for it.
    Opened(EndedSessions),
    /// The password has changed since it was proved, or the account is gone.
    NotProved,
    /// The user opens sessions too often; another can be opened after this time.
    TooMany(Duration),
}

/// An update of an account, all of which happens or nothing.
#[derive(Clone)]
pub struct UserUpdate {
    pub user_id: Uuid,
    /// The session that requested the update, which a new password does not end.
    pub session_id: Uuid,
    /// The version of the password that was proved, where the update requires a proof.
    pub credentials: Option<i64>,
    pub username: Option<Username>,
    /// The PHC string of a new password, and the notice that its owner gets.
    pub password_hash: Option<(String, Notice)>,
    /// A new address, which takes effect when the code of this verification is confirmed.
    pub email: Option<(Uuid, Email)>,
    /// The pseudonym of the requesting network, by which the email queue is kept fair.
    pub client: String,
    /// The name of the key that the code is derived from.
    pub kid: String,
    /// The charge for the update.
    pub charge: Adjustment,
}

impl UserUpdate {
    /// Returns the names of the changed fields, separated by spaces, for the audit log.
    #[must_use]
    pub fn fields(&self) -> String {
        let fields = [
            (self.username.is_some(), "username"),
            (self.email.is_some(), "email"),
            (self.password_hash.is_some(), "password"),
        ];
        let changed = fields.iter().filter(|(changed, _)| *changed).map(|(_, name)| *name);
        changed.collect::<Vec<_>>().join(" ")
    }
}

/// Result of [`Accounts::update_user`].
pub enum UserUpdateResult {
    /// The updated account, and the sessions that a new password ended.
    Updated(Box<UserRecord>, EndedSessions),
    /// Another account has the username; nothing changed.
    UsernameTaken,
    /// The user makes such updates too often; nothing changed, and another is possible after this
    /// time.
    TooMany(Duration),
    /// The account was deleted, or its password changed concurrently; nothing changed.
    Gone,
}

/// An account after its password was reset.
pub struct PasswordResetResult {
    pub user: UserRecord,
    pub ended: EndedSessions,
}

port! {
    ($)
    /// Accounts, for the user service.
    Accounts, accounts_port {
        /// Reports whether an active account has the username with this key.
        fn username_taken(username_key: &str) -> bool;
        /// Finds the account of a login.
        fn user_by_login(login: LoginKey<'_>) -> Option<UserRecord>;
        /// Finds an account by its id.
        fn user(id: Uuid) -> Option<UserRecord>;
        /// Stores a pending registration and queues its email. Where the address belongs to an
        /// account, the same rows are written, but no code is correct for them.
        fn register(registration: &Registration, change: Change) -> PendingResult;
        /// Spends the code of a registration, creates the account and opens its first session.
        /// `username` replaces the one that was requested.
        fn activate(guess: &Guess, username: Option<&Username>, user_id: Uuid, session: &NewSession, change: Change) -> Activation;
        /// Opens a session after a correct password and settles its budgets. Where the session is
        /// refused, only the budgets are settled.
        fn open_session(login: PasswordLogin<'_>, change: Change) -> SessionOpening;
        /// Updates an account. A new password ends every other session and voids every open code
        /// except that of the new address.
        fn update_user(update: UserUpdate, change: Change) -> UserUpdateResult;
        /// Spends the code of an email change: the account gets the new address, every open code
        /// is void, and `notice` goes to the old address.
        fn confirm_email(guess: &Guess, notice: NoticeRequest<'_>, change: Change) -> EmailConfirmation;
        /// Stores a password reset and queues its email. Where no account has the address, the
        /// same rows are written, but no code is correct for them.
        fn request_reset(request: &ResetRequest, change: Change) -> PendingResult;
        /// Finds the account that an unspent code resets the password of.
        fn reset_owner(guess: &Guess) -> Option<UserRecord>;
        /// Spends the code of a reset: the account gets the new password, every session ends, every
        /// open code is void, and `notice` goes to the owner. Returns `None` where the code was
        /// spent concurrently.
        fn reset_password(guess: &Guess, password_hash: &str, notice: NoticeRequest<'_>, change: Change) -> Option<PasswordResetResult>;
        /// Deletes an account and everything that belongs to it, and queues `notice`. Returns
        /// `None` where its password has changed since it was proved.
        fn delete_user(user: &UserRecord, notice: NoticeRequest<'_>, change: Change) -> Option<EndedSessions>;
    }
}
