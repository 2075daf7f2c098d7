//! Sizes of fields, checked in place in the frame before anything is copied. Each function returns
//! a refusal if the value is too large.

use user_proto::Secret;

use crate::domain::{DeviceName, Email, Password, Refusal, Username};
use crate::tokens::MAX_TOKEN;

/// The largest size of a code, in bytes.
const MAX_CODE: usize = 64;

/// Checks a new username.
pub(super) fn username(text: &str) -> Option<Refusal> {
    let refusal = Refusal::InvalidUsername("must be at most 128 bytes");
    (text.len() > Username::MAX_BYTES).then_some(refusal)
}

/// Checks an email address that is set, or that an email is requested for.
pub(super) fn email(text: &str) -> Option<Refusal> {
    let refusal = Refusal::InvalidEmail("must be at most 254 bytes");
    (text.len() > Email::MAX_BYTES).then_some(refusal)
}

/// Checks the name of a device.
pub(super) fn device(name: Option<&str>) -> Option<Refusal> {
    let refusal = Refusal::InvalidValue { field: "device", reason: "must be at most 128 bytes" };
    name.filter(|name| name.len() > DeviceName::MAX_BYTES).map(|_| refusal)
}

/// Checks a new password.
pub(super) fn new_password(password: &Secret<'_>, field: &'static str) -> Option<Refusal> {
    let refusal = Refusal::InvalidPassword { field, reason: "must be at most 1024 bytes" };
    (password.expose().len() > Password::MAX_BYTES).then_some(refusal)
}

/// Checks a login text and its password.
pub(super) fn login(login: &str, password: &Secret<'_>) -> Option<Refusal> {
    let too_large = login.len() > Email::MAX_BYTES || password.expose().len() > Password::MAX_BYTES;
    too_large.then_some(Refusal::InvalidCredentials { field: None })
}

/// Checks the current password, which authorises a change.
pub(super) fn current_password(password: &Secret<'_>) -> Option<Refusal> {
    let refusal = Refusal::InvalidCredentials { field: Some("current_password") };
    (password.expose().len() > Password::MAX_BYTES).then_some(refusal)
}

/// Checks an access or refresh token.
pub(super) fn token(token: &Secret<'_>) -> Option<Refusal> {
    (token.expose().len() > MAX_TOKEN).then_some(Refusal::InvalidToken)
}

/// Checks a one-time code.
pub(super) fn code(code: &Secret<'_>) -> Option<Refusal> {
    (code.expose().len() > MAX_CODE).then_some(Refusal::InvalidCode)
}
