//! Tokens that are signed with a public-key algorithm, genuine and hostile, for the server, for the
//! local verifier of `user-proto` and for clients in other languages. Each is valid in every
//! respect that its name does not mention.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use user_server::keys::{Key, TokenAlgorithm, TokenKey};

use super::cases::{FOREIGN, SECRET, TokenCase};
use crate::token_oracle::sign;

/// Unix time in seconds at which the tokens are verified.
pub const NOW: u64 = 1_700_000_100;
/// Lifetime of the tokens in seconds.
pub const ACCESS_LIFE: u64 = 900;
const INVALID: &str = "INVALID_TOKEN";
const EXPIRED: &str = "TOKEN_EXPIRED";
/// Order of the group of Ed25519 (RFC 8032, section 5.1), little-endian.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
/// Order of the curve P-256 (SEC 2, section 2.4.2), big-endian.
const N: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Generator of the cases of one algorithm.
struct Genuine {
    key: Key,
    algorithm: TokenAlgorithm,
    header: String,
    claims: String,
}

impl Genuine {
    fn new(algorithm: TokenAlgorithm) -> Self {
        let key = Key::new(SECRET.as_bytes()).unwrap();
        let kid = &own(&key, algorithm).kid;
        let name = algorithm.name();
        let header = format!(r#"{{"typ":"at+jwt","alg":"{name}","kid":"{kid}"}}"#);
        let claims = concat!(
            r#"{"iss":"user-service","aud":"user-service","sub":"8f1f7b3e-8f43-4a42-9d8e-0c2a6f6f5a11","#,
            r#""sid":"0d4b6c1e-3f0a-4d5e-8c7b-9a1b2c3d4e5f","jti":"5b0e7f6a-1c2d-4e3f-a4b5-c6d7e8f90a1b","#,
            r#""iat":1700000000,"exp":1700000900}"#
        );
        Self { header, claims: claims.to_owned(), key, algorithm }
    }

    fn other(&self) -> TokenAlgorithm {
        match self.algorithm {
            TokenAlgorithm::EdDsa => TokenAlgorithm::Es256,
            _ => TokenAlgorithm::EdDsa,
        }
    }

    fn input(&self) -> String {
        format!("{}.{}", b64(&self.header), b64(&self.claims))
    }

    /// Returns a token of these parts, signed with `algorithm` and the keys of `key`.
    fn token(&self, header: &str, claims: &str, key: &Key, algorithm: TokenAlgorithm) -> String {
        let input = format!("{}.{}", b64(header), b64(claims));
        format!("{input}.{}", b64(sign(key, algorithm, input.as_bytes())))
    }

    /// Returns a token with a part of the header replaced, correctly signed.
    fn header(&self, from: &str, to: &str) -> String {
        assert!(self.header.contains(from), "{from}");
        self.token(&self.header.replacen(from, to, 1), &self.claims, &self.key, self.algorithm)
    }

    /// Returns a token with an additional header parameter, correctly signed.
    fn parameter(&self, more: &str) -> String {
        self.header(r#"{"typ""#, &format!(r#"{{{more},"typ""#))
    }

    /// Returns a token with a part of the claims replaced, correctly signed.
    fn claims(&self, from: &str, to: &str) -> String {
        assert!(self.claims.contains(from), "{from}");
        let claims = self.claims.replacen(from, to, 1);
        self.token(&self.header, &claims, &self.key, self.algorithm)
    }

    /// Returns the genuine header and claims with this signature.
    fn signature(&self, signature: impl AsRef<[u8]>) -> String {
        format!("{}.{}", self.input(), b64(signature))
    }

    /// Returns the genuine claims under a changed header, signed with HMAC-SHA256 and `secret`.
    fn hmac(&self, from: &str, to: &str, secret: &[u8]) -> String {
        let header = self.header.replacen(from, to, 1);
        let key = Key::new(secret).unwrap();
        self.token(&header, &self.claims, &key, TokenAlgorithm::Hs256)
    }
}

fn own(key: &Key, algorithm: TokenAlgorithm) -> &TokenKey {
    key.token_keys().iter().find(|key| key.algorithm == algorithm).unwrap()
}

/// Returns every case of an algorithm, in the order of the file.
pub fn all(algorithm: TokenAlgorithm) -> Vec<TokenCase> {
    let g = Genuine::new(algorithm);
    let genuine = g.token(&g.header, &g.claims, &g.key, algorithm);
    let ok = |name, description, token| TokenCase { name, description, reply: "OK", token };
    let expired = |name, description, token| TokenCase { name, description, reply: EXPIRED, token };
    let mut all = vec![
        ok("genuine", "nothing is wrong with it", genuine.clone()),
        ok("spaces", "spaces in its claims", g.claims("{", "{  ")),
        expired("expired", "exp is now", g.claims("1700000900", "1700000100")),
        expired("issued.ahead", "iat is 61 s in the future", {
            g.claims(r#""iat":1700000000,"exp":1700000900"#, r#""iat":1700000161,"exp":1700000901"#)
        }),
    ];
    let generators = [algorithms, parameters, signatures, claims];
    for (name, description, token) in generators.iter().flat_map(|generator| generator(&g)) {
        all.push(TokenCase { name, description, reply: INVALID, token });
    }
    all
}

type Case = (&'static str, &'static str, String);

fn algorithms(g: &Genuine) -> Vec<Case> {
    let name = g.algorithm.name();
    let (own, other) = (own(&g.key, g.algorithm), own(&g.key, g.other()));
    let alg = format!(r#""alg":"{name}""#);
    let hs256 = r#""alg":"HS256""#;
    let unsigned = |alg: &str| format!("{}.{}.", b64(g.header.replace(name, alg)), b64(&g.claims));
    let foreign = Key::new(FOREIGN.as_bytes()).unwrap();
    let other_header = g.header.replace(name, other.algorithm.name());
    vec![
        ("alg.none", "alg none and no signature", unsigned("none")),
        ("alg.none.signed", "alg none, signed", g.header(name, "none")),
        ("alg.unsigned", "no signature", unsigned(name)),
        ("alg.hs256.public.key", "alg HS256, and the HMAC is keyed with the public key", {
            g.hmac(&alg, hs256, own.public.bytes())
        }),
        ("alg.hs256.jwk", "alg HS256, and the HMAC is keyed with the public JWK", {
            g.hmac(&alg, hs256, own.jwk().as_bytes())
        }),
        ("alg.hs256.secret", "alg HS256, correctly signed with the secret, under this kid", {
            g.hmac(&alg, hs256, SECRET.as_bytes())
        }),
        ("alg.hs256.kid", "kid of the HS256 key of the same secret", {
            g.header(&own.kid, &g.key.kid)
        }),
        ("alg.other", "the other algorithm under this kid, correctly signed with its key", {
            g.token(&other_header, &g.claims, &g.key, other.algorithm)
        }),
        ("alg.other.label", "the name of the other algorithm, signed with this one", {
            g.header(name, other.algorithm.name())
        }),
        ("alg.other.kid", "kid of the key of the other algorithm", g.header(&own.kid, &other.kid)),
        ("alg.case", "alg in lower case", g.header(name, &name.to_lowercase())),
        ("alg.es384", "alg ES384", g.header(name, "ES384")),
        ("key.foreign", "signed with the key of another service, under this kid", {
            g.token(&g.header, &g.claims, &foreign, g.algorithm)
        }),
        ("key.unknown", "signed with the key of another service, under its kid", {
            let kid = &foreign.token_keys().iter().find(|key| key.algorithm == g.algorithm);
            let header = g.header.replace(&own.kid, &kid.unwrap().kid);
            g.token(&header, &g.claims, &foreign, g.algorithm)
        }),
        ("kid.missing", "no kid", g.header(&format!(r#","kid":"{}""#, own.kid), "")),
        ("kid.empty", "an empty kid", g.header(&own.kid, "")),
    ]
}

fn parameters(g: &Genuine) -> Vec<Case> {
    let foreign = Key::new(FOREIGN.as_bytes()).unwrap();
    let jwk = own(&foreign, g.algorithm).jwk();
    vec![
        ("header.jwk", "contains the key that signed it, which is foreign", {
            let header = g.header.replacen("{", &format!(r#"{{"jwk":{jwk},"#), 1);
            g.token(&header, &g.claims, &foreign, g.algorithm)
        }),
        ("header.jwk.own", "contains a key, correctly signed with the service's", {
            g.parameter(&format!(r#""jwk":{jwk}"#))
        }),
        ("header.jku", "points to a key set", g.parameter(r#""jku":"https://evil.example/jwks""#)),
        ("header.x5u", "points to a certificate", g.parameter(r#""x5u":"https://evil.example/x""#)),
        ("header.crit", "a critical extension", g.parameter(r#""crit":["exp"]"#)),
        ("header.crit.null", "crit null", g.parameter(r#""crit":null"#)),
        ("header.jwk.null", "jwk null", g.parameter(r#""jwk":null"#)),
        ("header.unknown.null", "an unknown member that is null", g.parameter(r#""abc":null"#)),
        ("header.b64", "an unencoded payload (RFC 7797)", g.parameter(r#""b64":false"#)),
        ("header.typ", "typ JWT", g.header("at+jwt", "JWT")),
        ("header.typ.missing", "no typ", g.header(r#""typ":"at+jwt","#, "")),
    ]
}

fn signatures(g: &Genuine) -> Vec<Case> {
    let input = g.input();
    let genuine = sign(&g.key, g.algorithm, input.as_bytes());
    let mut flipped = genuine.clone();
    flipped[40] ^= 1;
    let with = |first: &[u8], last: &[u8]| g.signature([first, last].concat());
    let mut cases = vec![
        ("signature.empty", "an empty signature", g.signature("")),
        ("signature.flipped", "one bit of the signature differs", g.signature(&flipped)),
        ("signature.short", "63 bytes", g.signature(&genuine[..63])),
        ("signature.long", "65 bytes", g.signature([&genuine[..], &[0]].concat())),
        ("signature.zeros", "64 zeros", g.signature([0; 64])),
        ("signature.of.claims", "a signature over the claims only", {
            g.signature(sign(&g.key, g.algorithm, b64(&g.claims).as_bytes()))
        }),
        ("signature.padded", "base64 with padding", format!("{}==", g.signature(&genuine))),
        ("signature.trailing.bits", "base64 with unused bits set", {
            let mut token = g.signature(&genuine).into_bytes();
            // The last character of 64 bytes has two significant bits.
            let last = token.last_mut().unwrap();
            *last = match *last {
                b'A' => b'B',
                b'Q' => b'R',
                b'g' => b'h',
                _ => b'x',
            };
            String::from_utf8(token).unwrap()
        }),
        ("signature.four.parts", "a fourth part", format!("{}.", g.signature(&genuine))),
    ];
    if g.algorithm == TokenAlgorithm::EdDsa {
        let (r, s) = genuine.split_at(32);
        let mut identity = [0; 32];
        identity[0] = 1;
        cases.extend([
            ("signature.s.plus.l", "S is S + L, which is not reduced", {
                with(r, &plus_little_endian(s, &L))
            }),
            ("signature.r.identity", "R is the neutral element, S is 0", with(&identity, &[0; 32])),
            ("signature.r.low.order", "R has the order 2, S is 0", {
                let mut point = [0xff; 32];
                (point[0], point[31]) = (0xec, 0x7f);
                with(&point, &[0; 32])
            }),
        ]);
    } else {
        let (r, s) = genuine.split_at(32);
        cases.extend([
            ("signature.der", "the signature in DER", g.signature(der(r, s))),
            ("signature.r.zero", "r is 0", with(&[0; 32], s)),
            ("signature.s.zero", "s is 0", with(r, &[0; 32])),
            ("signature.s.order", "s is the order of the curve", with(r, &N)),
            ("signature.r.order", "r is the order of the curve", with(&N, s)),
            ("signature.swapped", "s comes first", with(s, r)),
        ]);
    }
    cases
}

fn claims(g: &Genuine) -> Vec<Case> {
    let genuine = g.token(&g.header, &g.claims, &g.key, g.algorithm);
    let signature = genuine.rsplit_once('.').unwrap().1;
    let changed = g.claims.replace("8f1f7b3e", "8f1f7b3f");
    vec![
        ("claims.changed", "another user, with the signature of the genuine token", {
            format!("{}.{}.{signature}", b64(&g.header), b64(changed))
        }),
        ("claims.iss", "another issuer", g.claims(r#""iss":"user"#, r#""iss":"uzer"#)),
        ("claims.aud", "another audience", g.claims(r#""aud":"user"#, r#""aud":"uzer"#)),
        ("claims.aud.list", "the audience is a list", {
            g.claims(r#""aud":"user-service""#, r#""aud":["user-service"]"#)
        }),
        (
            "claims.sub.missing",
            "no sub",
            g.claims(r#""sub":"8f1f7b3e-8f43-4a42-9d8e-0c2a6f6f5a11","#, ""),
        ),
        (
            "claims.sid.missing",
            "no sid",
            g.claims(r#""sid":"0d4b6c1e-3f0a-4d5e-8c7b-9a1b2c3d4e5f","#, ""),
        ),
        (
            "claims.jti.missing",
            "no jti",
            g.claims(r#""jti":"5b0e7f6a-1c2d-4e3f-a4b5-c6d7e8f90a1b","#, ""),
        ),
        ("claims.exp.missing", "no exp", g.claims(r#","exp":1700000900"#, "")),
        ("claims.iat.missing", "no iat", g.claims(r#""iat":1700000000,"#, "")),
        ("claims.exp.text", "exp is a string", g.claims("1700000900", r#""1700000900""#)),
        ("claims.exp.fraction", "exp is a fraction", g.claims("1700000900", "1700000900.5")),
        ("claims.exp.large", "exp is over 2^53-1", g.claims("1700000900", "9007199254740992")),
        (
            "claims.exp.twice",
            "exp occurs twice",
            g.claims(r#""exp""#, r#""exp":9007199254740991,"exp""#),
        ),
        ("claims.sid.not.uuid", "sid is not a UUID", g.claims("0d4b6c1e-3f0a", "0d4b6c1e-3f0x")),
        ("claims.values", "the claims are a list of the values in their order", {
            let claims: serde_json::Value = serde_json::from_str(&g.claims).unwrap();
            let names = ["iss", "aud", "sub", "sid", "jti", "iat", "exp"];
            let values = serde_json::json!(names.map(|name| &claims[name])).to_string();
            g.token(&g.header, &values, &g.key, g.algorithm)
        }),
        ("claims.list", "the claims are a list", { g.token(&g.header, "[]", &g.key, g.algorithm) }),
    ]
}

/// Adds two numbers of 32 bytes, the lowest first. The result must not overflow.
fn plus_little_endian(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let sum = a.iter().zip(b).map(|(a, b)| {
        let sum = u16::from(*a) + u16::from(*b) + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    });
    sum.collect()
}

/// Encodes an ECDSA signature in DER (RFC 3279, section 2.2.3).
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let leading = number.iter().take_while(|byte| **byte == 0).count();
        let number = &number[leading..];
        let sign: &[u8] = if number[0] >= 0x80 { &[0] } else { &[] };
        let length = u8::try_from(sign.len() + number.len()).unwrap();
        [&[2, length], sign, number].concat()
    };
    let numbers = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(numbers.len()).unwrap()], numbers.as_slice()].concat()
}
