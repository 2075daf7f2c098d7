//! Email addresses: an unquoted ASCII local part (a dot-string by RFC 5321) and a domain name (IDNA
//! 2008). They are private: no reply reveals whether an address belongs to an account.

use super::Refusal;

/// Valid email address, as shown, for sending, and in canonical form.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    shown: String,
    mailbox: String,
    key: String,
    budget_key: String,
}

impl Email {
    /// Maximum size in bytes, both as written and with the domain in ASCII (RFC 5321, section
    /// 4.5.3.1.3, without the angle brackets).
    pub const MAX_BYTES: usize = 254;
    const MAX_LOCAL: usize = 64;

    /// Parses an email address.
    ///
    /// # Errors
    /// [`Refusal::InvalidEmail`] with the reason.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let refuse = |reason| Err(Refusal::InvalidEmail(reason));
        Self::check_size(text)?;
        let Some((local, domain)) = text.rsplit_once('@') else { return refuse("has no @") };
        if local.is_empty() || local.len() > Self::MAX_LOCAL || !local.split('.').all(is_atom) {
            return refuse("the part before the @ is not valid");
        }
        let Ok(domain) = idna::domain_to_ascii_strict(domain) else {
            return refuse("the part after the @ is not a valid domain name");
        };
        let domain = domain.to_ascii_lowercase();
        let top = domain.rsplit('.').next().unwrap_or_default();
        if !domain.contains('.') || top.is_empty() || top.bytes().all(|byte| byte.is_ascii_digit())
        {
            return refuse("the domain name is incomplete; expected one such as example.com");
        }
        let mailbox = format!("{local}@{domain}");
        Self::check_size(&mailbox)?;
        let key = mailbox.to_ascii_lowercase();
        let budget_key = match key.split_once(['+', '@']) {
            Some((user, _)) if !user.is_empty() => format!("{user}@{domain}"),
            _ => key.clone(),
        };
        Ok(Self { shown: text.to_owned(), mailbox, key, budget_key })
    }

    /// Checks the size of a text before it is parsed.
    ///
    /// # Errors
    /// [`Refusal::InvalidEmail`] if it is longer than 254 bytes.
    pub fn check_size(text: &str) -> Result<(), Refusal> {
        if text.len() <= Self::MAX_BYTES {
            return Ok(());
        }
        Err(Refusal::InvalidEmail("must be at most 254 bytes"))
    }

    /// Returns the address as the user wrote it.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns the address that email is sent to, with the domain in ASCII.
    #[must_use]
    pub fn mailbox(&self) -> &str {
        &self.mailbox
    }

    /// Returns the canonical form, by which addresses are compared: the mailbox in lower case.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the form under which emails to the address are counted: the mailbox in lower case,
    /// without a `+suffix`, since every suffix reaches the same mailbox.
    #[must_use]
    pub fn budget_key(&self) -> &str {
        &self.budget_key
    }
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // An address in a log would reveal that it has an account.
        f.write_str("Email([redacted])")
    }
}

/// Reports whether a text is an `Atom` by RFC 5321.
fn is_atom(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::Email;

    #[test]
    fn one_address_has_one_key() {
        let email = Email::parse("Ada.L+news@BÜCHER.example").unwrap();
        assert_eq!(email.shown(), "Ada.L+news@BÜCHER.example");
        assert_eq!(email.mailbox(), "Ada.L+news@xn--bcher-kva.example");
        assert_eq!(email.key(), "ada.l+news@xn--bcher-kva.example");
        assert_eq!(email.budget_key(), "ada.l@xn--bcher-kva.example");
        assert_eq!(Email::parse("+x@a.example").unwrap().budget_key(), "+x@a.example");
    }

    #[test]
    fn an_invalid_address_is_refused() {
        let long = format!("a@{}.example", "x.".repeat(124));
        for text in [
            "",
            "@",
            "ada",
            "ada@",
            "@a.example",
            "a b@c.example",
            "\"a\"@b.example",
            "a@[192.0.2.1]",
            "a@192.0.2.1",
            "a@localhost",
            "a..b@c.example",
            ".a@c.example",
            "a.@c.example",
            "ä@b.example",
            "a@b.example\r\nBcc: x@y.example",
            "a@b_c.example",
            "a@-b.example",
            "a@b..example",
            "a@b.example.",
            "a@b@c.example",
            &long,
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
    }
}
