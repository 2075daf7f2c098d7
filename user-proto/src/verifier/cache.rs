//! The cache of verified tokens.

use std::hash::{Hash, Hasher};

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::hash::Seed;
use super::token::Claims;

/// SHA-256 of all bytes of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenDigest([u8; 32]);

impl TokenDigest {
    pub(super) fn of(token: &[u8]) -> Option<Self> {
        digest(&SHA256, token).as_ref().try_into().ok().map(Self)
    }

    /// Returns a small number that is different for different tokens.
    pub(super) fn spread(&self) -> usize {
        self.0[31].into()
    }
}

impl Hash for TokenDigest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (word, _) = self.0.split_first_chunk().unwrap_or((&[0; 8], &[]));
        state.write_u64(u64::from_ne_bytes(*word));
    }
}

/// A token with a verified signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CachedToken {
    pub(super) claims: Claims,
    /// Generation of the keys before the signature was verified.
    pub(super) generation: u64,
}

pub(super) struct TokenCache(
    Cache<TokenDigest, CachedToken, UnitWeighter, Seed, DefaultLifecycle<TokenDigest, CachedToken>>,
);

impl TokenCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Cache::with(
            capacity,
            capacity as u64,
            UnitWeighter,
            Seed::random(),
            DefaultLifecycle::default(),
        ))
    }

    /// Returns the claims of a token that was verified with keys of this `generation`.
    pub(super) fn get(&self, token: &TokenDigest, generation: u64) -> Option<Claims> {
        self.0.get(token).filter(|found| found.generation == generation).map(|found| found.claims)
    }

    pub(super) fn insert(&self, token: TokenDigest, cached: CachedToken) {
        self.0.insert(token, cached);
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
