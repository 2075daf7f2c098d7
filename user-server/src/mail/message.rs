//! An email as a MIME message (RFC 5322), the same for every transport.

use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};

use crate::domain::{Mail, SendError};

/// The sender of all emails: an address, optionally with a name.
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
        if let Ok(mailbox) = text.parse() {
            return Ok(Self { mailbox });
        }
        // In a header, a name with a comma must be quoted; here, there is only one sender.
        let (name, address) = match text.rsplit_once('<') {
            Some((name, rest)) => (name.trim(), rest.trim_end().strip_suffix('>')),
            None => ("", Some(text.trim())),
        };
        let address = address.ok_or("the address must end with `>`")?;
        let email = address.trim().parse().map_err(|_| {
            format!("`{}` is not an email address", address.trim().replace(['\r', '\n'], " "))
        })?;
        if name.contains(|letter: char| letter.is_control() || letter == '"') {
            return Err("a name cannot contain quotation marks or line breaks".to_owned());
        }
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self { mailbox: Mailbox::new(name, email) })
    }

    /// Returns true if the address is ASCII, so that every server accepts it. Other addresses need
    /// an extension that few servers support.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        AsRef::<str>::as_ref(&self.mailbox.email).is_ascii()
    }

    /// Returns the address of the sender without the name.
    #[must_use]
    pub fn address(&self) -> &lettre::Address {
        &self.mailbox.email
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

    /// Returns an email as a MIME message.
    pub(super) fn message(&self, mail: &Mail) -> Result<Message, SendError> {
        let to: Mailbox = mail
            .to
            .parse()
            .map_err(|_| SendError::Recipient("the recipient is not a valid mailbox".to_owned()))?;
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
            .map_err(|error| SendError::Recipient(error.to_string()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn a_name_with_a_comma_is_one_name() {
        let sender = Sender::parse("Lovelace, Ada <ada@domain.example>").unwrap();
        let mail = Mail {
            id: uuid::Uuid::nil(),
            to: "bob@example.org".to_owned(),
            subject: "Hello".to_owned(),
            text: String::new(),
            html: String::new(),
            code: None,
            created_at: Timestamp(0),
        };
        let message = String::from_utf8(sender.message(&mail).unwrap().formatted()).unwrap();
        let line = message.lines().find(|line| line.starts_with("From: ")).unwrap();
        // The name as an encoded word: `Lovelace, Ada`.
        assert_eq!(line, "From: =?utf-8?b?TG92ZWxhY2UsIEFkYQ==?= <ada@domain.example>");
    }
}
