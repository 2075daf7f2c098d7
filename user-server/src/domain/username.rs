//! Usernames, prepared and compared by PRECIS (RFC 8265). They are public, so a reply may reveal
//! that one is taken.

use precis_profiles::precis_core::profile::Profile;
use precis_profiles::{UsernameCaseMapped, UsernameCasePreserved};

use super::Refusal;

/// A valid username.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username {
    shown: String,
    key: String,
}

impl Username {
    /// The smallest number of code points.
    pub const MIN_CHARS: usize = 3;
    /// The largest number of code points.
    pub const MAX_CHARS: usize = 32;
    /// The largest size, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 128;

    /// Parses a username: 3 to 32 code points after mapping, at most 128 bytes, no `@`.
    ///
    /// # Errors
    /// [`Refusal::InvalidUsername`] with the reason.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let refuse = |reason| Err(Refusal::InvalidUsername(reason));
        Self::check_size(text)?;
        let disallowed =
            |_| Refusal::InvalidUsername("contains a character that is not allowed in usernames");
        let shown = UsernameCasePreserved::new().enforce(text).map_err(disallowed)?.into_owned();
        let key = UsernameCaseMapped::new().enforce(text).map_err(disallowed)?.into_owned();
        if key.contains('@') {
            return refuse("must not contain @");
        }
        Self::check_size(&shown)?;
        Self::check_size(&key)?;
        match key.chars().count() {
            0..Self::MIN_CHARS => refuse("must be at least 3 characters"),
            Self::MIN_CHARS..=Self::MAX_CHARS => Ok(Self { shown, key }),
            _ => refuse("must be at most 32 characters"),
        }
    }

    /// Checks the size of a text before it is parsed.
    ///
    /// # Errors
    /// [`Refusal::InvalidUsername`] if it is too large.
    pub fn check_size(text: &str) -> Result<(), Refusal> {
        if text.len() <= Self::MAX_BYTES {
            return Ok(());
        }
        Err(Refusal::InvalidUsername("must be at most 128 bytes"))
    }

    /// Returns the username as its owner writes it.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns the form that is compared.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::Username;

    #[test]
    fn usernames_that_differ_in_case_or_width_have_the_same_key() {
        let key = |text| Username::parse(text).unwrap().key().to_owned();
        assert_eq!(key("Ada"), "ada");
        assert_eq!(key("ＡＤＡ"), "ada");
        assert_eq!(key("Jose\u{301}"), key("JOSÉ"));
        assert_eq!(Username::parse("Ada").unwrap().shown(), "Ada");
    }

    #[test]
    fn an_invalid_username_is_refused() {
        for text in [
            "",
            "ab",
            "a b c",
            "a@b.example",
            "tab\tbed",
            "null\0byte",
            "a\u{202e}bc",
            &"x".repeat(33),
        ] {
            assert!(Username::parse(text).is_err(), "{text:?}");
        }
        assert!(Username::parse(&"x".repeat(32)).is_ok());
        assert!(
            Username::parse(&"𠀀".repeat(32)).is_ok(),
            "32 code points of four bytes are 128 bytes"
        );
        assert!(Username::parse(&"𠀀".repeat(33)).is_err());
    }
}
