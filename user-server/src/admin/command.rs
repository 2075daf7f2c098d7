//! The result of a command.

use std::any::Any;

use crate::config::SecretError;

/// The exit code of a command, or the error that the command prints.
pub type CommandResult = Result<u8, CommandError>;

/// An error of a command, with a hint if there is one. It does not implement [`std::error::Error`],
/// so that every type that does converts to it. Its text is the lines `error:` and `hint:`.
#[derive(Debug)]
pub struct CommandError {
    message: String,
    hint: Option<String>,
}

impl CommandError {
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// Adds a hint of one or more complete sentences.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl<E: std::error::Error + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        let hint = (&error as &dyn Any).downcast_ref::<SecretError>().map(SecretError::hint);
        Self { message: error.to_string(), hint }
    }
}

impl std::fmt::Display for CommandError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}
