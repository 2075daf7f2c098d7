//! Passwords, for authentication or newly chosen. They are wiped from memory on drop and never
//! printed.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::Refusal;

/// Password in Unicode NFC, so that it does not depend on how a keyboard composes characters (NIST
/// SP 800-63B, section 5.1.1.2).
#[derive(Clone)]
pub struct Password {
    nfc: Zeroizing<String>,
    /// Bytes as the client sent them, or `None` if they are already in NFC. An imported hash may be
    /// the hash of these bytes.
    sent: Option<Zeroizing<Vec<u8>>>,
}

impl Password {
    /// Minimum number of code points of a new password.
    pub const MIN_CHARS: usize = 8;
    /// Maximum number of code points of a new password.
    pub const MAX_CHARS: usize = 128;
    /// Maximum size of any password, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// Parses a password that a client presents for authentication. Returns `None` if it is empty,
    /// longer than 1024 bytes, or not UTF-8, since no account can have such a password.
    #[must_use]
    pub fn presented(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() || bytes.len() > Self::MAX_BYTES {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        // NFC makes a text at most three times as long (UAX #15), so the string is never
        // reallocated and leaves no copy behind.
        let mut nfc = Zeroizing::new(String::with_capacity(3 * text.len()));
        nfc.extend(text.nfc());
        let sent = (nfc.as_bytes() != bytes).then(|| Zeroizing::new(bytes.to_vec()));
        Some(Self { nfc, sent })
    }

    /// Parses a new password, and checks its length. The `password` module checks that it is not
    /// common.
    ///
    /// # Errors
    /// [`Refusal::InvalidPassword`] with `field`, the name of the request's field, and the reason.
    pub fn chosen(bytes: &[u8], field: &'static str) -> Result<Self, Refusal> {
        let refuse = |reason| Err(Refusal::InvalidPassword { field, reason });
        if bytes.is_empty() {
            return refuse("must be at least 8 characters");
        }
        let Some(password) = Self::presented(bytes) else {
            return refuse("must be valid UTF-8 and at most 1024 bytes");
        };
        match password.nfc.chars().count() {
            0..Self::MIN_CHARS => refuse("must be at least 8 characters"),
            Self::MIN_CHARS..=Self::MAX_CHARS => Ok(password),
            _ => refuse("must be at most 128 characters"),
        }
    }

    /// Returns the password in NFC.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.nfc
    }

    /// Returns the bytes of the password as the client sent them.
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

/// Returns the class of a stored password hash, its algorithm and cost: the part of the PHC or
/// crypt string before the salt. Empty if the format is unknown.
#[must_use]
pub fn hash_class(hash: &str) -> &str {
    const MAX_BYTES: usize = 64;
    // A crypt string ends with salt and hash in one field, a PHC string in two.
    let fields = if hash.starts_with("$2") { 2 } else { 3 };
    let class =
        if hash.starts_with('$') { hash.rsplitn(fields, '$').nth(fields - 1) } else { None };
    class.filter(|class| class.len() <= MAX_BYTES).unwrap_or_default()
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
    fn a_presented_password_has_no_limit_but_its_size() {
        assert!(Password::presented(b"x").is_some());
        assert!(Password::presented(&[b'x'; 1024]).is_some());
        assert!(Password::presented(&[b'x'; 1025]).is_none());
        assert!(Password::presented(&[0xff]).is_none());
    }

    #[test]
    fn the_sent_bytes_are_kept_beside_the_normal_form() {
        let password = Password::presented("cafe\u{301}".as_bytes()).unwrap();
        assert_eq!((password.expose(), password.as_sent()), ("café", "cafe\u{301}".as_bytes()));
        assert_eq!(Password::presented("café".as_bytes()).unwrap().as_sent(), "café".as_bytes());
    }

    #[test]
    fn a_hash_class_contains_neither_salt_nor_hash() {
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
    fn nfc_never_outgrows_the_reserved_capacity() {
        for c in ('\0'..=char::MAX).filter(|c| c.len_utf8() > 1) {
            let text = String::from(c).repeat(4);
            let capacity = 3 * text.len();
            assert!(
                super::UnicodeNormalization::nfc(text.as_str()).map(char::len_utf8).sum::<usize>()
                    <= capacity,
                "{c:?}"
            );
        }
    }
}
