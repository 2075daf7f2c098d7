//! The names, addresses, passwords and networks of every scenario, and how a step selects one.

use proptest::prelude::*;

/// Usernames as typed, each with its canonical key. The first two are the same name.
pub const NAMES: [(&str, &str); 4] =
    [("ada", "ada"), ("Ada", "ada"), ("bob", "bob"), ("eve", "eve")];

/// An email address.
pub struct Address {
    pub typed: &'static str,
    /// Canonical form: addresses with one key are the same address.
    pub key: &'static str,
    /// Recipient of the emails.
    pub mailbox: &'static str,
    /// Addresses with the same value share a budget of emails.
    pub budget: &'static str,
}

const fn address(
    typed: &'static str,
    key: &'static str,
    mailbox: &'static str,
    budget: &'static str,
) -> Address {
    Address { typed, key, mailbox, budget }
}

/// One address in two spellings, one with a suffix that shares its mailbox, and two others.
pub const ADDRESSES: [Address; 5] = [
    address("ada@example.org", "ada@example.org", "ada@example.org", "ada@example.org"),
    address("Ada@Example.Org", "ada@example.org", "Ada@example.org", "ada@example.org"),
    address("ada+x@example.org", "ada+x@example.org", "ada+x@example.org", "ada@example.org"),
    address("bob@example.org", "bob@example.org", "bob@example.org", "bob@example.org"),
    address("eve@example.org", "eve@example.org", "eve@example.org", "eve@example.org"),
];

pub const PASSWORDS: [&str; 3] =
    ["tides rise at nine", "seven quiet lamps burn", "copper kettles sing low"];
pub const NETWORKS: [&str; 3] = ["192.0.2.1", "198.51.100.7", "2001:db8:1:2::3"];

/// A password that no account has.
pub const WRONG_PASSWORD: &str = "nobody has this one";
/// A login that no account can have.
pub const UNKNOWN_LOGIN: &str = "no such one";

/// A position counted from the most recent item: 0 is the last one.
pub type NthLast = usize;

/// Code that a user enters.
#[derive(Debug, Clone, Copy)]
pub enum CodeChoice {
    /// The one in the last email of the verification.
    Right,
    /// One that was never sent.
    Wrong,
    /// The one in an email of another verification.
    OfAnother(NthLast),
}

/// Current password that a user enters.
#[derive(Debug, Clone, Copy)]
pub enum PasswordChoice {
    Right,
    /// An entry of [`PASSWORDS`].
    Any(usize),
    Missing,
}

/// Login that a user enters.
#[derive(Debug, Clone, Copy)]
pub enum LoginChoice {
    /// An entry of [`NAMES`].
    Username(usize),
    /// An entry of [`ADDRESSES`].
    Address(usize),
    Unknown,
}

/// Selects mostly the last item.
pub fn nth_last() -> impl Strategy<Value = NthLast> {
    prop_oneof![6 => Just(0), 2 => Just(1), 2 => 0..8usize]
}

pub fn codes() -> impl Strategy<Value = CodeChoice> {
    prop_oneof![
        7 => Just(CodeChoice::Right),
        2 => Just(CodeChoice::Wrong),
        1 => nth_last().prop_map(CodeChoice::OfAnother),
    ]
}

/// Selects the password that proves a change or a login.
pub fn current_passwords() -> impl Strategy<Value = PasswordChoice> {
    prop_oneof![
        7 => Just(PasswordChoice::Right),
        2 => passwords().prop_map(PasswordChoice::Any),
        1 => Just(PasswordChoice::Missing),
    ]
}

pub fn names() -> std::ops::Range<usize> {
    0..NAMES.len()
}

pub fn addresses() -> std::ops::Range<usize> {
    0..ADDRESSES.len()
}

pub fn passwords() -> std::ops::Range<usize> {
    0..PASSWORDS.len()
}
