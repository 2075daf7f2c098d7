//! The header Idempotency-Key: turned into the key of the protocol, in which the route and the
//! caller are included, so that no one can occupy a key of someone else.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use user_proto::IdempotencyKey;
use uuid::Uuid;

use super::problem::Problem;
use crate::forwarded::single;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Maximum length of the header.
const MAX_LENGTH: usize = 64;
/// Label of the hash, so that it equals no other one.
const LABEL: &[u8] = b"user-http idempotency key 1";

/// Party that sends a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Caller<'a> {
    /// Holder of an access token. The key belongs to the session of the token, so that it also
    /// applies after a refresh.
    AccessToken(&'a str),
    /// Holder of another secret.
    Secret(&'a [u8]),
    /// Anyone in the network of the client's address.
    Network,
}

/// Returns true if a request has the header.
pub(super) fn is_stated(headers: &HeaderMap) -> bool {
    headers.contains_key(IDEMPOTENCY_KEY)
}

/// Returns the value of the header, if there is one.
///
/// # Errors
/// If it does not consist of 1 to 64 visible ASCII characters, or occurs twice.
pub(super) fn header(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    if !is_stated(headers) {
        return Ok(None);
    }
    let valid = |value: &&str| {
        (1..=MAX_LENGTH).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match single(headers, &IDEMPOTENCY_KEY).filter(valid) {
        Some(value) => Ok(Some(value.to_owned())),
        None => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "INVALID_IDEMPOTENCY_KEY",
            format!(
                "Idempotency-Key must be one value of 1 to {MAX_LENGTH} visible ASCII characters."
            ),
        )),
    }
}

/// Returns the key of the protocol for a header, a route and a caller. `client` is the address of
/// the end user.
pub(super) fn key(header: &str, route: &str, caller: Caller<'_>, client: IpAddr) -> IdempotencyKey {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(LABEL);
    add(route.as_bytes());
    match caller {
        Caller::AccessToken(token) => match session_id(token) {
            Some(id) => {
                add(b"session");
                add(id.as_bytes());
            }
            None => {
                add(b"secret");
                add(token.as_bytes());
            }
        },
        Caller::Secret(secret) => {
            add(b"secret");
            add(secret);
        }
        Caller::Network => {
            add(b"network");
            add(&network(client));
        }
    }
    add(header.as_bytes());
    let mut key = [0; 16];
    for (byte, hashed) in key.iter_mut().zip(hash.finalize()) {
        *byte = hashed;
    }
    IdempotencyKey(key)
}

/// Returns the session id that an access token states. It is not verified: with a token that is not
/// valid, the service makes no change and occupies no key, and strangers do not know the id.
pub(super) fn session_id(token: &str) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct Claims {
        sid: String,
    }
    Uuid::try_parse(&claims::<Claims>(token)?.sid).ok()
}

/// Returns the time at which an access token states that it was issued, in seconds since 1970. It
/// is not verified.
pub(super) fn issued_at(token: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Claims {
        iat: u64,
    }
    claims::<Claims>(token).map(|claims| claims.iat)
}

fn claims<T: DeserializeOwned>(token: &str) -> Option<T> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Returns the network of an address: an IPv4 address or an IPv6 /64.
fn network(client: IpAddr) -> Vec<u8> {
    match client.to_canonical() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().into_iter().take(8).collect(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn token(sid: u128, signature: &str) -> String {
        let payload = format!("{{\"sub\":\"x\",\"sid\":\"{}\"}}", Uuid::from_u128(sid));
        format!("e30.{}.{signature}", URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn a_key_depends_on_header_route_and_caller() {
        let ip = |text: &str| text.parse().unwrap();
        let (own, other, renewed) = (token(1, "a"), token(2, "a"), token(1, "b"));
        let keys = [
            key("k", "POST /a", Caller::Network, ip("192.0.2.1")),
            key("k", "POST /a", Caller::Network, ip("192.0.2.2")),
            key("k", "POST /a", Caller::Network, ip("2001:db8::1")),
            key("k", "POST /a", Caller::Network, ip("2001:db8:0:1::1")),
            key("k", "POST /b", Caller::Network, ip("192.0.2.1")),
            key("l", "POST /a", Caller::Network, ip("192.0.2.1")),
            key("k", "POST /a", Caller::Secret(b"r"), ip("192.0.2.1")),
            key("k", "POST /a", Caller::AccessToken(&own), ip("192.0.2.1")),
            key("k", "POST /a", Caller::AccessToken(&other), ip("192.0.2.1")),
            key("k", "POST /a", Caller::AccessToken("x.y.z"), ip("192.0.2.1")),
            key("k", "POST /a", Caller::AccessToken(""), ip("192.0.2.1")),
        ];
        for (index, one) in keys.iter().enumerate() {
            assert!(keys.iter().skip(index + 1).all(|other| other != one), "{index}");
        }
        let same = |one, other| assert_eq!(one, other);
        same(
            key("k", "r", Caller::Network, ip("2001:db8::1")),
            key("k", "r", Caller::Network, ip("2001:db8::ffff")),
        );
        same(
            key("k", "r", Caller::Network, ip("192.0.2.1")),
            key("k", "r", Caller::Network, ip("::ffff:192.0.2.1")),
        );
        // After a refresh, and from another network.
        same(
            key("k", "r", Caller::AccessToken(&own), ip("192.0.2.1")),
            key("k", "r", Caller::AccessToken(&renewed), ip("192.0.2.2")),
        );
    }

    #[test]
    fn the_header_is_one_value_of_visible_ascii() {
        let parsed = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
            }
            header(&headers).map_err(|problem| problem.code().to_owned())
        };
        assert_eq!(parsed(&[]), Ok(None));
        assert_eq!(parsed(&[b"\"a-1\""]), Ok(Some("\"a-1\"".to_owned())));
        assert!(parsed(&[&[b'a'; MAX_LENGTH]]).is_ok());
        for invalid in [
            &[&b""[..]][..],
            &[&[b'a'; MAX_LENGTH + 1]],
            &[b"a b"],
            &[b"a\tb"],
            &[b"\xc3\xa4"],
            &[b"a", b"a"],
        ] {
            assert_eq!(parsed(invalid), Err("INVALID_IDEMPOTENCY_KEY".to_owned()), "{invalid:?}");
        }
    }
}
