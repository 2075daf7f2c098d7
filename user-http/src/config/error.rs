//! Errors of the configuration.

/// An invalid setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The variable that is invalid or missing.
    pub variable: &'static str,
    /// Description that contains the variable, its value, and what was expected.
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
            writeln!(f, "error: {}\nhint: {}", error.message, error.hint)?;
        }
        let count = self.0.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "error: invalid configuration: {count} error{plural}; nothing was started")
    }
}

impl std::error::Error for ConfigErrors {}
