//! The fast verifier of access tokens. It accepts only tokens that are byte for byte as this
//! service writes them, and parses their variable fields in place. Any other token is passed to the
//! reference verifier, which decides.
//!
//! Everything before the first claim that varies is the same text for every token of a key, issuer
//! and audience. It is compared as a whole, and its share of the HMAC is computed once. Nothing
//! after it is parsed before the signature has been verified, so the SIMD decoder only ever sees
//! text that this service wrote.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64_simd::AsOut as _;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use super::{MAX_TOKEN, Verified};

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

/// Exact byte layout of the access tokens that are signed with one server key.
pub(super) struct ExactForm {
    /// Encoded header, dot, and encoded constant claims up to their last complete base64 group.
    prefix: Box<[u8]>,
    /// HMAC state after `prefix`, from which the signature of each token is computed.
    mac: Hmac<Sha256>,
    /// Constant claims after their last complete base64 group, not encoded.
    carry: Box<[u8]>,
    /// Length of the encoded claims after `prefix`, in bytes.
    variable: usize,
}

impl ExactForm {
    /// Creates the layout of tokens with this header (in JSON), signed with `secret`. Returns
    /// `None` if they cannot be encoded.
    pub(super) fn new(secret: &[u8], header: &[u8], issuer: &str, audience: &str) -> Option<Self> {
        let json = |text: &str| serde_json::to_string(text).ok();
        let claims = format!(r#"{{"iss":{},"aud":{},"sub":""#, json(issuer)?, json(audience)?);
        let (groups, carry) = claims.as_bytes().split_at_checked(claims.len() / 3 * 3)?;
        let mut prefix = URL_SAFE_NO_PAD.encode(header);
        prefix.push('.');
        URL_SAFE_NO_PAD.encode_string(groups, &mut prefix);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
        mac.update(prefix.as_bytes());
        let variable = base64::encoded_len(carry.len() + VARIABLE, false)?;
        Some(Self { prefix: prefix.into_bytes().into(), mac, carry: carry.into(), variable })
    }

    /// Returns the claims of a token that has exactly this layout and a valid signature, otherwise
    /// `None`.
    pub(super) fn read(&self, token: &[u8]) -> Option<Verified> {
        let rest = token.strip_prefix(&*self.prefix).filter(|_| token.len() <= MAX_TOKEN)?;
        let (claims, signature) = rest.split_at_checked(self.variable)?;
        let signature: &[u8; TAG_TEXT] = signature.strip_prefix(b".")?.try_into().ok()?;
        let mut tag = [0; TAG];
        URL_SAFE_NO_PAD.decode_slice(signature, &mut tag).ok()?;
        let mut mac = self.mac.clone();
        mac.update(claims);
        mac.verify_slice(&tag).ok()?;
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
