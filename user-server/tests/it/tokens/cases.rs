//! Hostile tokens, and how each is made. Except for the first few, each is valid in every respect
//! that its name does not mention.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};
use user_server::keys::Key;

/// Secret of the server that the vectors are for.
pub const SECRET: &str = "the secret of the vectors: thirty-two bytes and more";
/// Another secret, unknown to the server.
pub const FOREIGN: &str = "a secret of somebody else: thirty-two bytes and more";

/// A token, what is wrong with it, and the reply of a server.
pub struct TokenCase {
    pub name: &'static str,
    pub description: &'static str,
    pub reply: &'static str,
    pub token: String,
}

const INVALID: &str = "INVALID_TOKEN";

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

macro_rules! tag {
    ($hash:ty, $secret:expr, $input:expr) => {{
        let mut mac = Hmac::<$hash>::new_from_slice($secret).unwrap();
        mac.update($input);
        b64(mac.finalize().into_bytes())
    }};
}

fn sign(input: &str) -> String {
    format!("{input}.{}", tag!(Sha256, SECRET.as_bytes(), input.as_bytes()))
}

/// Returns a token of these parts, correctly signed.
fn signed_token(header: &str, claims: &str) -> String {
    sign(&format!("{}.{}", b64(header), b64(claims)))
}

/// Time in seconds at which the replies are given.
pub const NOW: u64 = 1_700_000_100;

struct Genuine {
    kid: String,
    header: String,
    claims: String,
    token: String,
}

impl Genuine {
    fn new() -> Self {
        let kid = Key::new(SECRET.as_bytes()).unwrap().kid;
        let header = format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":"{kid}"}}"#);
        let claims = concat!(
            r#"{"iss":"user-service","aud":"user-service","sub":"8f1f7b3e-8f43-4a42-9d8e-0c2a6f6f5a11","#,
            r#""sid":"0d4b6c1e-3f0a-4d5e-8c7b-9a1b2c3d4e5f","jti":"5b0e7f6a-1c2d-4e3f-a4b5-c6d7e8f90a1b","#,
            r#""iat":1700000000,"exp":4102444800}"#
        );
        Self { token: signed_token(&header, claims), kid, header, claims: claims.to_owned() }
    }

    /// Returns a token with a part of the header replaced.
    fn header(&self, from: &str, to: &str) -> String {
        assert!(self.header.contains(from), "{from}");
        signed_token(&self.header.replacen(from, to, 1), &self.claims)
    }

    /// Returns a token with an additional header parameter.
    fn parameter(&self, more: &str) -> String {
        self.header(r#"{"typ""#, &format!(r#"{{{more},"typ""#))
    }

    /// Returns a token with a part of the claims replaced.
    fn claims(&self, from: &str, to: &str) -> String {
        assert!(self.claims.contains(from), "{from}");
        signed_token(&self.header, &self.claims.replacen(from, to, 1))
    }

    /// Returns a token of `length` bytes, with spaces that JSON allows. Three spaces become four
    /// bytes, so the claims alone do not reach every length.
    fn of_length(&self, length: usize) -> String {
        let spaced =
            |json: &str, spaces: usize| json.replacen('{', &format!("{{{}", " ".repeat(spaces)), 1);
        let most = (length - self.token.len()) * 3 / 4;
        let mut tries = (0..4)
            .flat_map(|header| (most - 4..=most + 1).map(move |claims| (header, claims - header)));
        let token = tries.find_map(|(header, claims)| {
            let token = signed_token(&spaced(&self.header, header), &spaced(&self.claims, claims));
            (token.len() == length).then_some(token)
        });
        token.unwrap_or_else(|| panic!("no spaces make it {length} bytes long"))
    }

    /// Returns the genuine claims under this header, signed with HMAC-SHA256 and another secret.
    fn signed_with(&self, header: &str, secret: &[u8]) -> String {
        let input = format!("{}.{}", b64(header), b64(&self.claims));
        format!("{input}.{}", tag!(Sha256, secret, input.as_bytes()))
    }

    /// Returns the genuine header and claims with this signature.
    fn signature(&self, signature: &str) -> String {
        format!("{}.{signature}", self.input())
    }

    fn input(&self) -> &str {
        self.token.rsplit_once('.').unwrap().0
    }

    fn parts(&self) -> [&str; 3] {
        self.token.split('.').collect::<Vec<_>>().try_into().unwrap()
    }
}

/// Returns every case, in the order of the file.
pub fn all() -> Vec<TokenCase> {
    let genuine = Genuine::new();
    let mut all = vec![
        TokenCase {
            name: "genuine",
            description: "nothing is wrong with it",
            reply: "OK",
            token: genuine.token.clone(),
        },
        TokenCase {
            name: "genuine.longest",
            description: "2,048 bytes, by spaces in its claims",
            reply: "OK",
            token: genuine.of_length(2048),
        },
        TokenCase {
            name: "genuine.expired",
            description: "exp is in 2020",
            reply: "TOKEN_EXPIRED",
            token: genuine.claims("4102444800", "1577836800"),
        },
        TokenCase {
            name: "genuine.old",
            description: "issued 1,000 s before `now`, for longer than ACCESS_TOKEN_EXPIRY",
            reply: "TOKEN_EXPIRED",
            token: genuine.claims("1700000000", "1699999100"),
        },
    ];
    let generators =
        [algorithms, keys, signatures, types, parameters, missing, claims, json, base64, shapes];
    for (name, description, token) in generators.iter().flat_map(|generator| generator(&genuine)) {
        all.push(TokenCase { name, description, reply: INVALID, token });
    }
    all
}

type Case = (&'static str, &'static str, String);

fn algorithms(g: &Genuine) -> Vec<Case> {
    let alg = |alg: &str| g.header("HS256", alg);
    let unsigned =
        |alg: &str| format!("{}.{}.", b64(g.header.replace("HS256", alg)), b64(&g.claims));
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let long = |header: &str| format!("{}.{}", b64(header), b64(&g.claims));
    let (hs384, hs512) =
        (long(&g.header.replace("HS256", "HS384")), long(&g.header.replace("HS256", "HS512")));
    vec![
        ("alg.none", "alg none and no signature", unsigned("none")),
        ("alg.none.case", "alg nOnE and no signature", unsigned("nOnE")),
        ("alg.none.signed", "alg none, signed with HMAC-SHA256", alg("none")),
        (
            "alg.none.dotless",
            "alg none, and no second dot",
            unsigned("none").trim_end_matches('.').to_owned(),
        ),
        ("alg.unsigned", "alg HS256 and no signature", unsigned("HS256")),
        ("alg.hs384", "alg HS384, correctly signed", {
            format!("{hs384}.{}", tag!(Sha384, SECRET.as_bytes(), hs384.as_bytes()))
        }),
        ("alg.hs512", "alg HS512, correctly signed", {
            format!("{hs512}.{}", tag!(Sha512, SECRET.as_bytes(), hs512.as_bytes()))
        }),
        ("alg.hs384.label", "alg HS384, signed with HMAC-SHA256", alg("HS384")),
        ("alg.hs512.under.hs256", "alg HS256, signed with HMAC-SHA512", {
            g.signature(&tag!(Sha512, SECRET.as_bytes(), g.input().as_bytes()))
        }),
        ("alg.rs256", "alg RS256, signed with HMAC-SHA256", alg("RS256")),
        ("alg.ps256", "alg PS256, signed with HMAC-SHA256", alg("PS256")),
        ("alg.es256", "alg ES256, signed with HMAC-SHA256", alg("ES256")),
        ("alg.eddsa", "alg EdDSA, signed with HMAC-SHA256", alg("EdDSA")),
        (
            "alg.public.key",
            "the HMAC is keyed with the text of a public key",
            g.signed_with(&g.header, public.as_bytes()),
        ),
        ("alg.case", "alg hs256", alg("hs256")),
        ("alg.spaced", "alg with a trailing space", alg("HS256 ")),
        ("alg.unknown", "an unknown algorithm", alg("HS257")),
        ("alg.missing", "no alg", g.header(r#""alg":"HS256","#, "")),
        ("alg.null", "alg null", g.header(r#""HS256""#, "null")),
        ("alg.list", "alg is a list", g.header(r#""HS256""#, r#"["HS256"]"#)),
        ("alg.twice", "alg none, then alg HS256", g.header(r#""alg""#, r#""alg":"none","alg""#)),
    ]
}

fn keys(g: &Genuine) -> Vec<Case> {
    let kid = |kid: &str| g.header.replace(&g.kid, kid);
    let foreign = Key::new(FOREIGN.as_bytes()).unwrap().kid;
    vec![
        (
            "key.strange",
            "signed with another secret, with our kid",
            g.signed_with(&g.header, FOREIGN.as_bytes()),
        ),
        ("key.empty", "signed with an empty secret", g.signed_with(&g.header, b"")),
        ("key.kid", "signed with the kid", g.signed_with(&g.header, g.kid.as_bytes())),
        (
            "key.base64",
            "signed with the secret in base64",
            g.signed_with(&g.header, STANDARD.encode(SECRET).as_bytes()),
        ),
        ("key.zeros", "signed with a block of zeros", g.signed_with(&g.header, &[0; 64])),
        (
            "key.unknown",
            "another secret and its own kid",
            g.signed_with(&kid(&foreign), FOREIGN.as_bytes()),
        ),
        (
            "kid.strange",
            "the kid of another secret, signed with ours",
            signed_token(&kid(&foreign), &g.claims),
        ),
        ("kid.missing", "no kid", g.header(&format!(r#","kid":"{}""#, g.kid), "")),
        ("kid.empty", "an empty kid", signed_token(&kid(""), &g.claims)),
        ("kid.null", "kid null", g.header(&format!(r#""{}""#, g.kid), "null")),
        ("kid.number", "kid 0", g.header(&format!(r#""{}""#, g.kid), "0")),
        (
            "kid.path",
            "kid is a path, signed with the content of that file",
            g.signed_with(&kid("../../../../dev/null"), b""),
        ),
        (
            "kid.sql",
            "kid is SQL, signed with the value that it selects",
            g.signed_with(&kid("' UNION SELECT 'x' -- "), b"x"),
        ),
        ("kid.url", "kid is a URL", signed_token(&kid("https://keys.example/0"), &g.claims)),
        ("kid.case", "the kid in lower case", signed_token(&kid(&g.kid.to_lowercase()), &g.claims)),
        (
            "kid.longer",
            "the kid and one letter",
            signed_token(&kid(&format!("{}A", g.kid)), &g.claims),
        ),
        (
            "kid.nul",
            "the kid and a NUL",
            signed_token(&kid(&format!("{}\\u0000", g.kid)), &g.claims),
        ),
        ("kid.twice", "another kid, then ours", g.parameter(&format!(r#""kid":"{foreign}""#))),
    ]
}

fn signatures(g: &Genuine) -> Vec<Case> {
    let [header, claims, signature] = g.parts();
    let others = g.claims("8f1f7b3e", "00000000");
    let flipped = {
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        bytes[31] ^= 1;
        b64(bytes)
    };
    vec![
        ("signature.of.other.claims", "the signature of another token", {
            g.signature(others.rsplit_once('.').unwrap().1)
        }),
        ("signature.for.other.claims", "our signature with another subject", {
            format!("{}.{signature}", others.rsplit_once('.').unwrap().0)
        }),
        ("signature.zeros", "32 zeros", g.signature(&b64([0; 32]))),
        ("signature.bit", "its last bit is flipped", g.signature(&flipped)),
        ("signature.short", "its first 16 bytes", g.signature(&signature[..22])),
        ("signature.one.short", "its first 31 bytes", {
            g.signature(&b64(&URL_SAFE_NO_PAD.decode(signature).unwrap()[..31]))
        }),
        ("signature.longer", "one byte more", g.signature(&format!("{signature}AA"))),
        ("signature.hex", "in hex", {
            g.signature(
                &URL_SAFE_NO_PAD
                    .decode(signature)
                    .unwrap()
                    .iter()
                    .map(|b| format!("{b:02x}"))
                    .collect::<String>(),
            )
        }),
        ("signature.of.claims", "of the claims alone", {
            g.signature(&tag!(Sha256, SECRET.as_bytes(), claims.as_bytes()))
        }),
        ("signature.without.dot", "of header and claims without the dot", {
            g.signature(&tag!(Sha256, SECRET.as_bytes(), format!("{header}{claims}").as_bytes()))
        }),
        ("signature.of.json", "of the JSON, not its base64", {
            g.signature(&tag!(
                Sha256,
                SECRET.as_bytes(),
                format!("{}.{}", g.header, g.claims).as_bytes()
            ))
        }),
    ]
}

fn types(g: &Genuine) -> Vec<Case> {
    let typ = |typ: &str| g.header("at+jwt", typ);
    vec![
        ("typ.jwt", "typ JWT", typ("JWT")),
        ("typ.missing", "no typ", g.header(r#""typ":"at+jwt","#, "")),
        ("typ.case", "typ AT+JWT", typ("AT+JWT")),
        ("typ.long", "typ application/at+jwt", typ("application/at+jwt")),
        ("typ.id.token", "typ id+jwt", typ("id+jwt")),
        ("typ.list", "typ is a list", g.header(r#""at+jwt""#, r#"["at+jwt"]"#)),
        ("typ.twice", "typ JWT, then at+jwt", g.parameter(r#""typ":"JWT""#)),
    ]
}

fn parameters(g: &Genuine) -> Vec<Case> {
    let jwk = format!(r#""jwk":{{"kty":"oct","alg":"HS256","k":"{}"}}"#, b64(FOREIGN));
    let own_jwk = g.header.replace(r#"{"typ""#, &format!(r#"{{{jwk},"typ""#));
    vec![
        ("crit.exp", "crit names exp", g.parameter(r#""crit":["exp"]"#)),
        ("crit.null", "crit null", g.parameter(r#""crit":null"#)),
        ("jwk.null", "jwk null", g.parameter(r#""jwk":null"#)),
        ("parameter.null", "an unknown parameter that is null", g.parameter(r#""abc":null"#)),
        ("crit.empty", "crit names nothing", g.parameter(r#""crit":[]"#)),
        (
            "crit.b64",
            "an unencoded payload (RFC 7797)",
            g.parameter(r#""b64":false,"crit":["b64"]"#),
        ),
        ("b64.false", "the same without crit", g.parameter(r#""b64":false"#)),
        (
            "jwk",
            "it contains the key that it is signed with",
            g.signed_with(&own_jwk, FOREIGN.as_bytes()),
        ),
        ("jwk.ours", "it contains a key, and is signed with ours", g.parameter(&jwk)),
        (
            "jku",
            "it contains the URL of keys",
            g.parameter(r#""jku":"https://keys.example/jwks.json""#),
        ),
        (
            "x5u",
            "it contains the URL of a certificate",
            g.parameter(r#""x5u":"https://keys.example/key.pem""#),
        ),
        ("x5c", "it contains a certificate", g.parameter(r#""x5c":["MIIBszCCAVmgAwIBAgIUEzAR"]"#)),
        ("x5t", "it names a certificate", g.parameter(r#""x5t":"zzz""#)),
        ("cty.nested", "its claims are a valid token", {
            let header = g.header.replace(r#"{"typ""#, r#"{"cty":"JWT","typ""#);
            signed_token(&header, &g.token)
        }),
        ("cty", "cty JWT over valid claims", g.parameter(r#""cty":"JWT""#)),
        ("zip", "zip DEF over valid claims", g.parameter(r#""zip":"DEF""#)),
        ("enc", "enc A256GCM, as of a JWE", g.parameter(r#""enc":"A256GCM""#)),
        ("parameter.unknown", "an unknown parameter", g.parameter(r#""x":1"#)),
    ]
}

fn missing(g: &Genuine) -> Vec<Case> {
    let id = |name: &str| {
        let (_, rest) = g.claims.split_once(&format!(r#""{name}":"#)).unwrap();
        format!(r#""{name}":{},"#, rest.split(',').next().unwrap())
    };
    vec![
        ("iss.missing", "no iss", g.claims(&id("iss"), "")),
        ("aud.missing", "no aud", g.claims(&id("aud"), "")),
        ("sub.missing", "no sub", g.claims(&id("sub"), "")),
        ("sid.missing", "no sid", g.claims(&id("sid"), "")),
        ("jti.missing", "no jti", g.claims(&id("jti"), "")),
        ("iat.missing", "no iat", g.claims(r#""iat":1700000000,"#, "")),
        ("exp.missing", "no exp", g.claims(r#","exp":4102444800"#, "")),
        ("claims.none", "no claims at all", signed_token(&g.header, "{}")),
    ]
}

fn claims(g: &Genuine) -> Vec<Case> {
    let (iss, aud) = (r#""iss":"user-service""#, r#""aud":"user-service""#);
    let exp = |exp: &str| g.claims("4102444800", exp);
    vec![
        ("iss.other", "another issuer", g.claims(iss, r#""iss":"other-service""#)),
        ("iss.case", "the issuer in upper case", g.claims(iss, r#""iss":"USER-SERVICE""#)),
        ("iss.slash", "the issuer and a slash", g.claims(iss, r#""iss":"user-service/""#)),
        ("iss.null", "iss null", g.claims(iss, r#""iss":null"#)),
        ("aud.other", "another audience", g.claims(aud, r#""aud":"other-service""#)),
        (
            "aud.list",
            "a list of audiences with ours",
            g.claims(aud, r#""aud":["user-service","other-service"]"#),
        ),
        (
            "sub.number",
            "sub is a number",
            g.claims(r#""8f1f7b3e-8f43-4a42-9d8e-0c2a6f6f5a11""#, "8"),
        ),
        ("sub.empty", "an empty sub", g.claims("8f1f7b3e-8f43-4a42-9d8e-0c2a6f6f5a11", "")),
        ("sub.name", "sub is a name", g.claims("8f1f7b3e-8f43-4a42-9d8e-0c2a6f6f5a11", "root")),
        ("sub.unicode", "sub with digits of another script", g.claims("8f1f7b3e", "٨f١f٧b٣e")),
        (
            "sid.number",
            "sid is a number",
            g.claims(r#""0d4b6c1e-3f0a-4d5e-8c7b-9a1b2c3d4e5f""#, "0"),
        ),
        ("sid.short", "a truncated sid", g.claims("9a1b2c3d4e5f", "9a1b2c3d4e5")),
        ("jti.empty", "an empty jti", g.claims("5b0e7f6a-1c2d-4e3f-a4b5-c6d7e8f90a1b", "")),
        (
            "jti.object",
            "jti is an object",
            g.claims(r#""5b0e7f6a-1c2d-4e3f-a4b5-c6d7e8f90a1b""#, "{}"),
        ),
        ("iat.text", "iat is text", g.claims("1700000000", r#""1700000000""#)),
        ("iat.negative", "iat before 1970", g.claims("1700000000", "-1")),
        ("exp.text", "exp is text", exp(r#""4102444800""#)),
        ("exp.null", "exp null", exp("null")),
        ("exp.negative", "exp before 1970", exp("-1")),
        ("exp.float", "exp has a fraction", exp("4102444800.5")),
        ("exp.exponent", "exp has an exponent", exp("4.1024448e9")),
        ("exp.past.javascript", "exp is 2^53", exp("9007199254740992")),
        ("exp.past.u64", "exp is 2^64", exp("18446744073709551616")),
        ("exp.infinite", "exp is Infinity", exp("Infinity")),
        ("exp.leading.zero", "exp begins with a zero", exp("04102444800")),
        ("exp.twice", "an exp in 2020 and one in 2100", exp(r#"1577836800,"exp":4102444800"#)),
        (
            "sub.twice",
            "two subjects",
            g.claims(r#""sub""#, r#""sub":"00000000-0000-0000-0000-000000000000","sub""#),
        ),
        ("sub.twice.escaped", "two subjects, one in escapes", {
            g.claims(r#""sub""#, r#""\u0073ub":"00000000-0000-0000-0000-000000000000","sub""#)
        }),
    ]
}

fn json(g: &Genuine) -> Vec<Case> {
    let claims = |claims: &str| signed_token(&g.header, claims);
    vec![
        ("claims.list", "the claims are a list", claims(&format!("[{}]", g.claims))),
        ("claims.values", "the claims are a list of the values in their order", {
            let claims: serde_json::Value = serde_json::from_str(&g.claims).unwrap();
            let names = ["iss", "aud", "sub", "sid", "jti", "iat", "exp"];
            signed_token(&g.header, &serde_json::json!(names.map(|name| &claims[name])).to_string())
        }),
        ("claims.text", "the claims are a string", claims(&format!("{:?}", g.claims))),
        ("claims.null", "the claims are null", claims("null")),
        ("claims.empty", "the claims are empty", claims("")),
        ("claims.not.json", "the claims are not JSON", claims("user=root")),
        ("claims.cut", "the claims lack the last brace", claims(g.claims.trim_end_matches('}'))),
        ("claims.comma", "a comma before the last brace", g.claims("4102444800}", "4102444800,}")),
        ("claims.more", "a second object after the claims", claims(&format!("{}{{}}", g.claims))),
        (
            "claims.bom",
            "a byte order mark before the claims",
            claims(&format!("\u{feff}{}", g.claims)),
        ),
        ("claims.single.quotes", "single quotes", claims(&g.claims.replace('"', "'"))),
        (
            "claims.deep",
            "claims in claims, 200 deep",
            claims(&format!("{}{}", "[".repeat(200), "]".repeat(200))),
        ),
        (
            "header.list",
            "the header is a list",
            signed_token(&format!("[{}]", g.header), &g.claims),
        ),
        ("header.not.json", "the header is not JSON", signed_token("HS256", &g.claims)),
        ("header.empty", "the header is empty", signed_token("", &g.claims)),
    ]
}

fn base64(g: &Genuine) -> Vec<Case> {
    let [header, claims, signature] = g.parts();
    let last = |text: &str| {
        // A text with a length that is not a multiple of four has unused bits in its last letter.
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let position =
            letters.iter().position(|letter| text.as_bytes().last() == Some(letter)).unwrap();
        format!("{}{}", &text[..text.len() - 1], char::from(letters[position + 1]))
    };
    assert!(header.len() % 4 != 0 && claims.len() % 4 != 0);
    vec![
        (
            "base64.padded.signature",
            "the signature is padded",
            g.signature(&format!("{signature}=")),
        ),
        (
            "base64.padded.claims",
            "the claims are padded",
            sign(&format!("{header}.{}", URL_SAFE.encode(&g.claims))),
        ),
        (
            "base64.bits.signature",
            "other spare bits in the signature",
            g.signature(&last(signature)),
        ),
        (
            "base64.bits.claims",
            "other spare bits in the claims",
            sign(&format!("{header}.{}", last(claims))),
        ),
        (
            "base64.bits.header",
            "other spare bits in the header",
            sign(&format!("{}.{claims}", last(header))),
        ),
        (
            "base64.line",
            "a newline in the claims",
            sign(&format!("{header}.{}\n{}", &claims[..64], &claims[64..])),
        ),
        ("base64.standard", "the other alphabet in the signature", {
            g.signature(&STANDARD.encode([0xfb; 32]))
        }),
        ("base64.percent", "the dots in percent code", g.token.replace('.', "%2E")),
    ]
}

fn shapes(g: &Genuine) -> Vec<Case> {
    let [header, claims, signature] = g.parts();
    vec![
        ("empty", "no bytes", String::new()),
        ("dot", "one dot", ".".to_owned()),
        ("dots.two", "two dots", "..".to_owned()),
        ("dots.many", "a thousand dots", ".".repeat(1000)),
        ("cut.at.first.dot", "the header alone", header.to_owned()),
        ("cut.after.first.dot", "the header and a dot", format!("{header}.")),
        ("cut.at.second.dot", "header and claims", g.input().to_owned()),
        ("cut.after.second.dot", "header, claims and a dot", format!("{}.", g.input())),
        ("cut.last", "without its last byte", g.token[..g.token.len() - 1].to_owned()),
        ("cut.first", "without its first byte", g.token[1..].to_owned()),
        ("segments.four", "a fourth part", format!("{}.{signature}", g.token)),
        (
            "segments.jwe",
            "five parts, as of a JWE",
            format!("{header}..{claims}.{claims}.{signature}"),
        ),
        ("segments.dot.first", "a dot before it", format!(".{}", g.token)),
        ("segments.dot.last", "a dot after it", format!("{}.", g.token)),
        ("segments.swapped", "claims before header", sign(&format!("{claims}.{header}"))),
        ("twice", "itself twice", format!("{0}{0}", g.token)),
        ("space.before", "a space before it", format!(" {}", g.token)),
        ("line.end", "a newline after it", format!("{}\n", g.token)),
        ("nul", "a NUL after it", format!("{}\0", g.token)),
        ("bearer", "the word Bearer before it", format!("Bearer {}", g.token)),
        ("quoted", "in quotes", format!("\"{}\"", g.token)),
        ("unicode.dots", "dots of another script", g.token.replace('.', "。")),
        ("json.form", "the JSON form of a JWS", {
            format!(r#"{{"protected":"{header}","payload":"{claims}","signature":"{signature}"}}"#)
        }),
        ("huge.just", "2,049 bytes, valid except for its length", g.of_length(2049)),
        ("huge", "60,000 bytes, valid except for its length", g.of_length(60_000)),
        (
            "refresh.form",
            "the form of a refresh token",
            format!("usr_rt1_{}{}", g.kid, "A".repeat(80)),
        ),
    ]
}
