//! The default Argon2 engine, the library argon2.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroize;

use crate::domain::Fault;

/// Arguments of an Argon2id hash.
pub(super) struct HashInput<'a> {
    pub(super) password: &'a [u8],
    pub(super) salt: &'a [u8],
    pub(super) version: Version,
    pub(super) params: Params,
}

/// Computes a hash into `output`, using `blocks`, which grows as needed and is wiped afterwards.
pub(super) fn fill(
    blocks: &mut Vec<Block>,
    input: &HashInput<'_>,
    output: &mut [u8],
) -> Result<(), Fault> {
    let count = input.params.block_count();
    if blocks.len() < count {
        blocks.resize(count, Block::default());
    }
    let area = blocks.get_mut(..count).ok_or_else(|| Fault::internal("no memory for a hash"))?;
    let filled = Argon2::new(Algorithm::Argon2id, input.version, input.params.clone())
        .hash_password_into_with_memory(input.password, input.salt, &mut *output, &mut *area)
        .map_err(Fault::internal);
    // The memory is derived from the password. The library wipes only memory that it allocates
    // itself. Wiping takes about 3 % of the time of a hash.
    area.iter_mut().for_each(Zeroize::zeroize);
    filled
}
