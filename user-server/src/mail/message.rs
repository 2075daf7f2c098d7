//! An email as a MIME message (RFC 5322), the same for every transport.

use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};

use crate::domain::{Mail, SendError};

/// The sender of all emails.
#[derive(Debug, Clone)]
pub struct Sender {
    mailbox: Mailbox,
}

impl Sender {
    /// Parses `Name <user@domain>`, or only an address.
    ///
    /// # Errors
    /// Returns the reason if the text is not valid.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.parse().map(|mailbox| Self { mailbox }).map_err(|error| format!("{error}"))
    }

    /// Reports whether the address is ASCII, so that every server accepts it. Other addresses need
    /// an extension that few servers support.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        AsRef::<str>::as_ref(&self.mailbox.email).is_ascii()
    }

    /// Returns a placeholder, used while the errors of the configuration are collected.
    #[must_use]
    pub fn nobody() -> Self {
        let address = lettre::Address::new("no-reply", "localhost.localdomain");
        Self {
            mailbox: Mailbox::new(
                None,
                address.unwrap_or_else(|_| unreachable!("the constant address is valid")),
            ),
        }
    }

    /// Returns the MIME message of an email.
    pub(super) fn message(&self, mail: &Mail) -> Result<Message, SendError> {
        let to: Mailbox = mail
            .to
            .parse()
            .map_err(|_| SendError::Permanent("the recipient is not a valid mailbox".to_owned()))?;
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

/// The header of RFC 3834 that prevents automatic replies, such as vacation notices.
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
