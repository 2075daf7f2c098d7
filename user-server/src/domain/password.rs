//! Passwords as they are presented and as they are set. Wiped when dropped, and never shown.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::Refusal;

/// A password in Unicode NFC, so that two keyboards' ways to write it are one (NIST SP 800-63B, section 5.1.1.2).
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The least number of code points of a new password.
    pub const MIN_CHARS: usize = 8;
    /// The most code points of a new password.
    pub const MAX_CHARS: usize = 128;
    /// The most bytes ever looked at.
    pub const MAX_BYTES: usize = 1024;

    /// A password that somebody presents to prove who they are, or `None` where it can't be anybody's.
    #[must_use]
    pub fn presented(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() || bytes.len() > Self::MAX_BYTES {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        // NFC grows text by three times at the most (UAX #15), so the string never moves and leaves no copy behind.
        let mut normal = Zeroizing::new(String::with_capacity(3 * text.len()));
        normal.extend(text.nfc());
        Some(Self(normal))
    }

    /// A password that somebody wants to have. Whether it is too common is a second question, of the `password` room.
    ///
    /// # Errors
    /// [`Refusal::InvalidPassword`], with what is wrong.
    pub fn chosen(bytes: &[u8], field: &'static str) -> Result<Self, Refusal> {
        let refuse = |reason| Err(Refusal::InvalidPassword { field, reason });
        let Some(password) = Self::presented(bytes) else {
            return refuse("it is empty, longer than 1024 bytes, or not UTF-8");
        };
        match password.0.chars().count() {
            0..Self::MIN_CHARS => refuse("it is shorter than 8 characters"),
            Self::MIN_CHARS..=Self::MAX_CHARS => Ok(password),
            _ => refuse("it is longer than 128 characters"),
        }
    }

    /// The text in NFC.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::Password;

    #[test]
    fn code_points_count_after_normalisation() {
        assert!(
            Password::chosen("e\u{301}".repeat(7).as_bytes(), "password").is_err(),
            "seven letters, 14 code points as sent"
        );
        assert!(Password::chosen("é".repeat(8).as_bytes(), "password").is_ok());
        assert!(Password::chosen("🔑".repeat(128).as_bytes(), "password").is_ok());
        assert!(Password::chosen("🔑".repeat(129).as_bytes(), "password").is_err());
    }

    #[test]
    fn a_presented_password_has_only_the_cap() {
        assert!(Password::presented(b"x").is_some());
        assert!(Password::presented(&[b'x'; 1024]).is_some());
        assert!(Password::presented(&[b'x'; 1025]).is_none());
        assert!(Password::presented(&[0xff]).is_none());
    }

    #[test]
    fn nfc_never_outgrows_its_room() {
        for c in ('\0'..=char::MAX).filter(|c| c.len_utf8() > 1) {
            let text = String::from(c).repeat(4);
            let room = 3 * text.len();
            assert!(
                super::UnicodeNormalization::nfc(text.as_str()).map(char::len_utf8).sum::<usize>() <= room,
                "{c:?}"
            );
        }
    }
}
