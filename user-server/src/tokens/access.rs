//! Access tokens: JWT (RFC 7519) of the type `at+jwt` (RFC 9068), HS256 and nothing else. They are
//! read in two ways: the fast one accepts only what this service writes, byte for byte; the slow
//! one is the referee, and alone refuses.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::exact::Exact;
use super::{MAX_TOKEN, TokenPolicy, Verified};
use crate::domain::{Fault, Refusal, SessionRecord, Timestamp};
use crate::keys::{Key, KeyRing};

const TYPE: &str = "at+jwt";

/// Issues and reads access tokens.
pub(super) struct AccessTokens {
    pub(super) keys: Arc<KeyRing>,
    /// One a key of the ring, in its order.
    forms: Vec<Form>,
    validation: Validation,
    issuer: Arc<str>,
    audience: Arc<str>,
}

/// The tokens of one key.
struct Form {
    header: Header,
    signing: EncodingKey,
    verifying: DecodingKey,
    exact: Exact,
}

/// Every claim is required, each once, each of its type. The fast verifier relies on their order.
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

impl AccessTokens {
    pub(super) fn new(keys: &Arc<KeyRing>, policy: &TokenPolicy) -> Result<Self, Fault> {
        // The library's own checks of claims are lenient; it checks the signature and we the
        // claims.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let forms: Option<Vec<Form>> = keys.iter().map(|key| Form::new(key, policy)).collect();
        Ok(Self {
            keys: keys.clone(),
            forms: forms
                .ok_or_else(|| Fault::internal("the form of tokens cannot be written down"))?,
            validation,
            issuer: policy.issuer.as_str().into(),
            audience: policy.audience.as_str().into(),
        })
    }

    /// The forms of the keys that are not retired.
    fn good_forms(&self) -> impl Iterator<Item = &Form> {
        self.forms
            .iter()
            .zip(self.keys.iter())
            .filter(|(_, key)| !key.is_retired())
            .map(|(form, _)| form)
    }

    /// The token of a session, signed with the key of this name. Under an idempotency key it is the
    /// same token again.
    pub(super) fn issue(
        &self,
        session: &SessionRecord,
        kid: &str,
        once: Option<Uuid>,
        now: Timestamp,
        end: Timestamp,
    ) -> Result<Zeroizing<String>, Fault> {
        let mut good = self
            .forms
            .iter()
            .zip(self.keys.iter())
            .filter(|(_, key)| !key.is_retired() && key.kid == kid);
        let (form, key) = good.next().ok_or_else(|| Fault::Unavailable(NO_KEY.to_owned()))?;
        let jti = once.map_or_else(Uuid::new_v4, |once| {
            key.token_id(&[once.as_bytes(), session.id.as_bytes()])
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

    /// What a genuine token says, expired or not.
    pub(super) fn read(&self, token: &[u8]) -> Result<Verified, Refusal> {
        self.read_fast(token).or_else(|| self.read_slow(token)).ok_or(Refusal::InvalidToken)
    }

    pub(super) fn read_fast(&self, token: &[u8]) -> Option<Verified> {
        self.good_forms().find_map(|form| form.exact.read(token))
    }

    pub(super) fn read_slow(&self, token: &[u8]) -> Option<Verified> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let header = jsonwebtoken::decode_header(token).ok()?;
        // As we write it, in whatever spelling: no other algorithm or type, no `crit`, no key that
        // the token brings along.
        let form = self.good_forms().find(|form| form.header == header)?;
        let claims =
            jsonwebtoken::decode::<Claims>(token, &form.verifying, &self.validation).ok()?.claims;
        if *claims.iss != *self.issuer || *claims.aud != *self.audience {
            return None;
        }
        Uuid::try_parse(&claims.jti).ok()?;
        Some(Verified {
            user_id: Uuid::try_parse(&claims.sub).ok()?,
            session_id: Uuid::try_parse(&claims.sid).ok()?,
            issued_at: within(claims.iat)?,
            expires_at: within(claims.exp)?,
            stale: None,
        })
    }
}

/// What the log is told where every key is retired.
pub(super) const NO_KEY: &str =
    "every key is retired; set another JWTSECRETKEY, from user-server keys new";

impl Form {
    fn new(key: &Key, policy: &TokenPolicy) -> Option<Self> {
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(key.kid.clone()),
            ..Header::new(Algorithm::HS256)
        };
        let secret = key.access_secret();
        let exact = Exact::new(
            secret,
            &serde_json::to_vec(&header).ok()?,
            &policy.issuer,
            &policy.audience,
        )?;
        Some(Self {
            header,
            signing: EncodingKey::from_secret(secret),
            verifying: DecodingKey::from_secret(secret),
            exact,
        })
    }
}

/// An instant that the wire can carry.
fn within(seconds: u64) -> Option<u64> {
    (seconds <= Timestamp::MAX_SECONDS).then_some(seconds)
}
