//! Reads environment variables.

use crate::failure::Failure;

/// Returns the value of an environment variable that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Parses an environment variable, if it is set.
///
/// # Errors
/// If the value is invalid.
pub(crate) fn parsed<T>(
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Failure> {
    let Some(value) = variable(name) else { return Ok(None) };
    parse(&value).map(Some).map_err(|expected| {
        Failure::usage(
            format!("invalid value \"{value}\" for ${name}: {expected}"),
            "Correct the environment variable, or unset it.",
        )
    })
}
