//! Usernames: PRECIS (RFC 8265). Public, so they may be told apart in answers.

use precis_profiles::precis_core::profile::Profile;
use precis_profiles::{UsernameCaseMapped, UsernameCasePreserved};

use super::Refusal;

/// A username: as the user writes it, and as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username {
    shown: String,
    key: String,
}

impl Username {
    /// The least number of code points.
    pub const MIN_CHARS: usize = 3;
    /// The most code points.
    pub const MAX_CHARS: usize = 32;
    /// The most bytes of UTF-8.
    pub const MAX_BYTES: usize = 128;

    /// Reads a username: UsernameCaseMapped, 3-32 code points, at most 128 bytes, no `@`.
    ///
    /// # Errors
    /// [`Refusal::InvalidUsername`], with what is wrong.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.len() > Self::MAX_BYTES {
            return Err(Refusal::InvalidUsername("it is longer than 128 bytes"));
        }
        let not_a_name =
            |_| Refusal::InvalidUsername("it holds a character that a username can not have");
        let shown = UsernameCasePreserved::new().enforce(text).map_err(not_a_name)?.into_owned();
        let key = UsernameCaseMapped::new().enforce(text).map_err(not_a_name)?.into_owned();
        if key.contains('@') {
            return Err(Refusal::InvalidUsername("it holds an @, which would make it an address"));
        }
        if shown.len().max(key.len()) > Self::MAX_BYTES {
            return Err(Refusal::InvalidUsername("it is longer than 128 bytes"));
        }
        match key.chars().count() {
            0..Self::MIN_CHARS => Err(Refusal::InvalidUsername("it is shorter than 3 characters")),
            Self::MIN_CHARS..=Self::MAX_CHARS => Ok(Self { shown, key }),
            _ => Err(Refusal::InvalidUsername("it is longer than 32 characters")),
        }
    }

    /// As the user writes it.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// As it is compared.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::Username;

    #[test]
    fn case_and_width_do_not_tell_names_apart() {
        let key = |text| Username::parse(text).unwrap().key().to_owned();
        assert_eq!(key("Ada"), "ada");
        assert_eq!(key("ＡＤＡ"), "ada");
        assert_eq!(key("Jose\u{301}"), key("JOSÉ"));
        assert_eq!(Username::parse("Ada").unwrap().shown(), "Ada");
    }

    #[test]
    fn what_is_no_name_is_refused() {
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
