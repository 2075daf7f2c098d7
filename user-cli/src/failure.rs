//! How a command fails: its exit code, and the one report that a person or a program gets.

use std::io;
use std::process::ExitCode;

use serde_json::{Value, json};
use user_proto::ErrorCode;
use user_proto::client::Error;

use crate::hints::{self, Situation};
use crate::human;
use crate::output;

/// The server said no.
const REFUSED: u8 = 1;
/// The server could not be asked, or its answer could not be shown.
const NOT_ASKED: u8 = 2;
/// As a shell reports a process that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

#[derive(Debug)]
pub(crate) enum Failure {
    /// A call without a reply.
    Call {
        error: Error,
        situation: Situation,
    },
    /// Something on this side is wrong: what, and how to mend it.
    Here {
        what: String,
        mend: String,
    },
    /// What can't be parsed, in clap's own words.
    Arguments(Box<clap::Error>),
    /// All was said on stdout already, and it is a no.
    Said,
    /// Stdout can't be written to.
    Output(io::Error),
    Interrupted,
}

impl Failure {
    pub(crate) fn usage(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Here { what: what.into(), mend: mend.into() }
    }

    pub(crate) fn from_clap(error: clap::Error) -> Self {
        Self::Arguments(Box::new(error))
    }

    pub(crate) fn says_that_the_session_ended(&self) -> bool {
        matches!(self, Self::Call { error: Error::Refused(reply), .. } if reply.code == ErrorCode::SESSION_REVOKED)
    }

    /// Says what is wrong, and gives the exit code. A report that can't be written is not worth a
    /// failure of its own.
    pub(crate) fn report(self, json: bool) -> ExitCode {
        let code = self.exit_code();
        match self {
            // A reader that has seen enough, as in `user-cli ... | head -1`, is no failure.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return ExitCode::SUCCESS;
            }
            Self::Arguments(error) if !error.use_stderr() => {
                return match error.print() {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(error) => Self::Output(error).report(json),
                };
            }
            Self::Said | Self::Interrupted => {}
            failure if json => output::complain(&json!({ "error": failure.json() }).to_string()),
            failure => output::complain(&failure.text()),
        }
        ExitCode::from(code)
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Call { error: Error::Refused(_), .. } | Self::Said => REFUSED,
            Self::Call { .. } | Self::Here { .. } | Self::Arguments(_) | Self::Output(_) => {
                NOT_ASKED
            }
            Self::Interrupted => INTERRUPTED,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Call { error, situation } => call_text(&error, &situation),
            Self::Here { what, mend } => format!("error: {what}\n mend: {mend}"),
            Self::Arguments(error) => error.to_string().trim_end().to_owned(),
            Self::Output(error) => format!("error: can not write the result: {error}"),
            Self::Said | Self::Interrupted => String::new(),
        }
    }

    fn json(self) -> Value {
        match self {
            Self::Call { error, situation } => call_json(&error, &situation),
            Self::Here { what, mend } => json!({ "kind": "usage", "message": what, "mend": mend }),
            Self::Arguments(error) => {
                let text = error.to_string();
                // Clap's usage and tips follow after an empty line.
                let what =
                    text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
                let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
                json!({ "kind": "usage", "message": what, "mend": "See user-cli --help." })
            }
            Self::Output(error) => json!({ "kind": "output", "message": error.to_string() }),
            Self::Said | Self::Interrupted => Value::Null,
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
                .map(|field| format!(", {}", human::printable(field)))
                .unwrap_or_default();
            let code = code_name(reply.code);
            format!(
                "error: {code} ({:04x}{field}): {}",
                reply.code.0,
                human::printable(&reply.message)
            )
        }
        error => format!("error: {}: {error}", situation.addr),
    };
    if let Error::Refused(reply) = error
        && let Some(ms) = reply.retry_after_ms
    {
        text +=
            &format!("\nretry: in {}", human::span(std::time::Duration::from_millis(ms.into())));
    }
    if situation.changes && error.outcome_unknown() {
        text += "\n note: whether it was done is unknown; look before you try again";
    }
    text + "\n mend: " + &hints::of(error, situation)
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
        Error::Closed => "closed",
    };
    let mut told = json!({
        "kind": kind,
        "message": error.to_string(),
        "mend": hints::of(error, situation),
        "outcome_unknown": situation.changes && error.outcome_unknown(),
    });
    if let Error::Refused(reply) = error {
        told["code"] = format!("{:04x}", reply.code.0).into();
        told["name"] = reply.code.name().into();
        told["message"] = reply.message.as_ref().into();
        told["retry_after_ms"] = reply.retry_after_ms.into();
        told["field"] = reply.field.as_deref().into();
    }
    told
}

fn code_name(code: ErrorCode) -> String {
    match code.name() {
        "UNKNOWN" => format!("an error of a later version, of class {:?}", code.class()),
        name => name.to_owned(),
    }
}
