//! Keys of a service, and tokens that are signed with them.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

/// Lifetime of the tokens in seconds.
pub(super) const LIFE: u64 = 900;

pub(super) enum Signer {
    EdDsa(Ed25519KeyPair, String),
    Es256(EcdsaKeyPair, String),
}

impl Signer {
    pub(super) fn eddsa(kid: &str) -> Self {
        Self::EdDsa(Ed25519KeyPair::generate().unwrap(), kid.to_owned())
    }

    pub(super) fn es256(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self::Es256(pair, kid.to_owned())
    }

    /// One signer of each algorithm.
    pub(super) fn both() -> [Self; 2] {
        [Self::eddsa("ed"), Self::es256("es")]
    }

    pub(super) fn kid(&self) -> &str {
        match self {
            Self::EdDsa(_, kid) | Self::Es256(_, kid) => kid,
        }
    }

    pub(super) fn alg(&self) -> &'static str {
        match self {
            Self::EdDsa(..) => "EdDSA",
            Self::Es256(..) => "ES256",
        }
    }

    /// Returns the public key: 32 bytes of Ed25519, or 65 of an uncompressed point.
    pub(super) fn public_key(&self) -> Vec<u8> {
        match self {
            Self::EdDsa(pair, _) => pair.public_key().as_ref().to_vec(),
            Self::Es256(pair, _) => pair.public_key().as_ref().to_vec(),
        }
    }

    pub(super) fn jwk(&self) -> Value {
        let key = self.public_key();
        let (kid, alg) = (self.kid(), self.alg());
        match self {
            Self::EdDsa(..) => json!({
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": kid, "alg": alg,
                "x": encode(&key)
            }),
            Self::Es256(..) => json!({
                "kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "alg": alg,
                "x": encode(&key[1..33]), "y": encode(&key[33..])
            }),
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::EdDsa(pair, _) => pair.sign(message).as_ref().to_vec(),
            Self::Es256(pair, _) => {
                pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
            }
        }
    }

    pub(super) fn header(&self) -> Value {
        json!({ "typ": "at+jwt", "alg": self.alg(), "kid": self.kid() })
    }

    /// Returns a valid token.
    pub(super) fn token(&self) -> String {
        self.issue(&Claims::default())
    }

    pub(super) fn issue(&self, claims: &Claims) -> String {
        self.assemble(&self.header().to_string(), &claims.json().to_string())
    }

    /// Returns a signed token with any header and claims.
    pub(super) fn assemble(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let signature = encode(&self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Claims {
    pub(super) user: Uuid,
    pub(super) session: Uuid,
    pub(super) issued_at: u64,
    pub(super) expires_at: u64,
}

impl Default for Claims {
    fn default() -> Self {
        let now = unix_ms() / 1000;
        Self { user: id(), session: id(), issued_at: now, expires_at: now + LIFE }
    }
}

impl Claims {
    pub(super) fn json(&self) -> Value {
        json!({
            "iss": "user-service", "aud": "user-service", "sub": self.user.to_string(),
            "sid": self.session.to_string(), "jti": id().to_string(),
            "iat": self.issued_at, "exp": self.expires_at
        })
    }
}

/// Returns a new UUID.
pub(super) fn id() -> Uuid {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    Uuid::from_bytes(bytes)
}

pub(super) fn jwks(signers: &[Signer]) -> String {
    json!({ "keys": signers.iter().map(Signer::jwk).collect::<Vec<_>>() }).to_string()
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}
