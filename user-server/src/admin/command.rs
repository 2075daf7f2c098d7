//! The result of a command.

use std::any::Any;
use std::io;

use crate::config::{SecretError, printable};
use crate::domain::{Failure, Fault};

/// The exit code of a command, or the error that the command prints.
pub type CommandResult = Result<u8, CommandError>;

/// An error of a command, with a hint if there is one. It does not implement [`std::error::Error`],
/// so that every type that does converts to it. Its text is the lines `error:` and `hint:`.
#[derive(Debug)]
pub struct CommandError {
    message: String,
    hint: Option<String>,
    /// Set if the database failed; the message does not name it.
    fault: Option<Fault>,
    /// Set if the reader of standard output has closed the pipe, as in `user-server ... | head -1`.
    pub is_closed_pipe: bool,
}

impl CommandError {
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, fault: None, is_closed_pipe: false }
    }

    /// Returns the error of a file, or of standard output, that cannot be written.
    #[must_use]
    pub fn writing(name: &str, error: io::Error) -> Self {
        let is_closed_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self { is_closed_pipe, ..Self::new(format!("cannot write {name}: {error}")) }
    }

    /// Adds a hint of one or more complete sentences.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Returns the fault of the database, if it was the database that failed.
    pub(super) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }
}

impl<E: std::error::Error + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        let any = &error as &dyn Any;
        if let Some(error) = any.downcast_ref::<io::Error>().filter(|error| is_output(error)) {
            return Self::writing(
                "standard output",
                io::Error::new(error.kind(), error.to_string()),
            );
        }
        let hint = any.downcast_ref::<SecretError>().map(SecretError::hint);
        let fault = match any.downcast_ref::<Failure>() {
            Some(Failure::Fault(fault)) => Some(fault.clone()),
            _ => any.downcast_ref::<Fault>().cloned(),
        };
        Self { hint, fault, ..Self::new(error.to_string()) }
    }
}

/// Reports whether an error comes from writing: errors of files have the name of the file, so this
/// is one of standard output.
fn is_output(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, QuotaExceeded, StorageFull, WriteZero};
    matches!(error.kind(), BrokenPipe | QuotaExceeded | StorageFull | WriteZero)
}

impl std::fmt::Display for CommandError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A message can contain arguments and the values of variables.
        write!(f, "error: {}", printable(&self.message))?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", printable(hint)),
            None => Ok(()),
        }
    }
}
