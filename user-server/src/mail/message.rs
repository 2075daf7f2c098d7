//! A mail as a MIME message (RFC 5322), the same for every way to send it.

use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};

use crate::domain::{Mail, SendError};

/// Who the mails come from.
#[derive(Debug, Clone)]
pub struct Sender {
    mailbox: Mailbox,
}

impl Sender {
    /// Reads `Name <user@domain>` or an address alone.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.parse().map(|mailbox| Self { mailbox }).map_err(|error| format!("{error}"))
    }

    /// Whether every server can be told this address: one beyond ASCII needs an extension that few
    /// have.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        AsRef::<str>::as_ref(&self.mailbox.email).is_ascii()
    }

    /// A sender that stands in while the configuration's faults are collected.
    #[must_use]
    pub fn nobody() -> Self {
        let address = lettre::Address::new("no-reply", "localhost.localdomain");
        Self {
            mailbox: Mailbox::new(
                None,
                address.unwrap_or_else(|_| unreachable!("a constant address is one")),
            ),
        }
    }

    /// The message of a mail.
    pub(super) fn message(&self, mail: &Mail) -> Result<Message, SendError> {
        let to: Mailbox = mail
            .to
            .parse()
            .map_err(|_| SendError::Permanent("the recipient is no mailbox".to_owned()))?;
        let domain = self.mailbox.email.domain();
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(mail.created_at.seconds());
        Message::builder()
            .from(self.mailbox.clone())
            .to(to)
            .subject(&mail.subject)
            .date(at)
            .message_id(Some(format!("<{}@{domain}>", mail.id)))
            .header(AutoSubmitted)
            .multipart(
                MultiPart::alternative()
                    .singlepart(
                        SinglePart::builder()
                            .header(ContentType::TEXT_PLAIN)
                            .body(mail.text.clone()),
                    )
                    .singlepart(
                        SinglePart::builder()
                            .header(ContentType::TEXT_HTML)
                            .body(mail.html.clone()),
                    ),
            )
            .map_err(|error| SendError::Permanent(error.to_string()))
    }
}

/// RFC 3834: no vacation notice and no bounce of a robot shall answer this mail.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
