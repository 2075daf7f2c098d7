//! Stored password hashes: Argon2id or bcrypt, distinguished by their prefix.

use super::{HashCost, HashMemory, bcrypt, phc};
use crate::domain::{Fault, Password};

/// Verifies a password against a stored hash.
pub(super) fn verify(
    password: &Password,
    stored: &str,
    memory: &mut HashMemory,
) -> Result<bool, Fault> {
    if bcrypt::is_bcrypt(stored) {
        bcrypt::verify(password, stored).map_err(unusable)
    } else {
        phc::verify(password, stored, memory)
    }
}

/// Reports whether a stored hash is weaker than a new hash with the cost `cost`. Bcrypt hashes
/// always are.
pub(super) fn is_weaker(stored: &str, cost: HashCost) -> bool {
    bcrypt::is_bcrypt(stored) || phc::is_weaker(stored, cost)
}

/// Returns a hash with the algorithm and cost in `class` that matches no password.
pub(super) fn of_class(class: &str) -> Result<String, Fault> {
    if bcrypt::is_bcrypt(class) {
        bcrypt::of_class(class).map_err(unusable)
    } else {
        phc::of_class(class)
    }
}

/// Checks that a password hash of another service can be imported: it has a supported format, and
/// can be computed in bounded time and memory. `own` is the cost of new hashes, which is always
/// accepted.
///
/// # Errors
/// Describes why it cannot be imported, in words that follow the name of the column.
pub fn accept(hash: &str, own: HashCost) -> Result<(), &'static str> {
    if bcrypt::is_bcrypt(hash) { bcrypt::accept(hash) } else { phc::accept(hash, own) }
}

/// Reports whether a stored password hash has a supported format and a cost within the limits, so
/// that passwords can be verified against it.
#[must_use]
pub fn is_usable(stored: &str) -> bool {
    if bcrypt::is_bcrypt(stored) { bcrypt::accept(stored).is_ok() } else { phc::is_usable(stored) }
}

fn unusable(reason: &str) -> Fault {
    Fault::Internal(format!("cannot use a stored password hash: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_imported_hashes_is_bounded() {
        let phc = |start: &str| {
            format!("{start}$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")
        };
        let accept = |start: &str| accept(&phc(start), HashCost::FLOOR);
        for good in [
            "$argon2id$v=19$m=65536,t=3,p=4",
            "$argon2id$m=4096,t=3,p=1",
            "$argon2id$v=19$m=262144,t=4,p=1",
        ] {
            assert_eq!(accept(good), Ok(()), "{good}");
        }
        for bad in [
            "$argon2i$v=19$m=65536,t=3,p=4",
            "$argon2d$v=19$m=65536,t=3,p=4",
            "$scrypt$ln=15,r=8,p=1",
            "$pbkdf2-sha256$i=310000,l=32",
            "$argon2id$v=18$m=65536,t=3,p=4",
            "$argon2id$v=19$m=262145,t=1,p=1",
            "$argon2id$v=19$m=262144,t=5,p=1",
            "$argon2id$v=19$m=65536,t=3,p=17",
            "$argon2id$v=19$m=8,t=1,p=16",
            "$argon2id$v=19$m=65536,t=3,p=4,data=AAAA",
            "$argon2id$v=19$m=65536,t=3",
        ] {
            assert!(accept(bad).is_err(), "{bad}");
        }
        assert!(super::accept("5f4dcc3b5aa765d61d8327deb882cf99", HashCost::FLOOR).is_err());
        let own = HashCost { memory_kib: 512 * 1024, ..HashCost::FLOOR };
        assert_eq!(
            super::accept(&phc("$argon2id$v=19$m=524288,t=2,p=1"), own),
            Ok(()),
            "as costly as new hashes"
        );
    }

    #[test]
    fn a_hash_of_every_supported_class_can_be_measured() {
        let mut memory = HashMemory::new();
        let nobody = Password::presented(b"nobody").unwrap();
        for class in ["$2b$04", "$argon2id$v=19$m=256,t=2,p=1", "$argon2id$m=256,t=2,p=1"] {
            assert_eq!(
                verify(&nobody, &of_class(class).unwrap(), &mut memory),
                Ok(false),
                "{class}"
            );
        }
        assert!(
            of_class("$2b$20").is_err()
                && of_class("$scrypt$ln=15").is_err()
                && of_class("").is_err()
        );
    }
}
