//! Usernames, prepared and compared by PRECIS (RFC 8265). They are public, so a reply may reveal
//! that a username is taken.

mod confusables;
mod profile;

use super::Refusal;

/// Valid username, as shown and in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username {
    shown: String,
    key: String,
}

impl Username {
    /// Minimum number of code points.
    pub const MIN_CHARS: usize = 3;
    /// Maximum number of code points.
    pub const MAX_CHARS: usize = 32;
    /// Maximum size, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 128;

    /// Parses a newly chosen username: 3 to 32 code points after mapping, at most 128 bytes, no
    /// `@`, and not easily mistaken for another username (UTS #39).
    ///
    /// # Errors
    /// [`Refusal::InvalidUsername`] with the reason.
    pub fn choose(text: &str) -> Result<Self, Refusal> {
        let username = Self::parse(text)?;
        for form in [&username.shown, &username.key] {
            confusables::check(form).map_err(Refusal::InvalidUsername)?;
        }
        Ok(username)
    }

    /// Parses a username that may have been chosen under older rules, such as for a login: 3 to 32
    /// code points after mapping, at most 128 bytes, no `@`.
    ///
    /// # Errors
    /// [`Refusal::InvalidUsername`] with the reason.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let refuse = |reason| Err(Refusal::InvalidUsername(reason));
        Self::check_size(text)?;
        if text.is_empty() {
            return refuse("must be at least 3 characters");
        }
        let (shown, key) = profile::enforce(text).ok_or(Refusal::InvalidUsername(
            "contains a character that is not allowed in usernames",
        ))?;
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
    /// [`Refusal::InvalidUsername`] if it is longer than 128 bytes.
    pub fn check_size(text: &str) -> Result<(), Refusal> {
        if text.len() <= Self::MAX_BYTES {
            return Ok(());
        }
        Err(Refusal::InvalidUsername("must be at most 128 bytes"))
    }

    /// Returns the username as the user wrote it, apart from the preparation by PRECIS.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Returns the canonical form, by which usernames are compared.
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

    /// Each of these was refused by the library, and is what people type.
    #[test]
    fn a_name_in_the_spelling_of_its_script_is_accepted() {
        let key = |text| Username::choose(text).unwrap().key().to_owned();
        // Vocalised Arabic and pointed Hebrew: marks in the middle of a word.
        for name in [
            "\u{645}\u{64f}\u{62d}\u{64e}\u{645}\u{651}\u{64e}\u{62f}",
            "\u{5e9}\u{5b8}\u{5dc}\u{5d5}\u{5b9}\u{5dd}",
        ] {
            assert!(key(name).chars().count() >= 5, "{name}");
        }
        // Thai and Lao am vowels, equal to the mark and the vowel that they consist of.
        assert_eq!(key("\u{e19}\u{e49}\u{e33}"), key("\u{e19}\u{e49}\u{e4d}\u{e32}"));
        assert_eq!(key("\u{e99}\u{ec9}\u{eb3}"), key("\u{e99}\u{ec9}\u{ecd}\u{eb2}"));
        // Decomposed Hangul, as some keyboards and file systems produce it.
        assert_eq!(
            key("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}\u{110b}\u{1175}"),
            "\u{d55c}\u{ae00}\u{c774}"
        );
    }

    /// Rule 3 of RFC 5893 is about the end of the label, and the other rules still apply.
    #[test]
    fn the_bidi_rule_applies_to_what_a_name_consists_of() {
        for refused in [
            // A mark at the start.
            "\u{64e}\u{645}\u{62d}",
            // A Latin letter in a name that is written from right to left.
            "\u{5e9}\u{5b8}\u{5dc}a",
            // European and Arabic-Indic digits together.
            "\u{645}\u{64e}\u{62d}1\u{661}",
            // A hyphen at the end, also with a mark after it.
            "\u{645}\u{64e}\u{62d}-",
            "\u{645}\u{64e}\u{62d}-\u{64e}",
            // A right-to-left letter in a name that is written from left to right.
            "abc\u{5e9}\u{5b8}",
        ] {
            assert!(Username::parse(refused).is_err(), "{refused:?}");
        }
        assert!(Username::parse("\u{645}\u{64e}\u{62d}-\u{645}\u{64e}").is_ok());
    }

    #[test]
    fn a_name_that_looks_like_another_one_cannot_be_chosen_but_presented() {
        for (name, reason) in [
            // Cyrillic a and Latin.
            ("\u{430}dmin", "mixes"),
            ("admin\u{3bf}", "mixes"),
            // Cyrillic only: раураӏ.
            ("\u{440}\u{430}\u{443}\u{440}\u{430}\u{4cf}", "looks like"),
            // Capital letters that look like Latin ones, of which the small ones do not.
            ("\u{410}\u{412}\u{415}", "looks like"),
            ("\u{3bf}\u{3bf}\u{3bf}", "looks like"),
        ] {
            let error = format!("{:?}", Username::choose(name).unwrap_err());
            assert!(error.contains(reason), "{name}: {error}");
            assert!(Username::parse(name).is_ok(), "{name} may exist");
        }
        for name in [
            "admin",
            "jos\u{e9}",
            "\u{438}\u{432}\u{430}\u{43d}",
            "\u{3b1}\u{3bb}\u{3ad}\u{3be}\u{3b7}\u{3c2}",
            // Japanese and Korean names mix scripts, also with Latin.
            "\u{6771}\u{4eac}\u{306e}\u{30bf}\u{30ef}\u{30fc}",
            "abc\u{6771}\u{4eac}",
            "\u{d55c}\u{ae00}abc",
            "a.b-c_d!",
            "\u{131}\u{15f}\u{131}k",
        ] {
            assert!(Username::choose(name).is_ok(), "{name}");
        }
    }

    /// The keys of stored names were computed by earlier versions.
    #[test]
    fn the_key_of_a_name_never_changes() {
        for (name, key) in [
            ("Ada", "ada"),
            ("\u{130}stanbul", "i\u{307}stanbul"),
            ("Stra\u{df}e", "stra\u{df}e"),
            (
                "\u{39f}\u{394}\u{3a5}\u{3a3}\u{3a3}\u{395}\u{3a5}\u{3a3}",
                "\u{3bf}\u{3b4}\u{3c5}\u{3c3}\u{3c3}\u{3b5}\u{3c5}\u{3c3}",
            ),
            ("\u{ff21}\u{ff22}\u{ff23}", "abc"),
            ("\u{5e9}\u{5dc}\u{5d5}\u{5dd}", "\u{5e9}\u{5dc}\u{5d5}\u{5dd}"),
        ] {
            assert_eq!(Username::parse(name).unwrap().key(), key, "{name}");
        }
    }
}
