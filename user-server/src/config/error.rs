//! Errors of the configuration.

use super::printable::printable;

/// An invalid setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The variable that is invalid or missing.
    pub variable: &'static str,
    /// Description that contains the variable, its value unless that is a secret, and what was
    /// expected.
    pub message: String,
    /// One or more complete sentences that say what to do.
    pub hint: String,
}

/// All errors of a configuration. Its text has a line `error:` and a line `hint:` for each.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for error in &self.0 {
            let (message, hint) = (printable(&error.message), printable(&error.hint));
            writeln!(f, "error: {message}\nhint: {hint}")?;
        }
        let count = self.0.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "error: invalid configuration: {count} error{plural}; nothing was started")
    }
}

impl std::error::Error for ConfigErrors {}
