//! The only module that writes to stdout and stderr.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use crate::format;

/// Writes a line to stdout.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// Writes a value to stdout as JSON on one line.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    line(&format::json(value)?)
}

/// Writes a value to stderr as JSON on one line.
pub(crate) fn error_json(value: &Value) {
    if let Ok(text) = format::json(value) {
        error_line(&text);
    }
}

/// Writes bytes to stdout, unchanged.
pub(crate) fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Writes a line to stderr. An error is ignored, since there is no place left to report it.
pub(crate) fn error_line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes a prompt to stderr, so that it is visible even if stdout is redirected.
pub(crate) fn prompt(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}
