//! Memory of a thread that computes Argon2id hashes, with the engine that computes them.

use argon2::Block;

use super::default_engine::{HashInput, fill};
#[cfg(any(test, feature = "argon2-rust"))]
use super::second_engine::SecondEngine;
use crate::domain::Fault;

/// Memory in which a thread computes its hashes, one after the other. It grows as needed, and is
/// wiped after each hash.
#[derive(Default)]
pub struct HashMemory {
    blocks: Vec<Block>,
    /// Engine that computes the hashes instead, if it can be trusted.
    #[cfg(any(test, feature = "argon2-rust"))]
    second: Option<SecondEngine>,
}

impl HashMemory {
    /// Creates the memory of a thread. With the feature `argon2-rust`, hashes are computed by the
    /// second engine.
    #[must_use]
    pub fn new() -> Self {
        Self {
            #[cfg(feature = "argon2-rust")]
            second: Some(SecondEngine::new()),
            ..Self::default()
        }
    }

    /// Creates the memory of a benchmark, in which no hash is computed twice to check it.
    pub(super) fn unchecked() -> Self {
        Self {
            #[cfg(feature = "argon2-rust")]
            second: Some(SecondEngine::unchecked()),
            ..Self::default()
        }
    }

    /// Computes an Argon2id hash into `output`.
    pub(super) fn compute(
        &mut self,
        input: &HashInput<'_>,
        output: &mut [u8],
    ) -> Result<(), Fault> {
        #[cfg(any(test, feature = "argon2-rust"))]
        if let Some(second) = &mut self.second {
            second.compute(input, output, |output| fill(&mut self.blocks, input, output))?;
            if !second.needs_default() {
                self.blocks = Vec::new();
            }
            return Ok(());
        }
        fill(&mut self.blocks, input, output)
    }
}

#[cfg(test)]
mod tests {
    use argon2::{Params, Version};

    use super::*;

    #[test]
    fn the_memory_is_wiped_after_a_hash() {
        let mut memory = HashMemory::default();
        let input = HashInput {
            password: b"tides rise at nine",
            salt: b"0123456789abcdef",
            version: Version::V0x13,
            params: Params::new(256, 2, 1, Some(32)).unwrap(),
        };
        memory.compute(&input, &mut [0; 32]).unwrap();
        let words = || memory.blocks.iter().flat_map(|block| block.as_ref().iter());
        assert!(words().count() > 0 && words().all(|word| *word == 0));
    }

    #[test]
    fn the_second_engine_frees_the_memory_of_the_default_engine_when_its_checks_are_done() {
        let mut memory =
            HashMemory { second: Some(SecondEngine::checking(2)), ..HashMemory::default() };
        let input = HashInput {
            password: b"tides rise at nine",
            salt: b"0123456789abcdef",
            version: Version::V0x13,
            params: Params::new(256, 2, 1, Some(32)).unwrap(),
        };
        let blocks = [(); 3].map(|()| {
            memory.compute(&input, &mut [0; 32]).unwrap();
            memory.blocks.len()
        });
        assert_eq!(blocks, [256, 0, 0]);
    }
}
