//! Device names, by which users recognise their sessions.

use super::Refusal;

/// Name of the device of a session, as the client states it. It is shown only to the user of the
/// session, is never trusted, and never appears in an email.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceName(String);

impl DeviceName {
    /// Maximum size, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Parses a device name. Control, bidirectional and other format characters are replaced with
    /// U+FFFD, so that the name can be displayed safely. A name that exceeds the maximum size
    /// afterwards is truncated.
    ///
    /// # Errors
    /// [`Refusal::InvalidValue`] if the text is longer than 128 bytes.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        Self::check_size(text)?;
        let shown = |c: char| {
            if c.is_control() || is_format(c) { char::REPLACEMENT_CHARACTER } else { c }
        };
        let mut name: String = text.chars().map(shown).collect();
        name.truncate(name.floor_char_boundary(Self::MAX_BYTES));
        Ok(Self(name))
    }

    /// Checks the size of a text before it is parsed.
    ///
    /// # Errors
    /// [`Refusal::InvalidValue`] if it is longer than 128 bytes.
    pub fn check_size(text: &str) -> Result<(), Refusal> {
        if text.len() <= Self::MAX_BYTES {
            return Ok(());
        }
        Err(Refusal::InvalidValue { field: "device", reason: "must be at most 128 bytes" })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reports whether a character has the general category Cf (Unicode 16.0), which includes the
/// controls of bidirectional text.
fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}'
            | '\u{e0020}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_control_how_it_is_shown() {
        let shown = |text| DeviceName::parse(text).unwrap().as_str().to_owned();
        assert_eq!(shown("Ada's phone"), "Ada's phone");
        assert_eq!(shown("Łódź 📱"), "Łódź 📱");
        let hostile = "a\u{1b}[31m\u{9b}b\u{202e}c\u{2066}d\u{200b}e\u{feff}f\n\u{7f}";
        assert_eq!(
            shown(hostile),
            "a\u{fffd}[31m\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn a_name_has_at_most_128_bytes() {
        assert_eq!(DeviceName::parse(&"x".repeat(128)).unwrap().as_str().len(), 128);
        let too_long = DeviceName::parse(&"x".repeat(129));
        assert!(matches!(too_long, Err(Refusal::InvalidValue { field: "device", .. })));
        // Each of these takes three bytes when it is replaced.
        let replaced = DeviceName::parse(&"\n".repeat(128)).unwrap();
        assert_eq!(replaced.as_str(), "\u{fffd}".repeat(42));
    }
}
