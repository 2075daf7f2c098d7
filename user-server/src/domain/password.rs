//! Passwords as they are presented and as they are set. Wiped when dropped, and never shown.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::Refusal;

/// A password in Unicode NFC, so that two keyboards' ways to write it are one (NIST SP 800-63B,
/// section 5.1.1.2).
#[derive(Clone)]
pub struct Password {
    nfc: Zeroizing<String>,
    /// As it came, where that is another text: hashes that others made know nothing of NFC.
    sent: Option<Zeroizing<Vec<u8>>>,
}

impl Password {
    /// The least number of code points of a new password.
    pub const MIN_CHARS: usize = 8;
    /// The most code points of a new password.
    pub const MAX_CHARS: usize = 128;
    /// The most bytes ever looked at.
    pub const MAX_BYTES: usize = 1024;

    /// A password that somebody presents to prove who they are, or `None` where it can't be
    /// anybody's.
    #[must_use]
    pub fn presented(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() || bytes.len() > Self::MAX_BYTES {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        // NFC grows text by three times at the most (UAX #15), so the string never moves and leaves
        // no copy behind.
        let mut normal = Zeroizing::new(String::with_capacity(3 * text.len()));
        normal.extend(text.nfc());
        let sent = (normal.as_bytes() != bytes).then(|| Zeroizing::new(bytes.to_vec()));
        Some(Self { nfc: normal, sent })
    }

    /// A password that somebody wants to have. Whether it is too common is a second question, of
    /// the `password` room.
    ///
    /// # Errors
    /// [`Refusal::InvalidPassword`], with what is wrong.
    pub fn chosen(bytes: &[u8], field: &'static str) -> Result<Self, Refusal> {
        let refuse = |reason| Err(Refusal::InvalidPassword { field, reason });
        let Some(password) = Self::presented(bytes) else {
            return refuse("it is empty, longer than 1024 bytes, or not UTF-8");
        };
        match password.nfc.chars().count() {
            0..Self::MIN_CHARS => refuse("it is shorter than 8 characters"),
            Self::MIN_CHARS..=Self::MAX_CHARS => Ok(password),
            _ => refuse("it is longer than 128 characters"),
        }
    }

    /// The text in NFC.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.nfc
    }

    /// The bytes that were sent.
    #[must_use]
    pub fn as_sent(&self) -> &[u8] {
        self.sent.as_ref().map_or(self.nfc.as_bytes(), |sent| sent.as_slice())
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password([redacted])")
    }
}

/// What a stored hash costs to compute, as its text says: all that stands before its salt. Empty
/// where it says nothing.
#[must_use]
pub fn hash_class(hash: &str) -> &str {
    const LONGEST: usize = 64;
    // The salt and the hash of a crypt string are one word, and those of a PHC string two.
    let words = if hash.starts_with("$2") { 2 } else { 3 };
    let class = if hash.starts_with('$') { hash.rsplitn(words, '$').nth(words - 1) } else { None };
    class.filter(|class| class.len() <= LONGEST).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Password, hash_class};

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
    fn what_was_sent_is_kept_beside_what_counts() {
        let password = Password::presented("cafe\u{301}".as_bytes()).unwrap();
        assert_eq!((password.expose(), password.as_sent()), ("café", "cafe\u{301}".as_bytes()));
        assert_eq!(Password::presented("café".as_bytes()).unwrap().as_sent(), "café".as_bytes());
    }

    #[test]
    fn a_class_holds_nothing_of_the_password() {
        let crypt = "$2b$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u";
        assert_eq!(hash_class(crypt), "$2b$12");
        let phc =
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert_eq!(hash_class(phc), "$argon2id$v=19$m=256,t=2,p=1");
        for text in ["", "plain", "$1$abc", &format!("${}$a$b", "x".repeat(99))] {
            assert_eq!(hash_class(text), "", "{text}");
        }
    }

    #[test]
    fn nfc_never_outgrows_its_room() {
        for c in ('\0'..=char::MAX).filter(|c| c.len_utf8() > 1) {
            let text = String::from(c).repeat(4);
            let room = 3 * text.len();
            assert!(
                super::UnicodeNormalization::nfc(text.as_str()).map(char::len_utf8).sum::<usize>()
                    <= room,
                "{c:?}"
            );
        }
    }
}
