//! Failures of a command: their exit code, and their report as text or JSON.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use user_proto::client::Error;
use user_proto::{ErrorClass, ErrorCode};

use crate::hints::{self, Situation};
use crate::{format, output};

/// Exit code if the server refused the request.
const REFUSED: u8 = 1;
/// Exit code if there was no reply, or the reply could not be printed.
const NO_REPLY: u8 = 2;
/// Exit code of shells for a process that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

#[derive(Debug)]
pub(crate) enum Failure {
    /// A request that was not answered successfully.
    Call {
        error: Error,
        situation: Box<Situation>,
    },
    /// An error on the client side, such as invalid input or an unreadable file.
    Usage {
        message: String,
        hint: String,
    },
    /// Invalid arguments; clap supplies the message.
    Arguments(Box<clap::Error>),
    /// A failure that the output on stdout already shows.
    Reported,
    /// Stdout cannot be written to.
    Output(io::Error),
    Interrupted,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: hint.into() }
    }

    /// Returns the server's error code, if the server refused the request.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Call { error, .. } => error.code(),
            _ => None,
        }
    }

    /// Prints the failure on stderr, as JSON if `json` is true, and returns the exit code.
    pub(crate) fn report(self, json: bool) -> ExitCode {
        let code = self.exit_code();
        match self {
            // The reader has closed the pipe, as in `user-cli ... | head -1`. That is not an error.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return ExitCode::SUCCESS;
            }
            // Help and version.
            Self::Arguments(error) if !error.use_stderr() => {
                return match error.print() {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(error) => Self::Output(error).report(json),
                };
            }
            Self::Reported | Self::Interrupted => {}
            failure if json => output::error_json(&json!({ "error": failure.json() })),
            failure => output::error_line(&failure.text()),
        }
        ExitCode::from(code)
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Call { error: Error::Refused(_), .. } | Self::Reported => REFUSED,
            Self::Call { .. } | Self::Usage { .. } | Self::Arguments(_) | Self::Output(_) => {
                NO_REPLY
            }
            Self::Interrupted => INTERRUPTED,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Call { error, situation } => call_text(&error, &situation),
            Self::Usage { message, hint } => format!("error: {message}\nhint: {hint}"),
            Self::Arguments(error) => error.to_string().trim_end().to_owned(),
            Self::Output(error) => format!("error: cannot write the result: {error}"),
            Self::Reported | Self::Interrupted => String::new(),
        }
    }

    fn json(self) -> Value {
        match self {
            Self::Call { error, situation } => call_json(&error, &situation),
            Self::Usage { message, hint } => {
                json!({ "kind": "usage", "message": message, "hint": hint })
            }
            Self::Arguments(error) => {
                let text = error.to_string();
                // Clap's usage and tips follow after an empty line.
                let message =
                    text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
                let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
                json!({ "kind": "usage", "message": message, "hint": "See `user-cli --help`." })
            }
            Self::Output(error) => json!({ "kind": "output", "message": error.to_string() }),
            Self::Reported | Self::Interrupted => Value::Null,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn call_text(error: &Error, situation: &Situation) -> String {
    let mut text = match error {
        Error::Refused(reply) => {
            let field = reply
                .field
                .as_ref()
                .map(|field| format!(", {}", format::printable(field)))
                .unwrap_or_default();
            let code = code_name(reply.code);
            format!(
                "error: {code} ({:04X}{field}): {}",
                reply.code.0,
                format::printable(&reply.message)
            )
        }
        error => format!("error: {} ({}): {error}", situation.addr, situation.addr_source),
    };
    if let Error::Refused(reply) = error
        && let Some(ms) = reply.retry_after_ms
    {
        let delay = format::duration(Duration::from_millis(ms.into()));
        text += &format!("\nnote: retry after {delay}");
    }
    if situation.changes && error.outcome_unknown() {
        text +=
            "\nnote: the outcome is unknown; check whether the change was made before trying again";
    }
    text + "\nhint: " + &hints::for_error(error, situation)
}

fn call_json(error: &Error, situation: &Situation) -> Value {
    let kind = match error {
        Error::Refused(_) => "refused",
        Error::DeadlineExceeded { .. } => "deadline_exceeded",
        Error::Lost { .. } => "lost",
        Error::Connect(_) => "connect",
        Error::Handshake(_) => "tls",
        Error::BadReply { .. } => "bad_reply",
        Error::TooLong(_) => "too_long",
        Error::PlaintextRefused => "plaintext_refused",
        Error::Closed => "closed",
    };
    let mut object = json!({
        "kind": kind,
        "message": error.to_string(),
        "hint": hints::for_error(error, situation),
        "addr": situation.addr,
        "addr_source": situation.addr_source,
        "outcome_unknown": situation.changes && error.outcome_unknown(),
    });
    if let Error::Refused(reply) = error {
        object["code"] = format!("{:04X}", reply.code.0).into();
        object["name"] = reply.code.name().into();
        object["message"] = reply.message.as_ref().into();
        object["retry_after_ms"] = reply.retry_after_ms.into();
        object["field"] = reply.field.as_deref().into();
    }
    object
}

fn code_name(code: ErrorCode) -> String {
    match code.name() {
        "UNKNOWN" => format!("unknown error of class {}", class_name(code)),
        name => name.to_owned(),
    }
}

/// Returns the name of a code's class, as in PROTOCOL.md.
fn class_name(code: ErrorCode) -> &'static str {
    match code.class() {
        ErrorClass::Protocol => "protocol",
        ErrorClass::Input => "input",
        ErrorClass::Identity => "identity",
        ErrorClass::Conflict => "conflict",
        ErrorClass::SlowDown => "slow down",
        ErrorClass::Server => "server",
        ErrorClass::Unknown => "unknown",
    }
}
