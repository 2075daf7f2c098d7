//! The property of any bytes presented as an access token: the fast verifier and the reference
//! verifier return the same verdict. The fuzz target `tokens` and the tests call the same function,
//! so that a finding of the fuzzer becomes a regression test. Depends on no other test module,
//! because the fuzz crate includes this file.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use user_server::domain::Timestamp;
use user_server::keys::{Key, KeyRing, TokenAlgorithm};
use user_server::tokens::{TokenPolicy, Verifiers};
use uuid::Uuid;

/// Secret known to the fuzzer. Edited tokens are signed again, so that more than the check of the
/// signature is exercised.
const SECRET: &[u8] = b"the secret that the fuzzer knows, of 41 B";
const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// Both verifiers with a known key, and a genuine token with its decoded header and claims.
pub struct TokenOracle {
    algorithm: TokenAlgorithm,
    verifiers: Verifiers,
    genuine: String,
    header: Vec<u8>,
    claims: Vec<u8>,
}

/// Returns the policy of a server that signs with this algorithm and accepts all.
pub fn policy(signing: TokenAlgorithm) -> TokenPolicy {
    TokenPolicy {
        issuer: "user-service".to_owned(),
        audience: "user-service".to_owned(),
        access_life: Duration::from_secs(900),
        session_idle: Duration::from_secs(900),
        session_life: Duration::from_secs(900),
        signing,
        accepted: TokenAlgorithm::ALL.to_vec(),
    }
}

impl TokenOracle {
    /// Creates the verifiers of a server that signs with this algorithm and accepts all.
    pub fn new(algorithm: TokenAlgorithm) -> Self {
        let other = Key::new(&[9; 32]).unwrap();
        let keys = Arc::new(KeyRing::new(Key::new(SECRET).unwrap(), vec![other]));
        let policy = policy(algorithm);
        let verifiers = Verifiers::new(&keys, &policy).unwrap();
        let end = NOW.plus(policy.access_life);
        let token = verifiers
            .issue(Uuid::from_bytes([0xA5; 16]), Uuid::from_bytes([0x3C; 16]), NOW, end)
            .unwrap();
        let genuine = token.as_str().to_owned();
        let part = |index| URL_SAFE_NO_PAD.decode(genuine.split('.').nth(index).unwrap()).unwrap();
        let (header, claims) = (part(0), part(1));
        let oracle = Self { algorithm, verifiers, genuine, header, claims };
        assert!(
            oracle.verifiers.fast(oracle.genuine.as_bytes()).is_some(),
            "the fast verifier accepts an issued token"
        );
        oracle
    }

    /// Checks one input of the fuzzer. The first byte selects what the remaining bytes edit: the
    /// token, its claims, its header, both, or their text.
    ///
    /// # Panics
    /// If the verifiers disagree.
    pub fn check(&self, data: &[u8]) {
        let Some((mode, rest)) = data.split_first() else { return };
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let signing_input = self.genuine.rsplit_once('.').unwrap().0;
        let signed = |input: &[u8]| self.signed(input);
        let token = match mode % 8 {
            0 => rest.to_vec(),
            1 => edited(self.genuine.as_bytes(), rest),
            2 => signed(
                format!("{}.{}", part(&self.header), part(&edited(&self.claims, rest))).as_bytes(),
            ),
            3 => signed(
                format!("{}.{}", part(&edited(&self.header, rest)), part(&self.claims)).as_bytes(),
            ),
            4 => signed(format!("{}.{}", part(&self.header), part(rest)).as_bytes()),
            5 => signed(format!("{}.{}", part(rest), part(&self.claims)).as_bytes()),
            6 => signed(&edited(signing_input.as_bytes(), rest)),
            _ => {
                let (header, claims) = rest.split_at(rest.len() / 2);
                let (header, claims) = (edited(&self.header, header), edited(&self.claims, claims));
                signed(format!("{}.{}", part(&header), part(&claims)).as_bytes())
            }
        };
        self.assert_same_verdict(&token);
    }

    fn assert_same_verdict(&self, token: &[u8]) {
        let (fast, reference) = (self.verifiers.fast(token), self.verifiers.reference(token));
        // The fast verifier remembers tokens after their second check.
        for _ in 0..2 {
            assert_eq!(self.verifiers.fast(token), fast);
        }
        if self.verifiers.is_forged(token) {
            assert_eq!((fast, reference), (None, None), "{}", String::from_utf8_lossy(token));
        }
        if fast.is_some() || self.is_canonical(token) {
            assert_eq!(fast, reference, "{}", String::from_utf8_lossy(token));
        }
    }

    /// Returns whether a token is written exactly as the service writes its own, whatever key it is
    /// signed with.
    fn is_canonical(&self, token: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(token) else { return false };
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, _] = parts.as_slice() else { return false };
        let Ok(claims) = URL_SAFE_NO_PAD.decode(claims) else { return false };
        let Ok(Value::Object(object)) = serde_json::from_slice(&claims) else { return false };
        let id = |name: &str| {
            object.get(name).and_then(Value::as_str).filter(|id| Uuid::try_parse(id).is_ok())
        };
        let time = |name: &str| {
            object.get(name).and_then(Value::as_u64).filter(|time| time.to_string().len() == 10)
        };
        let (Some(sub), Some(sid), Some(jti)) = (id("sub"), id("sid"), id("jti")) else {
            return false;
        };
        let (Some(iat), Some(exp)) = (time("iat"), time("exp")) else { return false };
        let canonical = format!(
            r#"{{"iss":"user-service","aud":"user-service","sub":"{sub}","sid":"{sid}","jti":"{jti}","iat":{iat},"exp":{exp}}}"#
        );
        let hyphens = [sub, sid, jti].iter().all(|id| id.len() == 36);
        hyphens && canonical.as_bytes() == claims && *header == URL_SAFE_NO_PAD.encode(&self.header)
    }

    fn signed(&self, input: &[u8]) -> Vec<u8> {
        let key = Key::new(SECRET).unwrap();
        let signature = URL_SAFE_NO_PAD.encode(sign(&key, self.algorithm, input));
        [input, b".", signature.as_bytes()].concat()
    }

    /// Checks a genuine token with the given ids and times, and the same token with one byte
    /// changed.
    pub fn check_issued(&self, ids: [u128; 2], times: [u32; 2], position: usize, byte: u8) {
        let [user, session] = ids.map(Uuid::from_u128);
        let [now, end] = times.map(|seconds| Timestamp(i64::from(seconds) * 1000));
        let token = self.verifiers.issue(user, session, now, end).unwrap();
        let mut token = token.as_bytes().to_vec();
        let access = self.verifiers.reference(&token).expect("genuine");
        assert_eq!((access.user_id, access.session_id), (user, session));
        self.assert_same_verdict(&token);
        let position = position % token.len();
        token[position] = byte;
        self.assert_same_verdict(&token);
    }

    /// Checks that a wrong signature under a header of the service is refused without the reference
    /// verifier, so that its check costs one verification.
    pub fn check_forged(&self) {
        let (signed, signature) = self.genuine.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        for bit in 0..8 * signature.len() {
            let mut changed = signature.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(changed));
            assert!(self.verifiers.is_forged(token.as_bytes()), "bit {bit}");
        }
        let (header, claims) = signed.split_once('.').unwrap();
        let encoded = URL_SAFE_NO_PAD.encode(&signature);
        let at = claims.len() - 9;
        let other = if &claims[at..=at] == "A" { "B" } else { "A" };
        let claims = format!("{}{other}{}", &claims[..at], &claims[at + 1..]);
        let token = format!("{header}.{claims}.{encoded}");
        assert!(self.verifiers.is_forged(token.as_bytes()), "other claims");
        // Claims in another form than those of the service.
        let token = format!("{header}.e30.{encoded}");
        let is_hmac = self.algorithm == TokenAlgorithm::Hs256;
        assert_eq!(self.verifiers.is_forged(token.as_bytes()), !is_hmac);
        assert!(self.verifiers.reference(token.as_bytes()).is_none());
        assert!(!self.verifiers.is_forged(self.genuine.as_bytes()));
    }
}

/// Applies a script of edits to a text. An edit is an operation, a position, and a byte.
fn edited(text: &[u8], script: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for edit in script.chunks_exact(4).take(16) {
        let [op, high, low, byte] = *edit else { break };
        let position = usize::from(u16::from_be_bytes([high, low])) % (text.len() + 1);
        let length = usize::from(byte).min(text.len() - position);
        match op % 5 {
            0 if position < text.len() => text[position] = byte,
            1 => text.insert(position, byte),
            2 => drop(text.drain(position..position + length)),
            3 => {
                let again = text[position..position + length].to_vec();
                text.extend(again);
            }
            // Replaces one character of the alphabet of ids and numbers by another.
            _ if position < text.len() => {
                text[position] = b"0123456789abcdefABCDEF-\", :{}u\\."[usize::from(byte) % 32]
            }
            _ => {}
        }
    }
    text
}

/// Signs any bytes with a server key and an algorithm.
pub fn sign(key: &Key, algorithm: TokenAlgorithm, input: &[u8]) -> Vec<u8> {
    let private = key.token_keys().iter().find(|key| key.algorithm == algorithm);
    match (algorithm, private.map(|key| key.private())) {
        (TokenAlgorithm::EdDsa, Some(private)) => {
            Ed25519KeyPair::from_pkcs8(private).unwrap().sign(input).as_ref().to_vec()
        }
        (TokenAlgorithm::Es256, Some(private)) => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private);
            pair.unwrap().sign(&SystemRandom::new(), input).unwrap().as_ref().to_vec()
        }
        _ => {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.access_secret()).unwrap();
            mac.update(input);
            mac.finalize().into_bytes().to_vec()
        }
    }
}
