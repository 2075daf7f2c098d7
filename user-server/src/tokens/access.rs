//! Access tokens: JWT (RFC 7519) of the type `at+jwt` (RFC 9068). There are two verifiers. The fast
//! verifier accepts only tokens that are byte for byte as this service writes them, and refuses
//! those with such a header and a wrong signature. Any other token is passed to the reference
//! verifier, the jsonwebtoken library.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::exact::{ExactForm, Reading, Signature};
use super::{MAX_TOKEN, TokenPolicy, Verified};
use crate::domain::{Fault, Refusal, SessionRecord, Timestamp};
use crate::keys::{Key, KeyRing, PublicKey, TokenAlgorithm};

const TYPE: &str = "at+jwt";

/// Issuer and verifier of access tokens.
pub(super) struct AccessTokens {
    pub(super) keys: Arc<KeyRing>,
    /// Token forms of each server key, in the order of `keys`. The first form of a key is the one
    /// that signs.
    forms: Vec<Vec<TokenForm>>,
    issuer: Arc<str>,
    audience: Arc<str>,
}

/// JWT header, keys and exact byte layout of the tokens of one server key and algorithm.
struct TokenForm {
    header: Header,
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    exact: ExactForm,
}

/// JWT claims of an access token. Every claim is required, exactly once and with its type. The fast
/// verifier relies on their order.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    sid: String,
    jti: String,
    iat: u64,
    exp: u64,
}

/// Header of an access token. Every member is required, and no other one is accepted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenHeader {
    typ: String,
    alg: Algorithm,
    kid: String,
}

impl TokenHeader {
    fn is(&self, header: &Header) -> bool {
        header.typ.as_ref() == Some(&self.typ)
            && header.kid.as_ref() == Some(&self.kid)
            && header.alg == self.alg
    }
}

impl AccessTokens {
    pub(super) fn new(keys: &Arc<KeyRing>, policy: &TokenPolicy) -> Result<Self, Fault> {
        let forms_of = |key| {
            let algorithms = policy.algorithms();
            algorithms.map(|algorithm| TokenForm::new(key, algorithm, policy)).collect()
        };
        let forms: Option<Vec<Vec<TokenForm>>> = keys.iter().map(forms_of).collect();
        Ok(Self {
            keys: keys.clone(),
            forms: forms
                .ok_or_else(|| Fault::internal("cannot encode the header or claims of a token"))?,
            issuer: policy.issuer.as_str().into(),
            audience: policy.audience.as_str().into(),
        })
    }

    /// Returns the token forms of the server keys that are not retired.
    fn active_forms(&self) -> impl Iterator<Item = &TokenForm> {
        self.forms
            .iter()
            .zip(self.keys.iter())
            .filter(|(_, key)| !key.is_retired())
            .flat_map(|(forms, _)| forms)
    }

    /// Issues an access token of a session, valid from `now` to `end` and signed with the server
    /// key named `kid`. With an idempotency key, the same arguments always produce the same claims.
    ///
    /// # Errors
    /// `Unavailable` if the key is retired or missing; `Internal` if the token cannot be encoded.
    pub(super) fn issue(
        &self,
        session: &SessionRecord,
        kid: &str,
        idempotency_key: Option<Uuid>,
        now: Timestamp,
        end: Timestamp,
    ) -> Result<Zeroizing<String>, Fault> {
        let mut usable = self
            .forms
            .iter()
            .zip(self.keys.iter())
            .filter(|(_, key)| !key.is_retired() && key.kid == kid);
        let (forms, key) = usable.next().ok_or_else(|| Fault::Unavailable(NO_KEY.to_owned()))?;
        let form = forms.first().ok_or_else(|| Fault::internal("no algorithm signs"))?;
        let jti = idempotency_key.map_or_else(Uuid::new_v4, |idempotency_key| {
            key.token_id(&[idempotency_key.as_bytes(), session.id.as_bytes()])
        });
        let claims = Claims {
            iss: self.issuer.as_ref().to_owned(),
            aud: self.audience.as_ref().to_owned(),
            sub: session.user_id.to_string(),
            sid: session.id.to_string(),
            jti: jti.to_string(),
            iat: now.seconds(),
            exp: end.seconds(),
        };
        jsonwebtoken::encode(&form.header, &claims, &form.signing)
            .map(Zeroizing::new)
            .map_err(Fault::internal)
    }

    /// Returns the claims of a genuine access token, even if it has expired. Does not check
    /// revocations.
    pub(super) fn read(&self, token: &[u8]) -> Result<Verified, Refusal> {
        let verified = match self.read_fast(token) {
            Reading::Valid(verified) => Some(verified),
            Reading::Forged => None,
            Reading::OtherForm => self.read_reference(token),
        };
        verified.ok_or(Refusal::InvalidToken)
    }

    pub(super) fn read_fast(&self, token: &[u8]) -> Reading {
        let mut readings = self.active_forms().map(|form| form.exact.read(token));
        readings.find(|found| *found != Reading::OtherForm).unwrap_or(Reading::OtherForm)
    }

    pub(super) fn read_reference(&self, token: &[u8]) -> Option<Verified> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        // Exactly these header members, in any JSON spelling: no other algorithm or type, no
        // `crit`, no key that the token itself contains.
        let mut parts = token.split(|byte| *byte == b'.');
        let header: TokenHeader = object(&URL_SAFE_NO_PAD.decode(parts.next()?).ok()?)?;
        let form = self.active_forms().find(|form| header.is(&form.header))?;
        // The library would also accept an array with the values of the claims in order.
        if first_character(&URL_SAFE_NO_PAD.decode(parts.next()?).ok()?) != Some(b'{') {
            return None;
        }
        let claims =
            jsonwebtoken::decode::<Claims>(token, &form.verifying, &form.validation).ok()?.claims;
        if *claims.iss != *self.issuer || *claims.aud != *self.audience {
            return None;
        }
        Uuid::try_parse(&claims.jti).ok()?;
        Some(Verified {
            user_id: Uuid::try_parse(&claims.sub).ok()?,
            session_id: Uuid::try_parse(&claims.sid).ok()?,
            issued_at: representable(claims.iat)?,
            expires_at: representable(claims.exp)?,
            stale: None,
        })
    }
}

/// Error message if every server key is retired.
pub(super) const NO_KEY: &str =
    "every key is retired; set JWTSECRETKEY to a new secret, which user-server keys new prints";

impl TokenForm {
    /// Creates the form of the tokens of a server key that are signed with an algorithm. Returns
    /// `None` if the header or the constant claims cannot be encoded.
    fn new(key: &Key, algorithm: TokenAlgorithm, policy: &TokenPolicy) -> Option<Self> {
        let derived = key.token_keys().iter().find(|key| key.algorithm == algorithm);
        let (name, signing, verifying) = match derived.map(|key| (&key.public, key.private())) {
            None => {
                let secret = key.access_secret();
                let signing = EncodingKey::from_secret(secret);
                (Algorithm::HS256, signing, DecodingKey::from_secret(secret))
            }
            Some((PublicKey::Ed25519(point), private)) => {
                let signing = EncodingKey::from_ed_der(private);
                (Algorithm::EdDSA, signing, DecodingKey::from_ed_der(point))
            }
            Some((PublicKey::P256(point), private)) => {
                let signing = EncodingKey::from_ec_der(private);
                (Algorithm::ES256, signing, DecodingKey::from_ec_der(point))
            }
        };
        let kid = derived.map_or(&key.kid, |key| &key.kid);
        let header =
            Header { typ: Some(TYPE.to_owned()), kid: Some(kid.clone()), ..Header::new(name) };
        let signature = match derived {
            None => Signature::hmac(key.access_secret())?,
            Some(key) => Signature::public(&key.public)?,
        };
        let json = serde_json::to_vec(&header).ok()?;
        let exact = ExactForm::new(signature, &json, &policy.issuer, &policy.audience)?;
        // The library is lenient about claims, so it verifies only the signature.
        let mut validation = Validation::new(name);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Some(Self { header, signing, verifying, validation, exact })
    }
}

/// Parses a JSON object. serde would also accept an array with the values of the members in order.
fn object<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    if first_character(json) != Some(b'{') {
        return None;
    }
    serde_json::from_slice(json).ok()
}

fn first_character(json: &[u8]) -> Option<u8> {
    json.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// Returns a Unix time in seconds, or `None` if the protocol cannot represent it.
fn representable(seconds: u64) -> Option<u64> {
    (seconds <= Timestamp::MAX_SECONDS).then_some(seconds)
}
