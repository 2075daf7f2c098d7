//! What went wrong with a mail, whose fault it is, and what the operator can do. It never names the
//! recipient.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use lettre::transport::smtp::Error;

use super::SmtpServer;
use crate::domain::SendError;

/// A step of the dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Connection, greeting, and TLS where it comes first.
    Connect,
    StartTls,
    Login,
    Sender,
    Recipient,
    Data,
    /// The mail itself.
    Message,
}

/// Why a step failed.
#[derive(Debug)]
pub(super) enum Cause {
    Slow(Duration),
    NoAddress,
    NotLoopback,
    NotOffered,
    NotEncrypted,
    Io(io::Error),
    Smtp(Error),
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A step that failed.
#[derive(Debug)]
pub(super) struct Trouble {
    step: Step,
    cause: Cause,
}

impl Step {
    pub(super) fn failed(self, cause: Cause) -> Trouble {
        Trouble { step: self, cause }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::StartTls => "STARTTLS",
            Self::Login => "AUTH",
            Self::Sender => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Message => "the mail's end",
        }
    }

    fn mend(self) -> &'static str {
        match self {
            Self::Connect => "check SMTP_HOST, SMTP_PORT and SMTP_TLS",
            Self::StartTls => {
                "check SMTP_TLS, and SMTP_CA where the certificate is not from a public authority"
            }
            Self::Login => "check SMTP_USER and SMTP_PASSWORD",
            Self::Sender => "check MAIL_FROM, and SMTP_USER where the server asks for a login",
            Self::Recipient => {
                "check that the server relays for this service, and SMTP_USER where it asks for a login"
            }
            Self::Data | Self::Message => "see the log of the server",
        }
    }
}

impl Trouble {
    /// Whether the server said no, and so is listening still.
    pub(super) fn is_reply(&self) -> bool {
        matches!(&self.cause, Cause::Smtp(error) if error.status().is_some())
    }

    pub(super) fn tell(&self, server: &SmtpServer) -> SendError {
        let (step, mend) = (self.step.name(), self.step.mend());
        let why = match &self.cause {
            Cause::Slow(limit) => format!("no answer within {limit:?}"),
            Cause::NoAddress => "the host has no address".to_owned(),
            Cause::NotLoopback => "SMTP_TLS=none is for this machine, and the host is another".to_owned(),
            Cause::NotOffered if self.step == Step::Login => {
                "the server offers neither AUTH PLAIN nor AUTH LOGIN; unset SMTP_USER where it wants no login"
                    .to_owned()
            }
            Cause::NotOffered => {
                "the server does not offer it; set SMTP_TLS=implicit where the port is for TLS alone".to_owned()
            }
            Cause::NotEncrypted => "a password never goes over a connection without TLS".to_owned(),
            Cause::Io(error) => error.to_string(),
            Cause::Smtp(error) => self.said(error),
        };
        match self.is_final() {
            true => SendError::Permanent(format!("{step}: {why}")),
            false => SendError::Temporary(format!("{server}: {step}: {why}; {mend}")),
        }
    }

    /// Whether no later try can end otherwise: the server refused this mail, and neither itself nor
    /// us.
    fn is_final(&self) -> bool {
        let Cause::Smtp(error) = &self.cause else { return false };
        let status = error.status().map_or(0, u16::from);
        match self.step {
            // Where a server does not relay for us it blames each recipient, by a status of the
            // class `security or policy`.
            Step::Recipient => {
                status >= 500 && !wants_login(status) && !enhanced(error).starts_with("5.7.")
            }
            Step::Data | Step::Message => status >= 500 && !wants_login(status),
            Step::Connect | Step::StartTls | Step::Login | Step::Sender => false,
        }
    }

    /// The server's words. It may repeat what it was told, so that after AUTH and RCPT only its
    /// numbers are safe.
    fn said(&self, error: &Error) -> String {
        let Some(status) = error.status() else {
            // What can not be understood is quoted in the error.
            let is_safe = self.step == Step::Connect || !error.is_response();
            return if is_safe {
                short(&error.to_string())
            } else {
                "the answer is not SMTP".to_owned()
            };
        };
        let words = error.source().map(ToString::to_string).unwrap_or_default();
        match self.step {
            Step::Connect | Step::StartTls | Step::Sender => {
                format!("refused with {status} {}", short(&words))
            }
            Step::Login | Step::Recipient | Step::Data | Step::Message => {
                format!("refused with {status} {}", enhanced(error)).trim_end().to_owned()
            }
        }
    }
}

/// What the whole dialogue failed with where no step did.
pub(super) fn too_slow(server: &SmtpServer, limit: Duration) -> SendError {
    SendError::Temporary(format!(
        "{server}: the mail was not taken within {limit:?}; see the log of the server"
    ))
}

/// Replies of RFC 4954 and RFC 3207: log in, or encrypt, before you go on.
fn wants_login(status: u16) -> bool {
    matches!(status, 530 | 534 | 535 | 538)
}

/// The enhanced status code (RFC 3463) that a reply begins with, or nothing.
fn enhanced(error: &Error) -> String {
    let words = error.source().map(ToString::to_string).unwrap_or_default();
    let first = words.split_whitespace().next().unwrap_or_default();
    let is_part = |part: &str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_code = first.split('.').count() == 3 && first.split('.').all(is_part);
    if is_code { first.to_owned() } else { String::new() }
}

/// What a stranger said, fit for a line of a log.
fn short(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}
