//! Accounts: their records, and the port that creates, changes and deletes them.

use std::time::Duration;

use uuid::Uuid;

use super::{
    Adjustment, BudgetCounter, Change, Email, EndedSessions, Guess, NewSession, Notice,
    NoticeRequest, StoredCounter, Timestamp, Username,
};

/// Stored record of an active account.
#[derive(Clone)]
pub struct UserRecord {
    pub id: Uuid,
    /// Username as the user wrote it.
    pub username: String,
    /// Canonical form of the username, by which usernames are compared.
    pub username_key: String,
    /// Email address as the user wrote it.
    pub email: String,
    /// Canonical form of the email address, by which addresses are compared.
    pub email_key: String,
    /// The password hash, as a PHC string.
    pub password_hash: String,
    /// Version of the password, incremented with each change of the password. The verification of
    /// an older password no longer authorises a change.
    pub credentials: i64,
    /// Set if an operator has disabled the account.
    pub disabled: bool,
    /// Time at which the account became active.
    pub created_at: Timestamp,
    /// Version of the stored row, incremented with each change of the account.
    pub version: i64,
}

/// Public part of an account, as it is returned to clients. It authorises nothing, so it may be
/// cached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub id: Uuid,
    pub username: String,
    pub email: String,
    /// Time at which the account became active.
    pub created_at: Timestamp,
    /// Version of the stored row that the profile was read from.
    pub version: i64,
}

impl From<UserRecord> for Profile {
    fn from(user: UserRecord) -> Self {
        let UserRecord { id, username, email, created_at, version, .. } = user;
        Self { id, username, email, created_at, version }
    }
}

/// Current version of a changed account. A cached profile with an older version is out of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserVersion {
    pub user_id: Uuid,
    pub version: i64,
}

/// Canonical form of a login identifier, by which the account is found.
#[derive(Debug, Clone, Copy)]
pub enum LoginKey<'a> {
    Username(&'a str),
    Email(&'a str),
}

/// Values to read at once, before a request changes anything.
#[derive(Debug, Clone, Copy)]
pub struct AccountLookup<'a> {
    /// Account to find, if any.
    pub user: Option<UserKey<'a>>,
    /// Canonical form of a username that may be taken.
    pub username: Option<&'a str>,
    /// Keys of counters.
    pub counters: &'a [[u8; 32]],
}

/// Key by which an account is found.
#[derive(Debug, Clone, Copy)]
pub enum UserKey<'a> {
    Id(Uuid),
    Login(LoginKey<'a>),
}

/// Values that were read for a [`AccountLookup`].
pub struct Found {
    pub user: Option<UserRecord>,
    /// Set if an account has the username.
    pub username_taken: bool,
    /// Values of the counters, or `None` if they must be read when they are changed.
    pub counters: Option<Vec<BudgetCounter>>,
}

/// Registration to store until its email address is verified.
pub struct Registration {
    /// Id of the verification, which the client sends back together with the code.
    pub verification_id: Uuid,
    pub username: Username,
    pub email: Email,
    /// The password hash, as a PHC string.
    pub password_hash: String,
    /// Keyed hash of the requesting network, by which the email queue is shared fairly. Empty if
    /// the network is unknown.
    pub client: String,
    /// Name of the server key that the one-time codes are derived from.
    pub kid: String,
    pub limit: PendingLimit,
}

/// Maximum number of pending registrations and password resets that one network has requested.
#[derive(Debug, Clone, Copy)]
pub struct PendingLimit {
    pub max: u32,
    /// Time for which a registration or reset counts as pending unless it is completed.
    pub life: Duration,
}

/// Result of [`Accounts::register`] and [`Accounts::request_reset`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingResult {
    Stored,
    /// The network has requested too many that are still pending. Another is possible after this
    /// time.
    TooMany(Duration),
}

/// Request for a password reset, stored whether or not an account has the email address.
pub struct ResetRequest {
    /// Id of the verification, which the client sends back together with the code.
    pub verification_id: Uuid,
    pub email: Email,
    /// Keyed hash of the requesting network, by which the email queue is shared fairly. Empty if
    /// the network is unknown.
    pub client: String,
    /// Name of the server key that the one-time codes are derived from.
    pub kid: String,
    /// Time for which a network counts as known to the account after a login from it. Known
    /// networks have an email rate limit of their own.
    pub known_for: Duration,
    pub limit: PendingLimit,
}

/// Result of [`Accounts::activate`].
pub enum Activation {
    /// The account was created and its first session is open.
    Active(Box<UserRecord>),
    /// Another account has the username. The code can be used again with another username.
    UsernameTaken,
    /// Another account has the email address. The code cannot be used again.
    EmailTaken,
    /// The code was used by a concurrent request, or replaced by a newer code.
    Spent,
}

/// Result of [`Accounts::confirm_email`].
pub enum EmailConfirmation {
    /// The account has the new email address.
    Changed(Box<UserRecord>),
    /// Another account has the email address. The code cannot be used again.
    EmailTaken,
    /// The code was used by a concurrent request, or replaced by a newer code.
    Spent,
}

/// Login with a correct password.
#[derive(Clone)]
pub struct PasswordLogin<'a> {
    /// Account as it was when the password was verified.
    pub user: &'a UserRecord,
    pub session: &'a NewSession,
    /// Stronger hash of the same password, to replace the stored one, or `None` to leave it
    /// unchanged.
    pub stronger_hash: Option<&'a str>,
    /// Adjustment of rate limit counters: corrects what the login attempt was charged, and counts
    /// the new session. It is stored even if no session is opened.
    pub charge: Adjustment,
    /// Maximum number of sessions of one account, at least 1. The least recently used sessions
    /// beyond it are ended.
    pub max_sessions: u32,
}

/// Result of [`Accounts::open_session`].
#[derive(Debug, PartialEq, Eq)]
pub enum SessionOpening {
    /// The session is open. These sessions were ended because the account had too many.
    Opened(EndedSessions),
    /// The password has changed since it was verified, or the account was disabled or deleted.
    NotProved,
    /// The user logs in too often. Another session can be opened after this time.
    TooMany(Duration),
}

/// Atomic update of an account. A field that is `None` is not changed.
#[derive(Clone)]
pub struct UserUpdate {
    pub user_id: Uuid,
    /// Session that requested the update. It stays open when a new password ends the other
    /// sessions.
    pub session_id: Uuid,
    /// Version of the password that authorised the update ([`UserRecord::credentials`]), or `None`
    /// if the update needs no password.
    pub credentials: Option<i64>,
    pub username: Option<Username>,
    /// PHC string of the new password, and the notice about it to send to the user.
    pub password_hash: Option<(String, Notice)>,
    /// Id of a new verification, and the new email address, which takes effect when its code is
    /// entered.
    pub email: Option<(Uuid, Email)>,
    /// Keyed hash of the requesting network, by which the email queue is shared fairly. Empty if
    /// the network is unknown.
    pub client: String,
    /// Name of the server key that the code for a new email address is derived from.
    pub kid: String,
    /// Adjustment of rate limit counters that is stored together with the update.
    pub charge: Adjustment,
    /// Counters that are stored together with the update, whatever their values are.
    pub known: Vec<StoredCounter>,
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
    /// The updated account, and the sessions that were ended because of a new password.
    Updated(Box<UserRecord>, EndedSessions),
    /// Another account has the username. Nothing changed.
    UsernameTaken,
    /// The user changes the username, the email address or the password too often. Nothing
    /// changed; the next update is possible after this time.
    TooMany(Duration),
    /// The account was deleted or disabled, or its password changed, since the password was
    /// verified. Nothing changed.
    Gone,
}

/// Account after its password was reset, and the sessions that were ended.
pub struct PasswordResetResult {
    pub user: UserRecord,
    pub ended: EndedSessions,
}

port! {
    ($)
    /// Accounts, for the `users` module.
    Accounts, accounts_port {
        /// Reports whether an account has the username with this canonical form.
        fn username_taken(username_key: &str) -> bool;
        /// Finds an account by its username or email address.
        fn user_by_login(login: LoginKey<'_>) -> Option<UserRecord>;
        /// Finds an account by its id.
        fn user(id: Uuid) -> Option<UserRecord>;
        /// Reads what a request needs to know before it changes anything.
        fn look_up(lookup: AccountLookup<'_>) -> Found;
        /// Stores a pending registration and queues the email with its code. If an account has the
        /// email address, the same rows are written, but no code is correct.
        fn register(registration: &Registration, change: Change) -> PendingResult;
        /// Uses up the code of a registration, creates the account and opens its first session.
        /// `username`, if given, replaces the requested username. Stores the counters `known`.
        fn activate(guess: &Guess, username: Option<&Username>, user_id: Uuid, session: &NewSession, known: &[StoredCounter], change: Change) -> Activation;
        /// Opens a session after a correct password, and adjusts the rate limit counters. If the
        /// session is refused, only the counters are adjusted.
        fn open_session(login: PasswordLogin<'_>, change: Change) -> SessionOpening;
        /// Updates an account. A new password ends every other session and voids every open code
        /// except the one for a new email address in the same update.
        fn update_user(update: UserUpdate, change: Change) -> UserUpdateResult;
        /// Uses up the code of an email change: stores the new email address, voids the open codes
        /// of the account, and queues `notice` to the old address.
        fn confirm_email(guess: &Guess, notice: NoticeRequest<'_>, change: Change) -> EmailConfirmation;
        /// Stores a pending password reset and queues the email with its code. If no account has
        /// the email address, the same rows are written, but no code is correct.
        fn request_reset(request: &ResetRequest, change: Change) -> PendingResult;
        /// Finds the account of a pending password reset, or returns `None` if the code was used or
        /// replaced.
        fn reset_owner(guess: &Guess) -> Option<UserRecord>;
        /// Uses up the code of a reset: stores the new password, ends all sessions, voids the open
        /// codes of the account, and queues `notice` to the user. Returns `None` if the code was
        /// used by a concurrent request, or replaced.
        fn reset_password(guess: &Guess, password_hash: &str, notice: NoticeRequest<'_>, change: Change) -> Option<PasswordResetResult>;
        /// Deletes an account with its sessions and codes, and queues `notice`. Returns the ended
        /// sessions, or `None` if the password has changed since it was verified.
        fn delete_user(user: &UserRecord, notice: NoticeRequest<'_>, change: Change) -> Option<EndedSessions>;
    }
}
