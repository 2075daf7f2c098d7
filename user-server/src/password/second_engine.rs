//! A second Argon2 engine, the library argon2-rust, which uses AVX-512 where the processor has it.
//! It is young, was never audited, and consists of thousands of lines of unsafe code. So a process
//! compares its first hashes with those of the default engine, and stops using it at the first
//! difference.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use argon2_rust::params::{Memory, TagLen};
use argon2_rust::{Algorithm, Argon2, Hasher, Params, Version};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::default_engine::HashInput;
use crate::domain::Fault;

/// Number of hashes of a process that both engines compute.
#[cfg(feature = "argon2-rust")]
const CHECKED: u32 = 1000;

/// Hash of `password` with the salt `somesalt`, from the test suite of the reference
/// implementation: 256 KiB, two passes, parallelism 2.
const KNOWN_ANSWER: [u8; 32] = [
    0x6d, 0x09, 0x3c, 0x50, 0x1f, 0xd5, 0x99, 0x96, 0x45, 0xe0, 0xea, 0x3b, 0xf6, 0x20, 0xd7, 0xb8,
    0xbe, 0x7f, 0xd2, 0xdb, 0x59, 0xc2, 0x0d, 0x9f, 0xff, 0x95, 0x39, 0xda, 0x2b, 0xf5, 0x70, 0x37,
];

/// Trust in the engine, shared by all threads of a process.
struct Trust {
    /// Number of hashes that are still to be checked.
    to_check: AtomicU32,
    /// Set by the first wrong hash.
    refuted: AtomicBool,
}

#[cfg(feature = "argon2-rust")]
static TRUST: Trust = Trust::new(CHECKED);

/// The engine, with the memory that a thread reuses. The library wipes it after each hash.
pub(super) struct SecondEngine {
    hasher: Hasher,
    trust: &'static Trust,
    is_checked: bool,
    hash: fn(&mut Hasher, &HashInput<'_>, &mut [u8]) -> Option<()>,
}

impl Trust {
    const fn new(to_check: u32) -> Self {
        Self { to_check: AtomicU32::new(to_check), refuted: AtomicBool::new(false) }
    }

    fn is_refuted(&self) -> bool {
        self.refuted.load(Ordering::Relaxed)
    }

    fn refute(&self) {
        if !self.refuted.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "the Argon2 engine of the feature argon2-rust computed a wrong hash; it is not \
                 used any more by this process; install a build without that feature"
            );
        }
    }

    /// Reports whether the next hash is to be checked, and counts it.
    fn take_check(&self) -> bool {
        let left = |left: u32| left.checked_sub(1);
        self.to_check.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }
}

impl SecondEngine {
    /// Creates the engine, and computes a hash with a known result.
    #[cfg(feature = "argon2-rust")]
    pub(super) fn new() -> Self {
        Self::with(&TRUST, hash)
    }

    /// Creates an engine that checks the known result only, for benchmarks.
    #[cfg(feature = "argon2-rust")]
    pub(super) fn unchecked() -> Self {
        Self { is_checked: false, ..Self::new() }
    }

    fn with(
        trust: &'static Trust,
        hash: fn(&mut Hasher, &HashInput<'_>, &mut [u8]) -> Option<()>,
    ) -> Self {
        let mut engine = Self {
            hasher: Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT).hasher(),
            trust,
            is_checked: true,
            hash,
        };
        if !engine.computes_known_answer() {
            trust.refute();
        }
        engine
    }

    /// Creates an engine of another process, which checks this many hashes.
    #[cfg(test)]
    pub(super) fn checking(to_check: u32) -> Self {
        Self::with(Box::leak(Box::new(Trust::new(to_check))), hash)
    }

    fn computes_known_answer(&mut self) -> bool {
        let Ok(params) = argon2::Params::new(256, 2, 2, Some(KNOWN_ANSWER.len())) else {
            return false;
        };
        let version = argon2::Version::V0x13;
        let input = HashInput { password: b"password", salt: b"somesalt", version, params };
        let mut output = [0; KNOWN_ANSWER.len()];
        (self.hash)(&mut self.hasher, &input, &mut output).is_some() && output == KNOWN_ANSWER
    }

    /// Reports whether the default engine is still needed for hashes that this engine can compute.
    pub(super) fn needs_default(&self) -> bool {
        let is_checking = self.is_checked && self.trust.to_check.load(Ordering::Relaxed) > 0;
        is_checking || self.trust.is_refuted()
    }

    /// Computes an Argon2id hash into `output`. `default` computes the same hash with the default
    /// engine: to check the first hashes, and where this engine failed or was wrong before.
    ///
    /// # Errors
    /// Those of `default`.
    pub(super) fn compute(
        &mut self,
        input: &HashInput<'_>,
        output: &mut [u8],
        default: impl FnOnce(&mut [u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.trust.is_refuted() || (self.hash)(&mut self.hasher, input, output).is_none() {
            return default(output);
        }
        if self.is_checked && self.trust.take_check() {
            let mut expected = Zeroizing::new(vec![0; output.len()]);
            default(&mut expected)?;
            if !bool::from(expected.ct_eq(output)) {
                self.trust.refute();
                output.copy_from_slice(&expected);
            }
        }
        Ok(())
    }
}

/// Computes a hash with the library. Returns `None` if it refuses the arguments or lacks memory.
fn hash(hasher: &mut Hasher, input: &HashInput<'_>, output: &mut [u8]) -> Option<()> {
    let params = &input.params;
    let params = Params::builder()
        .memory(Memory::kib(params.m_cost().into()))
        .passes(params.t_cost())
        .lanes(params.p_cost())
        .threads(1)
        .tag_len(TagLen::bytes(u64::try_from(output.len()).ok()?))
        .build()
        .ok()?;
    let version = match input.version {
        argon2::Version::V0x10 => Version::V0x10,
        argon2::Version::V0x13 => Version::V0x13,
    };
    hasher.set_argon2(Argon2::new(Algorithm::Argon2id, version, params));
    hasher.hash_into(input.password, input.salt, output).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::default_engine::fill;
    use super::*;

    fn input<'a>(password: &'a [u8], salt: &'a [u8]) -> HashInput<'a> {
        let params = argon2::Params::new(64, 2, 1, Some(32)).unwrap();
        HashInput { password, salt, version: argon2::Version::V0x13, params }
    }

    fn expected(input: &HashInput<'_>) -> Vec<u8> {
        let mut output = vec![0; input.params.output_len().unwrap()];
        fill(&mut Vec::new(), input, &mut output).unwrap();
        output
    }

    fn trust(to_check: u32) -> &'static Trust {
        Box::leak(Box::new(Trust::new(to_check)))
    }

    /// Hashes with `engine`. Returns the hash, and the number of hashes of the default engine.
    fn run(engine: &mut SecondEngine, password: &[u8]) -> (Vec<u8>, usize) {
        let (input, mut output, mut count) = (input(password, b"0123456789"), vec![0; 32], 0);
        let default = |output: &mut [u8]| {
            count += 1;
            fill(&mut Vec::new(), &input, output)
        };
        engine.compute(&input, &mut output, default).unwrap();
        assert_eq!(output, expected(&input), "a wrong hash");
        (output, count)
    }

    #[test]
    fn only_the_first_hashes_are_computed_by_both_engines() {
        let trust = trust(3);
        let (mut one, mut other) =
            (SecondEngine::with(trust, hash), SecondEngine::with(trust, hash));
        let checked: Vec<usize> =
            (0..4_u8).flat_map(|n| [run(&mut one, &[n]).1, run(&mut other, &[n, n]).1]).collect();
        assert_eq!(checked, [1, 1, 1, 0, 0, 0, 0, 0]);
        assert!(!trust.is_refuted());
    }

    #[test]
    fn a_benchmark_checks_no_hash() {
        let mut engine = SecondEngine { is_checked: false, ..SecondEngine::with(trust(3), hash) };
        assert_eq!(run(&mut engine, b"password").1, 0);
    }

    #[test]
    fn an_engine_with_a_wrong_known_answer_is_not_used() {
        let wrong = |_: &mut Hasher, _: &HashInput<'_>, output: &mut [u8]| {
            output.fill(7);
            Some(())
        };
        let trust = trust(0);
        let mut engine = SecondEngine::with(trust, wrong);
        assert!(trust.is_refuted());
        assert_eq!(run(&mut engine, b"password").1, 1);
    }

    /// The engine is right about the known answer, and wrong about a longer password.
    #[test]
    fn a_wrong_hash_is_replaced_and_ends_the_use_of_the_engine_on_every_thread() {
        let wrong = |hasher: &mut Hasher, input: &HashInput<'_>, output: &mut [u8]| {
            hash(hasher, input, output)?;
            if input.password.len() > 8 {
                output[0] ^= 1;
            }
            Some(())
        };
        let trust = trust(10);
        let mut engines = [SecondEngine::with(trust, wrong), SecondEngine::with(trust, wrong)];
        assert!(!trust.is_refuted());
        run(&mut engines[0], b"longer than eight");
        assert!(trust.is_refuted());
        for engine in &mut engines {
            assert_eq!(run(engine, b"password").1, 1, "the default engine computes it");
        }
    }

    #[test]
    fn a_hash_that_the_engine_cannot_compute_is_computed_by_the_default_engine() {
        let failing = |hasher: &mut Hasher, input: &HashInput<'_>, output: &mut [u8]| {
            if input.password == b"password" { hash(hasher, input, output) } else { None }
        };
        let trust = trust(0);
        let mut engine = SecondEngine::with(trust, failing);
        assert_eq!(run(&mut engine, b"another").1, 1);
        assert!(!trust.is_refuted());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn both_engines_agree(
            password in proptest::collection::vec(any::<u8>(), 0..130),
            salt in proptest::collection::vec(any::<u8>(), 8..64),
            (parallelism, passes, extra) in (1..5_u32, 1..5_u32, 0..200_u32),
            old_version in any::<bool>(),
            length in 4..132_usize,
        ) {
            let version =
                if old_version { argon2::Version::V0x10 } else { argon2::Version::V0x13 };
            let params = argon2::Params::new(8 * parallelism + extra, passes, parallelism, Some(length));
            let params = params.unwrap();
            let input = HashInput { password: &password, salt: &salt, version, params };
            // Memory that held a larger hash before.
            let mut hasher = SecondEngine::with(trust(0), hash).hasher;
            let mut output = vec![0; length];
            prop_assert!(hash(&mut hasher, &input, &mut output).is_some());
            prop_assert_eq!(output, expected(&input));
        }
    }
}
