//! Failures of a delivery: the step, the cause, and a hint for the operator. Their texts never
//! contain the recipient.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use lettre::transport::smtp::Error;

use super::SmtpServer;
use crate::domain::SendError;

/// A step of an SMTP delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SmtpStep {
    /// The connection, with implicit TLS if it is configured, and the server's greeting.
    Connect,
    StartTls,
    Login,
    Sender,
    Recipient,
    Data,
    /// Transmission of the content of the email.
    Message,
}

/// Cause of the failure of a step of a delivery.
#[derive(Debug)]
pub(super) enum Cause {
    Timeout(Duration),
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

/// Failure of a step of a delivery.
#[derive(Debug)]
pub(super) struct SmtpFailure {
    step: SmtpStep,
    cause: Cause,
}

impl SmtpStep {
    pub(super) fn failed(self, cause: Cause) -> SmtpFailure {
        SmtpFailure { step: self, cause }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::StartTls => "STARTTLS",
            Self::Login => "AUTH",
            Self::Sender => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Message => "end of data",
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Connect => "check SMTP_HOST, SMTP_PORT, SMTP_TLS and SMTP_HELO",
            Self::StartTls => {
                "check SMTP_TLS, and set SMTP_CA if the certificate is not from a public authority"
            }
            Self::Login => "check SMTP_USER and SMTP_PASSWORD",
            Self::Sender => "check MAIL_FROM, and set SMTP_USER if the server requires a login",
            Self::Recipient => {
                "check that the server relays for this service and accepts SMTP_HELO and MAIL_FROM, and set SMTP_USER if it requires a login"
            }
            Self::Data | Self::Message => "see the log of the server",
        }
    }
}

impl SmtpFailure {
    /// Returns true if the failure is a reply of the server, so that the connection still works.
    pub(super) fn is_reply(&self) -> bool {
        matches!(&self.cause, Cause::Smtp(error) if error.status().is_some())
    }

    pub(super) fn send_error(&self, server: &SmtpServer) -> SendError {
        let (step, hint) = (self.step.name(), self.step.hint());
        let why = match &self.cause {
            Cause::Timeout(limit) => format!("no answer within {limit:?}"),
            Cause::NoAddress => "the host has no address".to_owned(),
            Cause::NotLoopback => {
                "SMTP_TLS=none is allowed only for a server on this machine".to_owned()
            }
            Cause::NotOffered if self.step == SmtpStep::Login => {
                "the server offers neither AUTH PLAIN nor AUTH LOGIN; unset SMTP_USER if it requires no login"
                    .to_owned()
            }
            Cause::NotOffered => {
                "the server does not offer it; set SMTP_TLS=implicit if the port expects TLS immediately"
                    .to_owned()
            }
            Cause::NotEncrypted => "a password is never sent over a connection without TLS".to_owned(),
            Cause::Io(error) => plain(&error.to_string()),
            Cause::Smtp(error) => plain(&self.reply_text(error)),
        };
        match self.blame() {
            Blame::Recipient => SendError::Recipient(format!("{step}: {why}")),
            Blame::Unexplained => SendError::Unexplained(format!("{step}: {why}")),
            Blame::Service => SendError::Service(format!("{server}: {step}: {why}; {hint}")),
            Blame::Undecided => SendError::Undecided(format!("{server}: {step}: {why}; {hint}")),
        }
    }

    /// Returns true if the server does not support EHLO.
    pub(super) fn refuses_ehlo(&self) -> bool {
        self.step == SmtpStep::Connect && matches!(self.status(), Some(500 | 502))
    }

    /// Returns the status code of the server's reply, or `None` if there was no reply.
    fn status(&self) -> Option<u16> {
        match &self.cause {
            Cause::Smtp(error) => error.status().map(u16::from),
            _ => None,
        }
    }

    /// Returns the party to which the failure is attributed.
    fn blame(&self) -> Blame {
        // Without a reply, the server is down or slow.
        let (Cause::Smtp(error), Some(status)) = (&self.cause, self.status()) else {
            return Blame::Service;
        };
        let enhanced = enhanced(error);
        match self.step {
            SmtpStep::Connect | SmtpStep::StartTls | SmtpStep::Login | SmtpStep::Sender => {
                Blame::Service
            }
            _ if concerns_all(status, &enhanced) => Blame::Service,
            SmtpStep::Recipient => match (status, enhanced.as_str()) {
                (550 | 551 | 553, enhanced) if NO_SUCH_MAILBOX.contains(&enhanced) => {
                    Blame::Recipient
                }
                (550, "") => Blame::Unexplained,
                _ => Blame::Undecided,
            },
            SmtpStep::Data | SmtpStep::Message => Blame::Undecided,
        }
    }

    /// Returns a text about the server's reply. The reply may repeat the password or the recipient,
    /// so after AUTH and RCPT only the status codes are used.
    fn reply_text(&self, error: &Error) -> String {
        let Some(status) = error.status() else {
            // The error quotes a reply that cannot be parsed.
            let is_safe = self.step == SmtpStep::Connect || !error.is_response();
            return if is_safe {
                short(&error.to_string())
            } else {
                "the reply is not valid SMTP".to_owned()
            };
        };
        let words = error.source().map(ToString::to_string).unwrap_or_default();
        match self.step {
            SmtpStep::Connect | SmtpStep::StartTls | SmtpStep::Sender => {
                format!("refused with {status} {}", short(&words))
            }
            SmtpStep::Login | SmtpStep::Recipient | SmtpStep::Data | SmtpStep::Message => {
                format!("refused with {status} {}", enhanced(error)).trim_end().to_owned()
            }
        }
    }
}

/// Causes as rustls names them, in words.
const TLS_CAUSES: [(&str, &str); 5] = [
    ("UnknownIssuer", "its certificate was not issued by a trusted authority"),
    ("NotValidForName", "its certificate is for another name than SMTP_HOST"),
    ("Expired", "its certificate has expired"),
    ("InvalidContentType", "it does not use TLS from the first byte; try SMTP_TLS=starttls"),
    ("CaUsedAsEndEntity", "its certificate is that of an authority (CA:TRUE)"),
];

/// Returns a text about an error in words, without the repetitions of the libraries.
fn plain(text: &str) -> String {
    let text = text.replace("Connection error: ", "").replace("connection error: ", "");
    let cause = TLS_CAUSES.iter().find(|(name, _)| text.contains(name));
    cause.map_or(text, |(_, words)| (*words).to_owned())
}

/// Returns the error of a delivery that took longer than `limit`, although no step exceeded its own
/// timeout.
pub(super) fn timed_out(server: &SmtpServer, limit: Duration) -> SendError {
    SendError::Service(format!(
        "{server}: the email was not accepted within {limit:?}; see the log of the server"
    ))
}

/// Enhanced status codes (RFC 3463 and RFC 7505) of a mailbox or domain that does not exist or
/// accepts no email.
const NO_SUCH_MAILBOX: [&str; 6] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"];

/// The party to which a failed delivery is attributed.
enum Blame {
    Recipient,
    Unexplained,
    Service,
    Undecided,
}

/// Returns true if a reply after MAIL FROM concerns every email: HELO or the sender, which many
/// servers judge only at RCPT, a missing login, or the state of the server itself.
fn concerns_all(status: u16, enhanced: &str) -> bool {
    let detail = enhanced.split_once('.').map_or("", |(_, detail)| detail);
    let is_sender = matches!(detail, "1.7" | "1.8") || detail.starts_with("5.");
    let is_server = status == 421 || (status < 500 && detail.starts_with("3."));
    requires_login(status) || is_sender || is_server
}

/// Returns true if a status of RFC 4954 or RFC 3207 asks for authentication or encryption first.
fn requires_login(status: u16) -> bool {
    matches!(status, 530 | 534 | 535 | 538)
}

/// Returns the enhanced status code (RFC 3463) that a reply begins with, or an empty text.
fn enhanced(error: &Error) -> String {
    let words = error.source().map(ToString::to_string).unwrap_or_default();
    let first = words.split_whitespace().next().unwrap_or_default();
    let is_part = |part: &str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_code = first.split('.').count() == 3 && first.split('.').all(is_part);
    if is_code { first.to_owned() } else { String::new() }
}

/// Shortens an untrusted text and removes control characters, for a line of the log.
fn short(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}
