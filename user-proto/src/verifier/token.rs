//! Parsing of access tokens: JWTs in the compact form (RFC 7519), of the type `at+jwt`.
//!
//! The header has exactly the members `typ`, `alg` and `kid`, and every claim is required, with its
//! type and not twice. The spelling of the JSON does not matter. base64 is accepted in its one
//! canonical form only.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use uuid::Uuid;

use super::keys::Algorithm;
use crate::limits;

/// Maximum length of a token in bytes.
pub(super) const MAX_TOKEN: usize = 2_048;
const TYPE: &str = "at+jwt";

/// A token that has been split, with its decoded header. Nothing in it has been verified.
pub(super) struct Token<'a> {
    /// Encoded header, dot and encoded claims.
    pub(super) signed: &'a [u8],
    claims: &'a [u8],
    pub(super) signature: Vec<u8>,
    pub(super) kid: String,
    alg: String,
}

/// The claims that a verifier uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) user_id: Uuid,
    pub(super) session_id: Uuid,
    pub(super) issued_at: u64,
    pub(super) expires_at: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct ClaimsText<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    aud: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(borrow)]
    sid: Cow<'a, str>,
    #[serde(borrow)]
    jti: Cow<'a, str>,
    iat: u64,
    exp: u64,
}

/// Error if a genuine token is for another issuer or audience.
pub(super) struct OtherIssuer;

impl ClaimsText<'_> {
    fn parse(&self) -> Option<Claims> {
        Uuid::try_parse(&self.jti).ok()?;
        let instant = |seconds: u64| (seconds <= limits::MAX_INSTANT).then_some(seconds);
        Some(Claims {
            user_id: Uuid::try_parse(&self.sub).ok()?,
            session_id: Uuid::try_parse(&self.sid).ok()?,
            issued_at: instant(self.iat)?,
            expires_at: instant(self.exp)?,
        })
    }
}

impl<'a> Token<'a> {
    /// Splits a token and decodes its header. Returns `None` if it is not an access token.
    pub(super) fn parse(token: &'a [u8]) -> Option<Self> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let dot = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'.');
        let (signed, signature) = token.split_at_checked(dot(token)?)?;
        let (header, claims) = signed.split_at_checked(dot(signed)?)?;
        let header: Header = object(&URL_SAFE_NO_PAD.decode(header).ok()?)?;
        if header.typ != TYPE || header.kid.len() > limits::MAX_KID {
            return None;
        }
        Some(Self {
            signed,
            claims: claims.strip_prefix(b".")?,
            signature: URL_SAFE_NO_PAD.decode(signature.strip_prefix(b".")?).ok()?,
            kid: header.kid,
            alg: header.alg,
        })
    }

    /// Returns `true` if the header names this algorithm.
    pub(super) fn names(&self, algorithm: Algorithm) -> bool {
        self.alg == algorithm.name()
    }

    /// Returns the claims, or `None` if one is missing or malformed. The signature must have been
    /// verified.
    ///
    /// # Errors
    /// If the token is for another issuer or audience.
    pub(super) fn claims(
        &self,
        issuer: &str,
        audience: &str,
    ) -> Result<Option<Claims>, OtherIssuer> {
        let Ok(text) = URL_SAFE_NO_PAD.decode(self.claims) else { return Ok(None) };
        let Some(claims) = object::<ClaimsText<'_>>(&text) else { return Ok(None) };
        if claims.iss != issuer || claims.aud != audience {
            return Err(OtherIssuer);
        }
        Ok(claims.parse())
    }
}

/// Parses a JSON object. serde would also accept an array with the values of the members in order.
fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    let first = json.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(json).ok()
}
