//! The fast verifier of an access token: the bytes that this service itself writes for one key,
//! compared and taken apart in place. It accepts nothing else, and whatever it does not accept is
//! left to the reference verifier, which alone refuses.
//!
//! All that precedes the first claim that differs between tokens is one text for a key, issuer and
//! audience. It is compared whole, and its part of the HMAC is computed once. Nothing behind it is
//! looked at before the signature was right, so that what is taken apart by vector units is text of
//! our own.

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
/// An id with its hyphens.
const ID: usize = 36;
/// The digits of every second from 2001 to 2286.
const SECONDS: usize = 10;
/// From the first id to the end.
const VARIES: usize =
    3 * ID + SID.len() + JTI.len() + IAT.len() + EXP.len() + 2 * SECONDS + END.len();
/// The bytes of three that a boundary of base64 can leave over.
const MOST_CARRY: usize = 2;
const TAG: usize = 32;
const TAG_TEXT: usize = 43;

/// The form of the tokens of one key.
pub(super) struct Exact {
    /// Header, dot, and the claims up to the last boundary of base64 before the first id.
    start: Box<[u8]>,
    /// The HMAC after `start`.
    mac: Hmac<Sha256>,
    /// What of the claims is between that boundary and the first id.
    carry: Box<[u8]>,
    /// How much text the claims after `start` take.
    varies: usize,
}

impl Exact {
    /// The form of tokens with this header (in JSON), signed with `secret`.
    pub(super) fn new(secret: &[u8], header: &[u8], issuer: &str, audience: &str) -> Option<Self> {
        let json = |text: &str| serde_json::to_string(text).ok();
        let claims = format!(r#"{{"iss":{},"aud":{},"sub":""#, json(issuer)?, json(audience)?);
        let (whole, carry) = claims.as_bytes().split_at_checked(claims.len() / 3 * 3)?;
        let mut start = URL_SAFE_NO_PAD.encode(header);
        start.push('.');
        URL_SAFE_NO_PAD.encode_string(whole, &mut start);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
        mac.update(start.as_bytes());
        let varies = base64::encoded_len(carry.len() + VARIES, false)?;
        Some(Self { start: start.into_bytes().into(), mac, carry: carry.into(), varies })
    }

    /// What a token says that has exactly this form and a right signature.
    pub(super) fn read(&self, token: &[u8]) -> Option<Verified> {
        let rest = token.strip_prefix(&*self.start).filter(|_| token.len() <= MAX_TOKEN)?;
        let (claims, signature) = rest.split_at_checked(self.varies)?;
        let signature: &[u8; TAG_TEXT] = signature.strip_prefix(b".")?.try_into().ok()?;
        let mut tag = [0; TAG];
        URL_SAFE_NO_PAD.decode_slice(signature, &mut tag).ok()?;
        let mut mac = self.mac.clone();
        mac.update(claims);
        mac.verify_slice(&tag).ok()?;
        let mut text = [0; VARIES + MOST_CARRY];
        let text =
            base64_simd::URL_SAFE_NO_PAD.decode(claims, text.as_mut_slice().as_out()).ok()?;
        self.take_apart(text)
    }

    fn take_apart(&self, text: &[u8]) -> Option<Verified> {
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
    // A number of JSON does not begin with a zero.
    let good = digits.iter().all(u8::is_ascii_digit) && digits.first() != Some(&b'0');
    let number = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit & 0x0f));
    good.then_some((number, rest))
}
