//! Access tokens: JWT (RFC 7519) of the type `at+jwt` (RFC 9068), HS256 and nothing else.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{MAX_TOKEN, TokenPolicy, Verified};
use crate::domain::{Fault, Refusal, Timestamp};
use crate::keys::KeyRing;

const TYPE: &str = "at+jwt";

/// Issues and reads access tokens.
pub(super) struct AccessTokens {
    header: Header,
    signing: EncodingKey,
    verifying: Vec<(String, DecodingKey)>,
    validation: Validation,
    issuer: Arc<str>,
    audience: Arc<str>,
}

/// Every claim is required, each once, each of its type.
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
    pub(super) fn new(keys: &KeyRing, policy: &TokenPolicy) -> Self {
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(keys.signing().kid.clone()),
            ..Header::new(Algorithm::HS256)
        };
        // The library's own checks of claims are lenient; it checks the signature and we the claims.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self {
            header,
            signing: EncodingKey::from_secret(keys.signing().access_secret()),
            verifying: keys
                .iter()
                .map(|key| (key.kid.clone(), DecodingKey::from_secret(key.access_secret())))
                .collect(),
            validation,
            issuer: policy.issuer.as_str().into(),
            audience: policy.audience.as_str().into(),
        }
    }

    /// A new token.
    pub(super) fn issue(
        &self,
        user: Uuid,
        session: Uuid,
        now: Timestamp,
        end: Timestamp,
    ) -> Result<Zeroizing<String>, Fault> {
        let claims = Claims {
            iss: self.issuer.as_ref().to_owned(),
            aud: self.audience.as_ref().to_owned(),
            sub: user.to_string(),
            sid: session.to_string(),
            jti: Uuid::new_v4().to_string(),
            iat: now.seconds(),
            exp: end.seconds(),
        };
        jsonwebtoken::encode(&self.header, &claims, &self.signing).map(Zeroizing::new).map_err(Fault::internal)
    }

    /// What a genuine token says, expired or not.
    pub(super) fn read(&self, token: &[u8]) -> Result<Verified, Refusal> {
        if token.len() > MAX_TOKEN {
            return Err(Refusal::InvalidToken);
        }
        self.try_read(token).ok_or(Refusal::InvalidToken)
    }

    fn try_read(&self, token: &[u8]) -> Option<Verified> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let plain = header.typ.as_deref() == Some(TYPE)
            && header.crit.is_none()
            && header.jwk.is_none()
            && header.jku.is_none()
            && header.x5u.is_none()
            && header.x5c.is_none();
        let (_, key) = self.verifying.iter().find(|(kid, _)| header.kid.as_ref() == Some(kid)).filter(|_| plain)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation).ok()?.claims;
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

/// An instant that the wire can carry.
fn within(seconds: u64) -> Option<u64> {
    (seconds <= Timestamp::MAX_SECONDS).then_some(seconds)
}
