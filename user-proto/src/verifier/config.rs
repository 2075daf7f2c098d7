//! The configuration of a verifier.

use std::time::Duration;

/// Configuration of a [`Verifier`](super::Verifier).
#[derive(Debug, Clone)]
pub struct VerifierConfig {
    /// Expected `iss` claim: JWT_ISSUER of the service. It is asked about a token with another one.
    pub issuer: String,
    /// Expected `aud` claim: JWT_AUDIENCE of the service.
    pub audience: String,
    /// Age of the revocations from which on the service is asked for every token. Its answer is not
    /// used if its own knowledge is older than that. With a service that signs with HS256, its
    /// STALE_LIMIT counts instead.
    pub age_limit: Duration,
    /// Time for which a server waits for a revocation before it answers; at most 5 s. The server
    /// sends a revocation at once, whatever this time is.
    pub wait: Duration,
    /// Number of tokens that are cached, so that their signature is verified only once. One takes
    /// about 200 bytes.
    pub cached_tokens: usize,
    /// Number of revocations that are stored. If the service has more, it is asked for every token.
    pub max_revocations: usize,
    /// Time limit for asking the service about one token.
    pub ask_timeout: Duration,
    /// Number of tokens about which the service is asked at the same time. Further ones wait, up
    /// to `ask_timeout`.
    pub max_asking: usize,
}

impl Default for VerifierConfig {
    fn default() -> Self {
        Self {
            issuer: "user-service".to_owned(),
            audience: "user-service".to_owned(),
            age_limit: Duration::from_secs(5),
            wait: Duration::from_millis(300),
            cached_tokens: 100_000,
            max_revocations: 1_000_000,
            ask_timeout: Duration::from_secs(3),
            max_asking: 128,
        }
    }
}
