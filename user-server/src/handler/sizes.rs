//! Sizes of the fields that no domain type limits, checked in place in the frame. Each function
//! returns the refusal of a value that is too large.

use user_proto::Secret;

use crate::domain::{Email, Password, Refusal};
use crate::tokens::MAX_TOKEN;

/// Maximum size of a one-time code in bytes.
const MAX_CODE: usize = 64;

fn at_most(size: usize, max: usize, refusal: Refusal) -> Result<(), Refusal> {
    if size <= max { Ok(()) } else { Err(refusal) }
}

fn password(password: &Secret<'_>, refusal: Refusal) -> Result<(), Refusal> {
    at_most(password.expose().len(), Password::MAX_BYTES, refusal)
}

/// Checks the size of a new password. `field` is the name of its field in the refusal.
pub(super) fn new_password(new: &Secret<'_>, field: &'static str) -> Result<(), Refusal> {
    password(new, Refusal::InvalidPassword { field, reason: "must be at most 1024 bytes" })
}

/// Checks the size of the current password, which authorises a change.
pub(super) fn current_password(current: &Secret<'_>) -> Result<(), Refusal> {
    password(current, Refusal::CURRENT_PASSWORD)
}

/// Checks the sizes of a login identifier (username or email address) and its password.
pub(super) fn login(login: &str, presented: &Secret<'_>) -> Result<(), Refusal> {
    let refusal = Refusal::InvalidCredentials { field: None };
    at_most(login.len(), Email::MAX_BYTES, refusal.clone())?;
    password(presented, refusal)
}

/// Checks the size of an access or refresh token.
pub(super) fn token(token: &Secret<'_>) -> Result<(), Refusal> {
    at_most(token.expose().len(), MAX_TOKEN, Refusal::InvalidToken)
}

/// Checks the size of a one-time code.
pub(super) fn code(code: &Secret<'_>) -> Result<(), Refusal> {
    at_most(code.expose().len(), MAX_CODE, Refusal::InvalidCode)
}
