//! Argon2id hashes as PHC strings.

use argon2::{Params, Version};
use password_hash::phc::{ParamsString, PasswordHash, Salt};
use subtle::ConstantTimeEq;

use super::default_engine::HashInput;
use super::hash_memory::HashMemory;
use crate::domain::{Fault, Password};

const SALT: usize = 16;
const OUTPUT: usize = 32;

/// Cost parameters of Argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Number of passes over the memory.
    pub passes: u32,
    /// Degree of parallelism (`p`).
    pub parallelism: u32,
}

impl HashCost {
    /// Minimum cost of new hashes, from the OWASP Password Storage Cheat Sheet: 19 MiB, two passes,
    /// no parallelism.
    pub const FLOOR: Self = Self { memory_kib: 19 * 1024, passes: 2, parallelism: 1 };
    /// Maximum cost of a stored hash, so that a manipulated hash in the database cannot exhaust the
    /// server.
    pub const CEILING: Self = Self { memory_kib: 1024 * 1024, passes: 64, parallelism: 16 };
    /// Maximum work of an imported hash, as its memory in KiB multiplied by its passes: about a
    /// second per hash.
    const IMPORTED_WORK_KIB: u64 = 1024 * 1024;
    /// Maximum memory of an imported hash, in KiB.
    const IMPORTED_MEMORY_KIB: u32 = 256 * 1024;

    fn params(self, output: usize) -> Result<Params, Fault> {
        Params::new(self.memory_kib, self.passes, self.parallelism, Some(output))
            .map_err(Fault::internal)
    }
}

/// Hashes a password with a new random salt, in the reusable `memory`. Returns the PHC string.
pub(super) fn hash(
    password: &Password,
    cost: HashCost,
    memory: &mut HashMemory,
) -> Result<String, Fault> {
    let salt = random_salt()?;
    let mut output = [0; OUTPUT];
    let input = HashInput {
        password: password.expose().as_bytes(),
        salt: &salt,
        version: Version::V0x13,
        params: cost.params(OUTPUT)?,
    };
    memory.compute(&input, &mut output)?;
    string(cost, &salt, &output)
}

/// Returns a random PHC string that matches no password, for logins of unknown users.
pub(super) fn decoy(cost: HashCost) -> Result<String, Fault> {
    let salt = random_salt()?;
    let mut output = [0; OUTPUT];
    getrandom::fill(&mut output).map_err(Fault::internal)?;
    string(cost, &salt, &output)
}

/// Verifies a password against a PHC string, in the reusable `memory`. The hashes are compared in
/// constant time.
pub(super) fn verify(
    password: &Password,
    stored: &str,
    memory: &mut HashMemory,
) -> Result<bool, Fault> {
    let (hash, cost) = read(stored)?;
    let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else {
        return Err(unreadable("it has no salt or no hash"));
    };
    let version = match hash.version {
        None | Some(0x10) => Version::V0x10,
        Some(0x13) => Version::V0x13,
        Some(_) => return Err(unreadable("its version of Argon2 is unknown")),
    };
    let mut output = vec![0; expected.len()];
    let input = HashInput {
        password: password.expose().as_bytes(),
        salt: salt.as_ref(),
        version,
        params: cost.params(expected.len())?,
    };
    memory.compute(&input, &mut output)?;
    Ok(output.ct_eq(expected.as_bytes()).into())
}

/// Checks that the PHC string of another service can be imported: it is Argon2id with a bounded
/// cost. Otherwise describes why not. `own` is the cost of new hashes, which is always accepted.
pub(super) fn accept(hash: &str, own: HashCost) -> Result<(), &'static str> {
    let parsed =
        PasswordHash::new(hash).map_err(|_| "it is neither a bcrypt hash nor a PHC string")?;
    if parsed.algorithm.as_str() != "argon2id" {
        return Err("its algorithm is not supported; expected argon2id or bcrypt");
    }
    let known = |name: &str| matches!(name, "m" | "t" | "p");
    if !parsed.params.iter().all(|(name, _)| known(name.as_str())) {
        return Err("it has a parameter other than m, t and p");
    }
    if !matches!(parsed.version, None | Some(0x10 | 0x13)) {
        return Err("its version of Argon2 is unknown; expected 16 or 19");
    }
    if parsed.salt.is_none_or(|salt| salt.as_ref().len() < 8)
        || parsed.hash.is_none_or(|output| output.len() < 16)
    {
        return Err("it needs a salt of at least 8 bytes and a hash of at least 16 bytes");
    }
    let Ok((_, cost)) = read(hash) else { return Err(TOO_COSTLY) };
    cost.params(OUTPUT).map_err(|_| "its parameters contradict each other")?;
    let work = u64::from(cost.memory_kib) * u64::from(cost.passes);
    let bounded =
        cost.memory_kib <= HashCost::IMPORTED_MEMORY_KIB && work <= HashCost::IMPORTED_WORK_KIB;
    let no_costlier_than_own = cost.memory_kib <= own.memory_kib && cost.passes <= own.passes;
    if bounded || no_costlier_than_own { Ok(()) } else { Err(TOO_COSTLY) }
}

const TOO_COSTLY: &str = "it needs more than 256 MiB, or more than 1 GiB over all passes";

/// Returns a PHC string with the algorithm and cost in `class` that matches no password.
pub(super) fn of_class(class: &str) -> Result<String, Fault> {
    let hash =
        format!("{class}$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    read(&hash).map(|_| hash)
}

/// Reports whether a stored PHC string is well-formed and its cost is at most
/// [`HashCost::CEILING`].
pub(super) fn is_usable(stored: &str) -> bool {
    read(stored).is_ok_and(|(hash, _)| hash.salt.is_some() && hash.hash.is_some())
}

/// Reports whether a stored hash has less memory or fewer passes than `cost`, or an old version of
/// Argon2.
pub(super) fn is_weaker(stored: &str, cost: HashCost) -> bool {
    match read(stored) {
        Ok((hash, stored)) => {
            stored.memory_kib < cost.memory_kib
                || stored.passes < cost.passes
                || hash.version != Some(0x13)
        }
        Err(_) => true,
    }
}

fn random_salt() -> Result<[u8; SALT], Fault> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(Fault::internal)?;
    Ok(salt)
}

fn string(cost: HashCost, salt: &[u8], output: &[u8]) -> Result<String, Fault> {
    let mut params = ParamsString::new();
    for (name, value) in [("m", cost.memory_kib), ("t", cost.passes), ("p", cost.parallelism)] {
        params.add_decimal(name, value).map_err(Fault::internal)?;
    }
    let hash = PasswordHash {
        algorithm: argon2_ident()?,
        version: Some(0x13),
        params,
        salt: Some(Salt::new(salt).map_err(Fault::internal)?),
        hash: Some(password_hash::phc::Output::new(output).map_err(Fault::internal)?),
    };
    Ok(hash.to_string())
}

fn argon2_ident() -> Result<password_hash::phc::Ident, Fault> {
    password_hash::phc::Ident::new("argon2id").map_err(Fault::internal)
}

/// Parses a PHC string of Argon2id and checks that its cost is within [`HashCost::CEILING`].
fn read(stored: &str) -> Result<(PasswordHash, HashCost), Fault> {
    let hash = PasswordHash::new(stored).map_err(|_| unreadable("it is not a PHC string"))?;
    if hash.algorithm.as_str() != "argon2id" {
        return Err(unreadable("its algorithm is unknown"));
    }
    let param = |name, max| hash.params.get_decimal(name).filter(|value| (1..=max).contains(value));
    let max = HashCost::CEILING;
    match (param("m", max.memory_kib), param("t", max.passes), param("p", max.parallelism)) {
        (Some(memory_kib), Some(passes), Some(parallelism)) => {
            Ok((hash, HashCost { memory_kib, passes, parallelism }))
        }
        _ => Err(unreadable("its parameters are out of bounds")),
    }
}

fn unreadable(reason: &str) -> Fault {
    Fault::Internal(format!("cannot use a stored password hash: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::presented(text.as_bytes()).unwrap()
    }

    #[test]
    fn only_the_correct_password_matches() {
        let mut memory = HashMemory::new();
        let stored = hash(&password("tides rise at nine"), HashCost::FLOOR, &mut memory).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify(&password("tides rise at nine"), &stored, &mut memory).unwrap());
        assert!(!verify(&password("tides rise at ten"), &stored, &mut memory).unwrap());
        assert!(
            !verify(&password("tides rise at nine"), &decoy(HashCost::FLOOR).unwrap(), &mut memory)
                .unwrap()
        );
    }

    #[test]
    fn a_hash_of_the_reference_implementation_verifies() {
        // From the command line tool of the reference implementation: echo -n password | argon2
        // somesalt -id -t 2 -k 256 -p 1 -e
        let stored =
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert!(verify(&password("password"), stored, &mut HashMemory::new()).unwrap());
        assert!(is_weaker(stored, HashCost::FLOOR));
    }

    #[test]
    fn a_stored_hash_out_of_bounds_is_refused() {
        for stored in [
            "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=4294967295,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
            "$1$abc$def",
            "",
        ] {
            assert!(
                verify(&password("password"), stored, &mut HashMemory::new()).is_err(),
                "{stored}"
            );
        }
    }
}
