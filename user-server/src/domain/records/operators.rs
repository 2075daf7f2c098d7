//! Accounts as the operators' commands see them.

use uuid::Uuid;

use crate::domain::{Email, Timestamp, Username};

/// What an operator sees of an account: no hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: Uuid,
    /// As the user writes it.
    pub username: String,
    /// As it is compared.
    pub username_key: String,
    /// As the user writes it.
    pub email: String,
    /// As it is compared.
    pub email_key: String,
    /// When it became active.
    pub created_at: Timestamp,
    /// Since when nobody can log in.
    pub disabled_at: Option<Timestamp>,
    /// What its hash costs to compute, as its text says.
    pub hash_class: Option<String>,
    /// How many sessions are open.
    pub sessions: i64,
}

/// A user that another service brings along.
pub struct NewUser {
    /// The id there, and here.
    pub id: Uuid,
    /// The name.
    pub username: Username,
    /// The address.
    pub email: Email,
    /// A hash that can be computed here.
    pub password_hash: String,
    /// When the account was made there.
    pub created_at: Timestamp,
    /// Since when nobody can log in.
    pub disabled_at: Option<Timestamp>,
}

/// A user with all that another service needs to take over.
pub struct StoredUser {
    /// The id.
    pub id: Uuid,
    /// As the user writes it.
    pub username: String,
    /// As the user writes it.
    pub email: String,
    /// The hash.
    pub password_hash: String,
    /// When the account became active.
    pub created_at: Timestamp,
    /// Since when nobody can log in.
    pub disabled_at: Option<Timestamp>,
}

/// What became of a user that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It is one now.
    Added,
    /// It was one before, under this id, name and address.
    There,
    /// The id is a user's with another name or address.
    IdTaken,
    /// The name is somebody's.
    UsernameTaken,
    /// The address is somebody's.
    EmailTaken,
}
