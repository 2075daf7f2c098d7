//! Failures of a command: their exit code, and their report as text or JSON.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use user_proto::client::{CloseReason, Error};
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
    /// The server executed the request, but what the request names does not exist.
    NotFound {
        message: String,
        hint: String,
    },
    /// Invalid arguments; clap supplies the message.
    Arguments(Box<clap::Error>),
    /// A failure that the output on stdout already shows.
    Reported,
    /// The tokens of a session could not be stored, of which a warning was printed.
    Unsaved,
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
            Self::Reported | Self::Unsaved | Self::Interrupted => {}
            failure if json => output::error_json(&json!({ "error": failure.json() })),
            // A message can contain arguments and the values of variables.
            failure => output::error_line(&format::printable_lines(&failure.text())),
        }
        ExitCode::from(code)
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Call { error, .. } if error.reply().is_some() => REFUSED,
            Self::NotFound { .. } | Self::Reported => REFUSED,
            Self::Call { .. }
            | Self::Usage { .. }
            | Self::Arguments(_)
            | Self::Unsaved
            | Self::Output(_) => NO_REPLY,
            Self::Interrupted => INTERRUPTED,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Call { error, situation } => call_text(&error, &situation),
            Self::Usage { message, hint } | Self::NotFound { message, hint } => {
                format!("error: {message}\nhint: {hint}")
            }
            Self::Arguments(error) => error.to_string().trim_end().to_owned(),
            Self::Output(error) => {
                format!("error: cannot write the result to standard output: {error}")
            }
            Self::Reported | Self::Unsaved | Self::Interrupted => String::new(),
        }
    }

    fn json(self) -> Value {
        match self {
            Self::Call { error, situation } => call_json(&error, &situation),
            Self::Usage { message, hint } => {
                json!({ "kind": "usage", "message": message, "hint": hint })
            }
            Self::NotFound { message, hint } => {
                json!({ "kind": "not_found", "message": message, "hint": hint })
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
            Self::Reported | Self::Unsaved | Self::Interrupted => Value::Null,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn call_text(error: &Error, situation: &Situation) -> String {
    let mut text = match (error, error.reply()) {
        (_, Some(reply)) => {
            let field = reply
                .field
                .as_ref()
                .map(|field| format!(", {}", format::printable(field)))
                .unwrap_or_default();
            let code = code_name(reply.code);
            let message = without_outcome(&reply.message, error, situation);
            format!("error: {code} ({:04X}{field}): {}", reply.code.0, format::printable(&message))
        }
        (error, None) => {
            let message = no_reply(error, situation);
            format!("error: {} ({}): {message}", situation.addr, situation.addr_source)
        }
    };
    if let Some(reply) = error.reply()
        && let Some(ms) = reply.retry_after_ms
    {
        let delay = format::duration(Duration::from_millis(ms.into()));
        text += &format!("\nnote: retry after {delay}");
    }
    if outcome_unknown(error, situation) {
        text +=
            "\nnote: the outcome is unknown; check whether the change was made before trying again";
    }
    text + "\nhint: " + &hints::for_error(error, situation)
}

fn call_json(error: &Error, situation: &Situation) -> Value {
    let kind = match error {
        error if error.not_a_service().is_some() => "not_a_service",
        Error::Refused(_) | Error::Lost { reason: CloseReason::ServerError(_) } => "refused",
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
        "message": no_reply(error, situation),
        "hint": hints::for_error(error, situation),
        "addr": situation.addr,
        "addr_source": situation.addr_source,
        "outcome_unknown": outcome_unknown(error, situation),
    });
    if let Some(reply) = error.reply() {
        object["code"] = format!("{:04X}", reply.code.0).into();
        object["name"] = reply.code.name().into();
        object["message"] = without_outcome(&reply.message, error, situation).into();
        object["retry_after_ms"] = reply.retry_after_ms.into();
        object["field"] = reply.field.as_deref().into();
    }
    object
}

/// Describes a failure without a reply of the server.
fn no_reply(error: &Error, situation: &Situation) -> String {
    if let Some(frame) = error.not_a_service() {
        let answers = frame
            .looks_like()
            .map_or_else(String::new, |protocol| format!(" (it answers like {protocol})"));
        return format!("this is not a user-server{answers}: {frame}");
    }
    match error {
        Error::DeadlineExceeded { .. } if situation.is_ping => {
            "connected, but nothing was answered within the deadline".to_owned()
        }
        error => without_outcome(&error.to_string(), error, situation),
    }
}

/// Removes the statement that the outcome is unknown from the message about a request that has
/// changed nothing.
fn without_outcome(message: &str, error: &Error, situation: &Situation) -> String {
    if outcome_unknown(error, situation) {
        return message.to_owned();
    }
    [
        "; it is unknown whether the request was executed",
        " It is unknown whether the request was executed.",
    ]
    .iter()
    .fold(message.to_owned(), |message, statement| message.replace(statement, ""))
}

/// Reports whether a failed request may have changed something. A program that answers in another
/// protocol has executed nothing.
fn outcome_unknown(error: &Error, situation: &Situation) -> bool {
    let is_another = error.not_a_service().is_some_and(|frame| frame.looks_like().is_some());
    situation.changes
        && error.outcome_unknown()
        && !is_another
        && !hints::requires_tls(error, situation)
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
