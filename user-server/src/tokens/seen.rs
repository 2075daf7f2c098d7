//! Tokens that were verified before. Verifying a signature with a public key takes a
//! hundred times as long as an HMAC, and a token is presented many times.

use std::sync::OnceLock;

use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::Verified;

/// Maximum number of remembered tokens of one key.
const CAPACITY: usize = 65_536;

/// Digest that identifies a token. It is computed from all its bytes, so comparing it reveals
/// nothing about the signature of another token, in whichever time.
pub(super) type TokenDigest = [u8; 32];

/// Claims of the tokens of one key that were verified before. Only tokens with a valid signature
/// are remembered. Expiry, revocations and the retirement of the key are checked each time.
pub(super) struct SeenTokens {
    /// Hash state after the text with which every token begins.
    hash: Sha256,
    /// Created when the first token is remembered, because most keys never verify one.
    tokens: OnceLock<Cache<TokenDigest, Verified>>,
}

impl SeenTokens {
    pub(super) fn new() -> Self {
        Self { hash: Sha256::new(), tokens: OnceLock::new() }
    }

    /// Sets the text with which every token begins.
    pub(super) fn begin(&mut self, prefix: &[u8]) {
        self.hash.update(prefix);
    }

    /// Computes the digest of a token from the bytes after the text with which it begins.
    pub(super) fn digest(&self, rest: &[u8]) -> TokenDigest {
        self.hash.clone().chain_update(rest).finalize().into()
    }

    /// Returns the claims of a token that was verified before.
    pub(super) fn get(&self, digest: &TokenDigest) -> Option<Verified> {
        self.tokens.get()?.get(digest)
    }

    /// Remembers a token with a valid signature.
    pub(super) fn insert(&self, digest: TokenDigest, verified: Verified) {
        self.tokens.get_or_init(|| Cache::new(CAPACITY)).insert(digest, verified);
    }
}
