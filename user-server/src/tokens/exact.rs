//! The fast verifier of access tokens. It accepts only tokens that are byte for byte as this
//! service writes them, and parses their variable fields in place. A token with such a header and a
//! wrong signature is refused. Any other token is passed to the reference verifier, which decides.
//!
//! Everything before the first claim that varies is the same text for every token of a key, issuer
//! and audience. It is compared as a whole, and its share of the HMAC or hash is computed once.
//! Nothing after it is parsed before the signature has been verified, so the SIMD decoder only ever
//! sees text that this service wrote.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64_simd::AsOut as _;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use super::recent::{self, FormId};
use super::seen::SeenTokens;
use super::{MAX_TOKEN, Verified};
use crate::keys::PublicKey;

const SID: &[u8] = br#"","sid":""#;
const JTI: &[u8] = br#"","jti":""#;
const IAT: &[u8] = br#"","iat":"#;
const EXP: &[u8] = br#","exp":"#;
const END: &[u8] = b"}";
/// Length of a UUID with hyphens, in bytes.
const ID: usize = 36;
/// Number of digits of a Unix time in seconds, for all times from 2001 to 2286.
const SECONDS: usize = 10;
/// Length of the variable part of the claims, from the first id to the end, in bytes.
const VARIABLE: usize =
    3 * ID + SID.len() + JTI.len() + IAT.len() + EXP.len() + 2 * SECONDS + END.len();
/// Maximum number of bytes of the constant claims after their last complete base64 group.
const MAX_CARRY: usize = 2;
const TAG: usize = 32;
const TAG_TEXT: usize = 43;
/// Length in bytes of a signature by EdDSA (RFC 8032) or ES256 (RFC 7518, section 3.4).
const SIGNATURE: usize = 64;
const SIGNATURE_TEXT: usize = 86;

/// Verdict of the fast verifier on a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Valid(Verified),
    /// The header is that of this key, and the signature is not one of this key.
    Forged,
    /// The token is not byte for byte as this service writes it. The reference verifier decides.
    OtherForm,
}

/// Exact byte layout of the access tokens that are signed with one key.
pub(super) struct ExactForm {
    id: FormId,
    /// Length in bytes of the encoded header and its dot, with which `prefix` begins.
    header: usize,
    /// Encoded header, dot, and encoded constant claims up to their last complete base64 group.
    prefix: Box<[u8]>,
    signature: Signature,
    /// Constant claims after their last complete base64 group, not encoded.
    carry: Box<[u8]>,
    /// Length of the encoded claims after `prefix`, in bytes.
    variable: usize,
}

/// Check of the signature of a token.
pub(super) enum Signature {
    /// HMAC state after the prefix of a token, from which its signature is computed.
    Hmac(Hmac<Sha256>),
    /// Public key, and the tokens with signatures that it has verified before.
    Public(ParsedPublicKey, SeenTokens),
}

impl Signature {
    /// Creates the check of signatures with HS256.
    pub(super) fn hmac(secret: &[u8]) -> Option<Self> {
        Hmac::<Sha256>::new_from_slice(secret).ok().map(Self::Hmac)
    }

    /// Creates the check of signatures with EdDSA or ES256.
    pub(super) fn public(key: &PublicKey) -> Option<Self> {
        let parsed = match key {
            PublicKey::Ed25519(point) => ParsedPublicKey::new(&ED25519, point),
            PublicKey::P256(point) => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point),
        };
        Some(Self::Public(parsed.ok()?, SeenTokens::new()))
    }

    /// Sets the text with which every token begins.
    fn begin(&mut self, prefix: &[u8]) {
        match self {
            Self::Hmac(mac) => mac.update(prefix),
            Self::Public(_, seen) => seen.begin(prefix),
        }
    }
}

impl ExactForm {
    /// Creates the layout of tokens with this header (in JSON) and signature. Returns `None` if
    /// they cannot be encoded.
    pub(super) fn new(
        mut signature: Signature,
        header: &[u8],
        issuer: &str,
        audience: &str,
    ) -> Option<Self> {
        let json = |text: &str| serde_json::to_string(text).ok();
        let claims = format!(r#"{{"iss":{},"aud":{},"sub":""#, json(issuer)?, json(audience)?);
        let (groups, carry) = claims.as_bytes().split_at_checked(claims.len() / 3 * 3)?;
        let mut prefix = URL_SAFE_NO_PAD.encode(header);
        prefix.push('.');
        URL_SAFE_NO_PAD.encode_string(groups, &mut prefix);
        signature.begin(prefix.as_bytes());
        let variable = base64::encoded_len(carry.len() + VARIABLE, false)?;
        let header = base64::encoded_len(header.len(), false)? + 1;
        let prefix = prefix.into_bytes().into();
        Some(Self { id: FormId::new(), header, prefix, signature, carry: carry.into(), variable })
    }

    /// Returns the claims of a token that has exactly this layout and a valid signature. A
    /// signature is verified once at most, so that a forged token costs no more than that.
    pub(super) fn read(&self, token: &[u8]) -> Reading {
        let has_header = self.prefix.get(..self.header).is_some_and(|text| token.starts_with(text));
        if !has_header || token.len() > MAX_TOKEN {
            return Reading::OtherForm;
        }
        let text = token.strip_prefix(&*self.prefix);
        if let Some(verified) = text.and_then(|text| recent::get(self.id, text)) {
            return Reading::Valid(verified);
        }
        let reading = self.verify(token, text);
        if let (Some(text), Reading::Valid(verified)) = (text, reading) {
            recent::insert(self.id, text, verified);
        }
        reading
    }

    /// Verifies the signature of a token that this thread does not remember. `text` is the token
    /// after the prefix, if it begins with it.
    fn verify(&self, token: &[u8], text: Option<&[u8]>) -> Reading {
        match (&self.signature, text.and_then(|text| self.parts(text))) {
            (Signature::Hmac(mac), Some((claims, signature))) => {
                let Some(tag) = decoded::<TAG, TAG_TEXT>(signature) else {
                    return Reading::OtherForm;
                };
                let mut mac = mac.clone();
                mac.update(claims);
                if mac.verify_slice(&tag).is_err() {
                    return Reading::Forged;
                }
                self.decode(claims).map_or(Reading::OtherForm, Reading::Valid)
            }
            // The reference verifier costs little more.
            (Signature::Hmac(_), None) => Reading::OtherForm,
            (Signature::Public(key, seen), parts) => {
                let digest = parts.and(text).map(|text| seen.digest(text));
                if let Some(verified) = digest.as_ref().and_then(|digest| seen.get(digest)) {
                    return Reading::Valid(verified);
                }
                if !is_signed(key, token) {
                    return Reading::Forged;
                }
                let (Some((claims, _)), Some(digest)) = (parts, digest) else {
                    return Reading::OtherForm;
                };
                let Some(verified) = self.decode(claims) else { return Reading::OtherForm };
                seen.insert(digest, verified);
                Reading::Valid(verified)
            }
        }
    }

    /// Returns the variable part of the claims and the signature, both encoded, of a token after
    /// the prefix, if it has this layout up to there.
    fn parts<'a>(&self, text: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let (claims, signature) = text.split_at_checked(self.variable)?;
        Some((claims, signature.strip_prefix(b".")?))
    }

    /// Decodes and parses claims after their signature has been verified.
    fn decode(&self, claims: &[u8]) -> Option<Verified> {
        let mut text = [0; VARIABLE + MAX_CARRY];
        let text =
            base64_simd::URL_SAFE_NO_PAD.decode(claims, text.as_mut_slice().as_out()).ok()?;
        self.parse(text)
    }

    fn parse(&self, text: &[u8]) -> Option<Verified> {
        let (user_id, text) = id(text.strip_prefix(&*self.carry)?)?;
        let (session_id, text) = id(text.strip_prefix(SID)?)?;
        let (_, text) = id(text.strip_prefix(JTI)?)?;
        let (issued_at, text) = seconds(text.strip_prefix(IAT)?)?;
        let (expires_at, text) = seconds(text.strip_prefix(EXP)?)?;
        (text == END).then_some(Verified {
            user_id,
            session_id,
            issued_at,
            expires_at,
            stale: None,
        })
    }
}

/// Returns `true` if a token ends with a signature of this key over everything before it.
fn is_signed(key: &ParsedPublicKey, token: &[u8]) -> bool {
    let dot = token.iter().rposition(|byte| *byte == b'.');
    let parts = dot.and_then(|dot| token.split_at_checked(dot));
    parts.is_some_and(|(signed, signature)| {
        let signature = signature.get(1..).and_then(decoded::<SIGNATURE, SIGNATURE_TEXT>);
        signature.is_some_and(|signature| key.verify_sig(signed, &signature).is_ok())
    })
}

/// Decodes `N` bytes from their canonical base64 text of `TEXT` characters.
fn decoded<const N: usize, const TEXT: usize>(text: &[u8]) -> Option<[u8; N]> {
    let text: &[u8; TEXT] = text.try_into().ok()?;
    let mut bytes = [0; N];
    URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

fn id(text: &[u8]) -> Option<(Uuid, &[u8])> {
    let (id, rest) = text.split_first_chunk::<ID>()?;
    Some((Uuid::try_parse_ascii(id).ok()?, rest))
}

fn seconds(text: &[u8]) -> Option<(u64, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<SECONDS>()?;
    // A JSON number does not begin with a zero.
    let valid = digits.iter().all(u8::is_ascii_digit) && digits.first() != Some(&b'0');
    let number = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit & 0x0f));
    valid.then_some((number, rest))
}
