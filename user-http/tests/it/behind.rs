//! A node that does not know what the program knows: it answers that a token is valid.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use user_proto::{
    Keys, Reply, Request, RevocationRow, Revocations, TokenVerified, UnixMillis, UnixSeconds,
};

use crate::http::{self, get};
use crate::program::{Program, until};
use crate::scripted::{self, TOKEN, verified};

/// A JWK Set with the key of RFC 8037.
const KEY: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"e","alg":"EdDSA","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const JWKS: &str = "/.well-known/jwks.json";

/// Checks a token of which this row revokes something, in front of a service that accepts it.
/// Returns the reply, and the number of times that the service was asked.
fn check(kind: u8, id: &'static [u8], before: u64) -> (http::Reply, usize) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let node = scripted::node(move |request, _| match request {
        // No public key, so that the service is asked about every token.
        Request::GetKeys(_) => Some(keys(r#"{"keys":[]}"#)),
        Request::WatchRevocations(watch) if watch.cursor.is_empty() => {
            let row = RevocationRow { kind, id: id.into(), before: UnixSeconds(before) };
            Some(revocations(vec![row]))
        }
        Request::WatchRevocations(watch) => {
            thread::sleep(Duration::from_millis(watch.wait_ms.into()));
            Some(revocations(Vec::new()))
        }
        _ => {
            count.fetch_add(1, Ordering::Relaxed);
            Some(verified().into())
        }
    });
    let program = Program::start(&node);
    until(|| !get(program.monitor, "/readyz", &[]).body.contains(r#""age_ms":null"#));
    let reply = program.check(&[TOKEN]);
    (reply, asked.load(Ordering::Relaxed))
}

fn keys(jwks: &'static str) -> Reply<'static> {
    Keys { jwks: jwks.into(), access_life: 900, refresh_after: 300, now_ms: None }.into()
}

fn revocations(entries: Vec<RevocationRow<'static>>) -> Reply<'static> {
    let cursor = b"1".as_slice().into();
    Revocations { cursor, stale_ms: 0, more: 0, now_ms: UnixMillis(3_000), entries }.into()
}

#[test]
fn a_token_that_the_program_knows_to_be_revoked_is_refused() {
    let (user, session) = (1_u128.to_be_bytes(), 2_u128.to_be_bytes());
    let leak = |id: [u8; 16]| -> &'static [u8] { Box::leak(Box::new(id)) };
    let other = leak(3_u128.to_be_bytes());
    for (kind, id, before, expected, times) in [
        (1, other, 0, (200, "absent"), 1),
        (1, leak(session), 0, (401, "SESSION_REVOKED"), 1),
        (2, leak(user), 0, (401, "SESSION_REVOKED"), 1),
        (3, &[], 0, (200, "absent"), 1),
        (3, &[], 1, (401, "SESSION_REVOKED"), 1),
        (4, b"other", 0, (200, "absent"), 1),
        // A key of HS256 is not published, but it is retired like any other.
        (4, b"k", 0, (401, "INVALID_TOKEN"), 0),
    ] {
        let (reply, asked) = check(kind, id, before);
        let verdict = (reply.status, reply.header("x-auth-error"));
        assert_eq!((verdict, asked), (expected, times), "{kind} {id:?}");
    }
}

#[test]
fn an_answer_that_is_older_than_the_age_limit_counts_only_without_public_keys() {
    for (jwks, stale_ms, status) in
        [(KEY, 5_000, 200), (KEY, 5_001, 503), (r#"{"keys":[]}"#, 29_000, 200)]
    {
        let node = scripted::node(move |request, _| match request {
            Request::GetKeys(_) => Some(keys(jwks)),
            Request::WatchRevocations(_) => {
                thread::sleep(Duration::from_millis(100));
                Some(revocations(Vec::new()))
            }
            _ => Some(TokenVerified { stale_ms: Some(stale_ms), ..verified() }.into()),
        });
        let program = Program::start(&node);
        until(|| !get(program.monitor, "/readyz", &[]).body.contains(r#""age_ms":null"#));
        assert_eq!(program.check(&[TOKEN]).status, status, "{jwks} {stale_ms}");
    }
}

#[test]
fn a_retired_key_is_not_published_whatever_the_node_answers() {
    let (retired, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (is_retired, count) = (Arc::clone(&retired), Arc::clone(&asked));
    let node = scripted::node(move |request, _| match request {
        Request::GetKeys(_) => {
            count.fetch_add(1, Ordering::Relaxed);
            Some(keys(KEY))
        }
        Request::WatchRevocations(_) => {
            thread::sleep(Duration::from_millis(100));
            let id = b"e".as_slice().into();
            let row = RevocationRow { kind: 4, id, before: UnixSeconds(0) };
            Some(revocations(if is_retired.load(Ordering::Relaxed) { vec![row] } else { vec![] }))
        }
        _ => None,
    });
    let program = Program::start(&node);
    until(|| get(program.address, JWKS, &[]).body == KEY);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    retired.store(true, Ordering::Relaxed);
    let began = Instant::now();
    until(|| get(program.address, JWKS, &[]).status == 503);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    until(|| asked.load(Ordering::Relaxed) == 2);
    for _ in 0..20 {
        assert_eq!(get(program.address, JWKS, &[]).status, 503, "the node is behind");
    }
}

#[test]
fn requests_for_the_keys_do_not_wait_for_a_node_that_hangs() {
    let program = Program::start(&scripted::node(|_, _| None));
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(get(program.address, JWKS, &[]).status, 503);
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(program.log().matches("WARN").count(), 0, "{}", program.log());
}
