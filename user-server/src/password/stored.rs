//! What lies in a row: a hash of one of two kinds, told apart by how it begins.

use argon2::Block;

use super::{HashCost, bcrypt, phc};
use crate::domain::{Fault, Password};

/// Compares a password with a stored hash.
pub(super) fn verify(
    password: &Password,
    stored: &str,
    memory: &mut Vec<Block>,
) -> Result<bool, Fault> {
    if bcrypt::is_bcrypt(stored) {
        bcrypt::verify(password, stored).map_err(unusable)
    } else {
        phc::verify(password, stored, memory)
    }
}

/// Whether a stored hash is weaker than what new ones cost.
pub(super) fn is_weaker(stored: &str, cost: HashCost) -> bool {
    bcrypt::is_bcrypt(stored) || phc::is_weaker(stored, cost)
}

/// A hash of this class that no password has.
pub(super) fn of_class(class: &str) -> Result<String, Fault> {
    if bcrypt::is_bcrypt(class) {
        bcrypt::of_class(class).map_err(unusable)
    } else {
        phc::of_class(class)
    }
}

/// Whether a hash that somebody else made can be stored here: one that can be computed, in bounded
/// time and memory.
///
/// # Errors
/// Why it can't.
pub fn accept(hash: &str, own: HashCost) -> Result<(), &'static str> {
    if bcrypt::is_bcrypt(hash) { bcrypt::accept(hash) } else { phc::accept(hash, own) }
}

/// Whether a stored hash could be compared with: it can be read, and asks for no more than is
/// allowed.
#[must_use]
pub fn is_usable(stored: &str) -> bool {
    if bcrypt::is_bcrypt(stored) { bcrypt::accept(stored).is_ok() } else { phc::is_usable(stored) }
}

fn unusable(why: &str) -> Fault {
    Fault::Internal(format!("a stored password hash cannot be used: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_made_is_bounded() {
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
            "as costly as one's own"
        );
    }

    #[test]
    fn a_class_can_be_measured() {
        let mut memory = Vec::new();
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
