//! Tokens and keys that must not be accepted.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use user_proto::verifier::{Verifier, VerifyError};

use super::service::{Service, until};
use super::signer::{Claims, LIFE, Signer, encode, id};

fn check(verifier: &Verifier, token: impl AsRef<[u8]>) -> Result<(), VerifyError> {
    verifier.verify_local(token).expect("a verdict in memory").map(drop)
}

/// Returns a copy of `value` with a member changed, or removed by `Value::Null`.
fn with(mut value: Value, name: &str, new: Value) -> String {
    let object = value.as_object_mut().unwrap();
    if new.is_null() {
        object.remove(name)
    } else {
        object.insert(name.to_owned(), new)
    };
    value.to_string()
}

#[tokio::test]
async fn tokens_of_both_algorithms_are_valid_in_any_spelling() {
    let signers = Signer::both();
    let verifier = Service::start(&signers).await;
    let verifier = (verifier.ready().await, verifier).0;
    for signer in &signers {
        let claims = Claims::default();
        let token = signer.issue(&claims);
        let verified = verifier.verify_local(&token).unwrap().unwrap();
        assert_eq!((verified.user_id, verified.session_id), (claims.user, claims.session));
        assert_eq!(verified.issued_at, claims.issued_at);
        assert_eq!(verified.expires_at, claims.expires_at);
        assert_eq!(verified.stale, None);
        let spelled =
            format!(" {}\n", signer.header()).replace(":", " : ").replace("typ", "\\u0074yp");
        assert_eq!(check(&verifier, signer.assemble(&spelled, &claims.json().to_string())), Ok(()));
    }
}

#[tokio::test]
async fn a_header_must_be_exactly_that_of_an_access_token() {
    let signers = Signer::both();
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    for signer in &signers {
        let claims = Claims::default().json().to_string();
        let header = signer.header();
        let other = if signer.alg() == "EdDSA" { "ES256" } else { "EdDSA" };
        let mut headers: Vec<String> = [other, "none", "HS256", "RS256", "eddsa", "Ed25519", ""]
            .map(|alg| with(header.clone(), "alg", alg.into()))
            .to_vec();
        for typ in ["JWT", "jwt", "AT+JWT", "application/at+jwt", ""] {
            headers.push(with(header.clone(), "typ", typ.into()));
        }
        for missing in ["typ", "alg"] {
            headers.push(with(header.clone(), missing, Value::Null));
        }
        for (name, value) in [
            ("crit", json!(["exp"])),
            ("crit", json!([])),
            ("jwk", signer.jwk()),
            ("jku", json!("https://example.org/keys")),
            ("x5u", json!("https://example.org/keys")),
            ("x5c", json!([])),
            ("cty", json!("JWT")),
            ("b64", json!(false)),
            ("zip", json!("DEF")),
            ("nonce", json!("x")),
            ("x", json!(1)),
        ] {
            headers.push(with(header.clone(), name, value));
        }
        let text = header.to_string();
        headers.push(text.replacen('{', r#"{"crit":null,"#, 1));
        for name in ["typ", "alg", "kid"] {
            let duplicate = format!(r#"{{"{name}":{},"#, header[name]);
            headers.push(text.replacen('{', &duplicate, 1));
        }
        headers.push(json!(["at+jwt", signer.alg(), signer.kid()]).to_string());
        headers.push(format!("{text}x"));
        headers.push(format!("{text}{text}"));
        headers.push("{}".to_owned());
        headers.push(String::new());
        for header in headers {
            let token = signer.assemble(&header, &claims);
            assert_eq!(check(&verifier, &token), Err(VerifyError::Invalid), "{header}");
        }
    }
}

#[tokio::test]
async fn every_claim_is_required_once_and_with_its_type() {
    let signers = Signer::both();
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    for signer in &signers {
        let header = signer.header().to_string();
        let claims = Claims::default().json();
        let mut texts = Vec::new();
        for name in ["iss", "aud", "sub", "sid", "jti", "iat", "exp"] {
            texts.push(with(claims.clone(), name, Value::Null));
            texts.push(with(claims.clone(), name, json!(true)));
            texts.push(with(claims.clone(), name, json!([claims[name]])));
            texts.push(with(claims.clone(), name, json!("")));
            let duplicate = format!(r#"{{"{name}":{},"#, claims[name]);
            texts.push(claims.to_string().replacen('{', &duplicate, 1));
        }
        for (name, value) in [
            ("iss", json!("user-servicf")),
            ("iss", json!("user-service ")),
            ("aud", json!("other")),
            ("aud", json!(["user-service"])),
            ("sub", json!("not-a-uuid")),
            ("sid", json!("not-a-uuid")),
            ("jti", json!("not-a-uuid")),
            ("iat", json!(-1)),
            ("iat", json!(1.5)),
            ("exp", json!("1795478400")),
            ("exp", json!(1e30)),
            ("exp", json!((1_u64 << 53))),
        ] {
            texts.push(with(claims.clone(), name, value));
        }
        texts.push("[]".to_owned());
        texts.push(
            json!([
                "user-service",
                "user-service",
                claims["sub"],
                claims["sid"],
                claims["jti"],
                claims["iat"],
                claims["exp"]
            ])
            .to_string(),
        );
        texts.push(format!("{claims},"));
        for text in texts {
            let token = signer.assemble(&header, &text);
            // The configuration of the verifier may be wrong, so the service decides.
            let is_other = |value: &Value| value.is_string() && value != "user-service";
            let value: Value = serde_json::from_str(&text).unwrap_or_default();
            let asks = is_other(&value["iss"]) || is_other(&value["aud"]);
            let expected = (!asks).then_some(Err(VerifyError::Invalid));
            let verdict = verifier.verify_local(&token).map(|verdict| verdict.map(drop));
            assert_eq!(verdict, expected, "{text}");
        }
        // A claim that is not known changes nothing, as in the service.
        let token = signer.assemble(&header, &with(claims.clone(), "scope", json!("a")));
        assert_eq!(check(&verifier, &token), Ok(()));
    }
}

#[tokio::test]
async fn signatures_are_checked_strictly() {
    let signers = Signer::both();
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    for signer in &signers {
        let token = signer.token();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = base64_decode(signature);
        let other = signer.token();
        let (other_signed, _) = other.rsplit_once('.').unwrap();
        let refused = |signed: &str, signature: &[u8], name: &str| {
            let token = format!("{signed}.{}", encode(signature));
            assert_eq!(check(&verifier, &token), Err(VerifyError::Invalid), "{name}");
        };
        refused(other_signed, &signature, "signature over other bytes");
        for bit in 0..8 * signature.len() {
            let mut changed = signature.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            refused(signed, &changed, "changed bit");
        }
        refused(signed, &[], "no signature");
        refused(signed, &[0; 64], "zero");
        refused(signed, &[&[0; 32], &signature[32..]].concat(), "first half zero");
        refused(signed, &[&signature[..32], &[0; 32]].concat(), "second half zero");
        refused(signed, &signature[..63], "too short");
        refused(signed, &[&signature[..], &[0]].concat(), "too long");
        refused(signed, &der(&signature), "DER");
        let order = match signer {
            Signer::EdDsa(..) => ED25519_ORDER_LE.to_vec(),
            Signer::Es256(..) => P256_ORDER_BE.to_vec(),
        };
        let (first, second) = signature.split_at(32);
        match signer {
            Signer::EdDsa(..) => {
                let s = add_le(second, &order);
                refused(signed, &[first, &s].concat(), "S + L");
                for r in small_order_points() {
                    refused(signed, &[&r[..], second].concat(), "R of small order");
                    refused(signed, &[&r[..], &[0; 32]].concat(), "R of small order, S 0");
                }
            }
            Signer::Es256(..) => {
                refused(signed, &[first, &order[..]].concat(), "s = n");
                refused(signed, &[&order[..], second].concat(), "r = n");
            }
        }
        // HMAC with the public key as its secret, whatever its encoding.
        let public = signer.public_key();
        for secret in
            [public.clone(), encode(&public).into_bytes(), signer.jwk().to_string().into_bytes()]
        {
            for alg in ["HS256", signer.alg()] {
                let header = with(signer.header(), "alg", alg.into());
                let signed = format!(
                    "{}.{}",
                    encode(header.as_bytes()),
                    encode(Claims::default().json().to_string().as_bytes())
                );
                let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
                refused(&signed, hmac::sign(&key, signed.as_bytes()).as_ref(), "HMAC");
            }
        }
        // A key of the same algorithm and kid that is not the one of the service.
        let foreign = match signer {
            Signer::EdDsa(..) => Signer::eddsa(signer.kid()),
            Signer::Es256(..) => Signer::es256(signer.kid()),
        };
        assert_eq!(check(&verifier, foreign.token()), Err(VerifyError::Invalid));
        assert_eq!(check(&verifier, token), Ok(()));
    }
    // The kid of the other algorithm.
    let [ed, es] = &signers;
    for (signer, other) in [(ed, es), (es, ed)] {
        for alg in [ed.alg(), es.alg()] {
            let header = json!({ "typ": "at+jwt", "alg": alg, "kid": other.kid() }).to_string();
            let token = signer.assemble(&header, &Claims::default().json().to_string());
            assert_eq!(check(&verifier, token), Err(VerifyError::Invalid));
        }
    }
}

#[tokio::test]
async fn base64_and_the_number_of_parts_are_canonical() {
    let signers = Signer::both();
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    for signer in &signers {
        let token = signer.token();
        let mut texts: Vec<Vec<u8>> = vec![
            vec![],
            b".".to_vec(),
            b"..".to_vec(),
            format!("{token}.").into_bytes(),
            format!(".{token}").into_bytes(),
            format!("{token}.{token}").into_bytes(),
            format!("{token}=").into_bytes(),
            format!("{token}==").into_bytes(),
            format!("{token} ").into_bytes(),
            format!("{token}\n").into_bytes(),
            format!("Bearer {token}").into_bytes(),
            token.replace('.', "=.").into_bytes(),
            token.replace('.', "\n.").into_bytes(),
            [token.as_bytes(), &[0xff]].concat(),
        ];
        // 64 bytes leave two bits of the last character unused.
        let last = token.as_bytes()[token.len() - 1];
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let value = DIGITS.iter().position(|digit| *digit == last).unwrap();
        for unused in 1..16 {
            let mut changed = token.clone().into_bytes();
            let at = changed.len() - 1;
            changed[at] = DIGITS[value & !15 | (value + unused) & 15];
            texts.push(changed);
        }
        for text in texts {
            assert_eq!(check(&verifier, &text), Err(VerifyError::Invalid), "{text:?}");
        }
        // Padding with a claim that is not known, up to the maximum length and beyond it.
        let padded = |size: usize| {
            let claims = with(Claims::default().json(), "pad", "x".repeat(size).into());
            signer.assemble(&signer.header().to_string(), &claims)
        };
        let sizes = (0..2_000).map(padded).filter(|token| token.len() > 2_040).take(12);
        for token in sizes {
            let expected = if token.len() <= 2_048 { Ok(()) } else { Err(VerifyError::Invalid) };
            assert_eq!(check(&verifier, &token), expected, "{}", token.len());
        }
        assert_eq!(check(&verifier, vec![b'a'; 1 << 20]), Err(VerifyError::Invalid));
    }
}

#[tokio::test]
async fn times_are_checked_without_leeway() {
    let signers = Signer::both();
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    let signer = &signers[0];
    let now = Claims::default().issued_at;
    let token = |issued_at, expires_at| {
        signer.issue(&Claims { issued_at, expires_at, ..Claims::default() })
    };
    let times = |issued_at, expires_at| check(&verifier, token(issued_at, expires_at));
    assert_eq!(times(now, now + LIFE), Ok(()));
    // The lifetime may have been raised, so the service decides.
    assert_eq!(verifier.verify_local(token(now, now + LIFE + 1)), None);
    assert_eq!(verifier.verify_local(token(0, now + 100)), None);
    assert_eq!(times(now - LIFE - 1, now), Err(VerifyError::Expired), "whatever its lifetime");
    assert_eq!(times(now - LIFE, now), Err(VerifyError::Expired));
    assert_eq!(times(now - 10, now - 1), Err(VerifyError::Expired));
    assert_eq!(times(now + 55, now + 100), Ok(()));
    assert_eq!(times(now + 65, now + 100), Err(VerifyError::Expired), "from the future");
    assert_eq!(times(now + 100, now + 50), Err(VerifyError::Expired), "from the future");
    assert_eq!(times(0, 0), Err(VerifyError::Expired));
}

#[tokio::test]
async fn keys_that_do_not_fit_are_not_used() {
    let signers = Signer::both();
    let service = Service::start(&[]).await;
    let mut entries = Vec::new();
    for signer in &signers {
        let jwk = signer.jwk();
        let other = if signer.alg() == "EdDSA" { "ES256" } else { "EdDSA" };
        for (name, value) in [
            ("kty", json!("oct")),
            ("kty", json!("RSA")),
            ("kty", Value::Null),
            ("crv", json!("Ed448")),
            ("crv", json!("P-384")),
            ("crv", json!("secp256k1")),
            ("crv", Value::Null),
            ("alg", json!(other)),
            ("alg", json!("HS256")),
            ("alg", json!("none")),
            ("alg", Value::Null),
            ("use", json!("enc")),
            ("use", Value::Null),
            ("kid", json!("")),
            ("kid", json!(7)),
            ("kid", Value::Null),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!("verify")),
            ("d", json!(encode(&[1; 32]))),
            ("k", json!(encode(&[1; 32]))),
            ("x", json!("")),
            ("x", json!("AAAA")),
            ("x", json!(format!("{}=", jwk["x"].as_str().unwrap()))),
            ("x", json!(encode(&[0; 32]))),
            ("x", json!(encode(&[0xff; 32]))),
            ("x", Value::Null),
        ] {
            entries.push(with(jwk.clone(), name, value));
        }
    }
    entries.push(with(signers[1].jwk(), "y", json!(encode(&[3; 32]))));
    for point in small_order_points() {
        entries.push(with(signers[0].jwk(), "x", json!(encode(&point))));
    }
    entries.extend(["1", "null", "[]", "\"key\""].map(str::to_owned));
    let oct = json!({ "kty": "oct", "alg": "HS256", "use": "sig", "kid": "ed", "k": "AAAA" });
    entries.push(oct.to_string());
    service.script().jwks = format!(r#"{{"keys":[{}]}}"#, entries.join(","));
    let verifier = service.ready().await;
    assert_eq!(verifier.status().keys, 0, "{:?}", verifier.status());
    assert!(!verifier.ready());
}

#[tokio::test]
async fn two_different_keys_of_one_kid_are_both_left_out() {
    let keys = [Signer::eddsa("a"), Signer::eddsa("a"), Signer::es256("a"), Signer::eddsa("b")];
    let service = Service::start(&keys).await;
    let verifier = service.ready().await;
    assert_eq!(verifier.status().keys, 1);
    for key in &keys[..3] {
        assert_eq!(verifier.verify_local(key.token()), None, "an unknown kid");
    }
    assert_eq!(check(&verifier, keys[3].token()), Ok(()));
    // The same key twice, with members that are not known.
    let twice = format!(
        r#"{{"x":1,"keys":[{},{}]}}"#,
        keys[0].jwk(),
        with(keys[0].jwk(), "ext", json!(true))
    );
    service.script().jwks = twice;
    let other = service.ready().await;
    assert_eq!(check(&other, keys[0].token()), Ok(()));
}

#[tokio::test]
async fn a_malformed_key_set_replaces_nothing() {
    let signers = Signer::both();
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    for jwks in ["", "x", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#] {
        let asked = service.script().keys_asked;
        service.script().jwks = jwks.to_owned();
        service.push(4, id().to_string().as_bytes(), 0);
        until(|| service.script().keys_asked > asked).await;
        until(|| verifier.status().last_error.is_some()).await;
        assert_eq!(check(&verifier, signers[0].token()), Ok(()), "{jwks}");
        service.script().jwks = super::signer::jwks(&signers);
        until(|| verifier.status().last_error.is_none()).await;
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn base64_decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Encodes a signature of 64 bytes as an ASN.1 sequence of two integers.
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let mut value = bytes.to_vec();
        while value.len() > 1 && value[0] == 0 {
            value.remove(0);
        }
        if value[0] & 0x80 != 0 {
            value.insert(0, 0);
        }
        [&[2, value.len() as u8], &value[..]].concat()
    };
    let content = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [&[0x30, content.len() as u8], &content[..]].concat()
}

/// Order of the base point of Ed25519, little-endian.
const ED25519_ORDER_LE: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
/// Order of the base point of P-256, big-endian.
const P256_ORDER_BE: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn add_le(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    a.iter()
        .zip(b)
        .map(|(a, b)| {
            let sum = u16::from(*a) + u16::from(*b) + carry;
            carry = sum >> 8;
            sum as u8
        })
        .collect()
}

/// Every encoding of a point of small order, canonical or not, with either sign.
fn small_order_points() -> Vec<[u8; 32]> {
    [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
    .iter()
    .flat_map(|text| {
        let mut point = [0; 32];
        for (at, byte) in point.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
        }
        let mut negative = point;
        negative[31] |= 0x80;
        [point, negative]
    })
    .collect()
}
