//! Bcrypt, for the hashes that users bring along. Nothing new is hashed with it.

use std::str::FromStr;

use ::bcrypt::HashParts;

use crate::domain::Password;

/// The highest cost that is computed: about a second.
const MAX_COST: u32 = 14;

/// Whether a stored hash is one of these.
pub(super) fn is_bcrypt(hash: &str) -> bool {
    hash.starts_with("$2")
}

/// Whether a hash can be computed here; else why not.
pub(super) fn accept(hash: &str) -> Result<(), &'static str> {
    match hash.get(..4) {
        Some("$2a$" | "$2b$" | "$2y$") => {}
        Some("$2x$") => return Err("$2x$ marks hashes of an implementation that was wrong"),
        _ => return Err("of bcrypt, only $2a$, $2b$ and $2y$ can be used"),
    }
    let parts = HashParts::from_str(hash).map_err(|_| "it is cut short or damaged")?;
    // The library would read `+9` as a number too.
    if !hash.get(4..6).is_some_and(|cost| cost.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err("its cost is not a number");
    }
    match parts.get_cost() {
        0..4 => Err("its cost is lower than 4"),
        4..=MAX_COST => Ok(()),
        _ => Err("its cost is higher than 14"),
    }
}

/// Compares a password with a hash that can be computed. The bytes count as they were sent, and of
/// them the first 72.
pub(super) fn verify(password: &Password, hash: &str) -> Result<bool, &'static str> {
    accept(hash)?;
    let bytes = password.as_sent();
    let right = ::bcrypt::verify(bytes, hash).map_err(|_| "it cannot be computed")?;
    // Others end a password at a NUL; what comes behind it must not be without effect here.
    // Computed all the same, so that it takes as long.
    Ok(right && !bytes.contains(&0))
}

/// A hash of this class that no password has.
pub(super) fn of_class(class: &str) -> Result<String, &'static str> {
    let made = format!("{class}${}", ".".repeat(53));
    accept(&made).map(|()| made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(password: &[u8], hash: &str) -> bool {
        verify(&Password::presented(password).unwrap(), hash).unwrap()
    }

    #[test]
    fn other_implementations_agree() {
        // From jBCrypt's tests, and with the prefixes that PHP and OpenBSD write.
        for prefix in ["$2a$", "$2b$", "$2y$"] {
            let hash = format!("{prefix}06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe");
            assert!(fits(b"a", &hash) && !fits(b"b", &hash), "{hash}");
        }
        assert!(fits(
            b"abcdefghijklmnopqrstuvwxyz",
            "$2a$08$aTsUwsyowQuzRrDqFflhgekJ8d9/7Z3GV3UcgvzQW3J5zMyrTvlz."
        ));
    }

    #[test]
    fn the_first_72_bytes_count_as_they_were_sent() {
        let hash = ::bcrypt::hash("x".repeat(72), 4).unwrap();
        assert!(fits("x".repeat(72).as_bytes(), &hash) && fits("x".repeat(80).as_bytes(), &hash));
        assert!(!fits("x".repeat(71).as_bytes(), &hash));
        let decomposed = ::bcrypt::hash("cafe\u{301}s", 4).unwrap();
        assert!(
            fits("cafe\u{301}s".as_bytes(), &decomposed) && !fits("cafés".as_bytes(), &decomposed)
        );
    }

    #[test]
    fn a_nul_ends_nothing() {
        let hash = ::bcrypt::hash("short", 4).unwrap();
        assert!(
            !fits(b"short\0and more", &hash)
                && !fits(b"short\0", &hash)
                && !fits(b"short\0short", &hash)
        );
        // What the library itself would take, since bcrypt goes round and round over the bytes.
        assert!(!fits(b"a\0a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"));
    }

    #[test]
    fn what_can_not_be_computed_is_refused_with_a_reason() {
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
