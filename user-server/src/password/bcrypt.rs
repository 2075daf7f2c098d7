//! Bcrypt, for imported hashes. New hashes are always Argon2id.

use std::str::FromStr;

use ::bcrypt::HashParts;

use crate::domain::Password;

/// Maximum bcrypt cost of an accepted hash: about a second per hash.
const MAX_COST: u32 = 14;

/// Reports whether a stored password hash is a bcrypt hash.
pub(super) fn is_bcrypt(hash: &str) -> bool {
    hash.starts_with("$2")
}

/// Checks that a bcrypt hash is well-formed and its cost is acceptable. Otherwise describes why
/// not.
pub(super) fn accept(hash: &str) -> Result<(), &'static str> {
    match hash.get(..4) {
        Some("$2a$" | "$2b$" | "$2y$") => {}
        Some("$2x$") => return Err("the prefix $2x$ marks hashes of a faulty implementation"),
        _ => return Err("it has an unsupported bcrypt prefix; expected $2a$, $2b$ or $2y$"),
    }
    let parts = HashParts::from_str(hash).map_err(|_| "it is truncated or damaged")?;
    // The library would accept `+9` as a number too.
    if !hash.get(4..6).is_some_and(|cost| cost.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err("its cost is not a number");
    }
    match parts.get_cost() {
        0..4 => Err("its cost is lower than 4"),
        4..=MAX_COST => Ok(()),
        _ => Err("its cost is higher than 14"),
    }
}

/// Compares a password with a bcrypt hash. Uses the bytes of the password before Unicode
/// normalisation, and only the first 72 of them.
pub(super) fn verify(password: &Password, hash: &str) -> Result<bool, &'static str> {
    accept(hash)?;
    let bytes = password.as_sent();
    let correct = ::bcrypt::verify(bytes, hash).map_err(|_| "it cannot be computed")?;
    // Other implementations end a password at a NUL, so a password that contains one never matches:
    // otherwise its bytes after the NUL would have no effect. The hash is computed nevertheless, so
    // that the comparison takes equally long.
    Ok(correct && !bytes.contains(&0))
}

/// Returns a bcrypt hash with the prefix and cost in `class` that matches no password.
pub(super) fn of_class(class: &str) -> Result<String, &'static str> {
    let hash = format!("{class}${}", ".".repeat(53));
    accept(&hash).map(|()| hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(password: &[u8], hash: &str) -> bool {
        verify(&Password::presented(password).unwrap(), hash).unwrap()
    }

    #[test]
    fn hashes_of_other_implementations_verify() {
        // From jBCrypt's tests, and with the prefixes that PHP and OpenBSD write.
        for prefix in ["$2a$", "$2b$", "$2y$"] {
            let hash = format!("{prefix}06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe");
            assert!(matches(b"a", &hash) && !matches(b"b", &hash), "{hash}");
        }
        assert!(matches(
            b"abcdefghijklmnopqrstuvwxyz",
            "$2a$08$aTsUwsyowQuzRrDqFflhgekJ8d9/7Z3GV3UcgvzQW3J5zMyrTvlz."
        ));
    }

    #[test]
    fn the_first_72_bytes_before_normalisation_are_compared() {
        let hash = ::bcrypt::hash("x".repeat(72), 4).unwrap();
        assert!(
            matches("x".repeat(72).as_bytes(), &hash) && matches("x".repeat(80).as_bytes(), &hash)
        );
        assert!(!matches("x".repeat(71).as_bytes(), &hash));
        let decomposed = ::bcrypt::hash("cafe\u{301}s", 4).unwrap();
        assert!(
            matches("cafe\u{301}s".as_bytes(), &decomposed)
                && !matches("cafés".as_bytes(), &decomposed)
        );
    }

    #[test]
    fn a_nul_does_not_end_a_password() {
        let hash = ::bcrypt::hash("short", 4).unwrap();
        assert!(
            !matches(b"short\0and more", &hash)
                && !matches(b"short\0", &hash)
                && !matches(b"short\0short", &hash)
        );
        // The library alone would accept this password, since bcrypt repeats the bytes cyclically.
        assert!(!matches(b"a\0a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"));
    }

    #[test]
    fn a_hash_that_cannot_be_computed_is_refused_with_a_reason() {
        let rest = "L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u";
        for hash in ["$2x$10$", "$2b$15$", "$2b$31$", "$2b$03$", "$2b$+9$", "$2c$10$", "$2$10$x"] {
            assert!(accept(&format!("{hash}{rest}")).is_err(), "{hash}");
        }
        assert!(accept(&format!("$2b$10${rest}x")).is_err() && accept("$2b$10$").is_err());
        assert!(accept("$2b$10$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVé").is_err());
        assert_eq!(accept(&format!("$2y$14${rest}")), Ok(()));
        assert!(of_class("$2b$12").is_ok() && of_class("$2b$15").is_err());
    }
}
