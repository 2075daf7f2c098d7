//! Keys that sign access tokens, derived from a server key. Each has a name of its own and exactly
//! one algorithm.

use aws_lc_rs::agreement;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Algorithm of the signature of an access token (RFC 7518, section 3.1; RFC 8037, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// HMAC-SHA256 with the secret itself.
    Hs256,
    /// Ed25519 with a derived key.
    EdDsa,
    /// ECDSA on the curve P-256 with SHA-256 and a derived key.
    Es256,
}

impl TokenAlgorithm {
    pub const ALL: [Self; 3] = [Self::Hs256, Self::EdDsa, Self::Es256];

    /// Returns the name of the algorithm in the `alg` field of a token.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    /// Returns the algorithm with this name, or `None` if the name is unknown. Case is ignored.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }
}

/// Public key that verifies access tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// Encoded point of Ed25519 (RFC 8032, section 5.1.2).
    Ed25519([u8; 32]),
    /// Uncompressed point of P-256 (SEC 1, section 2.3.3).
    P256([u8; 65]),
}

impl PublicKey {
    /// Returns the bytes of the public key.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(point) => point,
            Self::P256(point) => point,
        }
    }

    /// Returns the members of the JWK that are required for its type, in the order of RFC 7638.
    fn members(&self) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ed25519(point) => {
                format!(r#""crv":"Ed25519","kty":"OKP","x":"{}""#, encode(point))
            }
            Self::P256([_, coordinates @ ..]) => {
                let (x, y) = coordinates.split_at(32);
                format!(r#""crv":"P-256","kty":"EC","x":"{}","y":"{}""#, encode(x), encode(y))
            }
        }
    }
}

/// Key pair that signs access tokens.
pub struct TokenKey {
    /// Name of the key in tokens: its JWK thumbprint (RFC 7638).
    pub kid: String,
    pub algorithm: TokenAlgorithm,
    pub public: PublicKey,
    /// Private key in the format PKCS #8.
    private: Zeroizing<Vec<u8>>,
}

impl TokenKey {
    /// Derives the Ed25519 key of a secret. Returns `None` if the derivation fails.
    pub(super) fn ed25519(hkdf: &Hkdf<Sha256>) -> Option<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        hkdf.expand(b"user-service v1 token EdDSA", seed.as_mut_slice()).ok()?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).ok()?;
        let public = PublicKey::Ed25519(pair.public_key().as_ref().try_into().ok()?);
        let private = pair.to_pkcs8v1().ok()?.as_ref().to_vec();
        Some(Self::new(TokenAlgorithm::EdDsa, public, private))
    }

    /// Derives the P-256 key of a secret. Returns `None` if the derivation fails.
    pub(super) fn p256(hkdf: &Hkdf<Sha256>) -> Option<Self> {
        // A number that is not below the order of the curve, which has a probability of 2^-32, is
        // not a private key. Then the next one is tried.
        (0..=u8::MAX).find_map(|attempt| {
            let mut scalar = Zeroizing::new([0; 32]);
            let label: [&[u8]; 2] = [b"user-service v1 token ES256 ", &[attempt]];
            hkdf.expand_multi_info(&label, scalar.as_mut_slice()).ok()?;
            let private =
                agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, scalar.as_slice());
            let point = private.ok()?.compute_public_key().ok()?;
            let pair = EcdsaKeyPair::from_private_key_and_public_key(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                scalar.as_slice(),
                point.as_ref(),
            );
            let private = pair.ok()?.to_pkcs8v1().ok()?.as_ref().to_vec();
            let public = PublicKey::P256(point.as_ref().try_into().ok()?);
            Some(Self::new(TokenAlgorithm::Es256, public, private))
        })
    }

    fn new(algorithm: TokenAlgorithm, public: PublicKey, private: Vec<u8>) -> Self {
        let thumbprint = Sha256::digest(format!("{{{}}}", public.members()));
        let kid = URL_SAFE_NO_PAD.encode(thumbprint);
        Self { kid, algorithm, public, private: Zeroizing::new(private) }
    }

    /// Returns the private key in the format PKCS #8.
    #[must_use]
    pub fn private(&self) -> &[u8] {
        &self.private
    }

    /// Returns the public key as a JWK (RFC 7517) in JSON.
    #[must_use]
    pub fn jwk(&self) -> String {
        let (kid, algorithm) = (&self.kid, self.algorithm.name());
        format!(r#"{{{},"kid":"{kid}","alg":"{algorithm}","use":"sig"}}"#, self.public.members())
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenKey {{ kid: {} }}", self.kid)
    }
}
