//! The fast verifier of access tokens. It compares a token with the bytes that this service itself
//! writes for one key and parses the variable fields in place. It accepts nothing else; a token
//! that it does not accept is left to the reference verifier, which alone refuses.
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
/// Length of a UUID with its hyphens.
const ID: usize = 36;
/// Number of digits of every Unix time from 2001 to 2286, in seconds.
const SECONDS: usize = 10;
/// Length of the claims from the first id to the end.
const VARIABLE: usize =
    3 * ID + SID.len() + JTI.len() + IAT.len() + EXP.len() + 2 * SECONDS + END.len();
/// The most bytes that follow the last complete base64 group of the constant claims.
const MAX_CARRY: usize = 2;
const TAG: usize = 32;
const TAG_TEXT: usize = 43;

/// Exact byte layout of the tokens of one key.
pub(super) struct ExactForm {
    /// Header, dot, and the constant claims up to their last complete base64 group.
    prefix: Box<[u8]>,
    /// State of the HMAC after `prefix`.
    mac: Hmac<Sha256>,
    /// The constant claims after the last complete base64 group.
    carry: Box<[u8]>,
    /// Length of the encoded claims after `prefix`.
    variable: usize,
}

impl ExactForm {
    /// Creates the layout of tokens with this header (in JSON), signed with `secret`.
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

    /// Returns the claims of a token that has exactly this layout and a valid signature.
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
