//! `verify --local`: the verdict, how it was reached, and what is missing if it was not.

use std::sync::Mutex;

use user_proto::{
    ErrorCode, Keys, Reply, Request, RevocationRow, Revocations, TokenVerified, UnixMillis,
    UnixSeconds,
};

use crate::cli::Cli;
use crate::fake_server::{FakeServer, SESSION, USER, error};
use signer::{Claims, Signer, jwks, unix_ms};

#[path = "../../../user-proto/tests/it/verifier/signer.rs"]
#[allow(dead_code, reason = "the tests of user-proto use the other items")]
mod signer;

/// Starts a server with these keys and this revoked session.
fn server(keys: String, revoked: Option<uuid::Uuid>) -> FakeServer {
    let entries: Vec<_> = revoked
        .map(|id| RevocationRow {
            kind: 1,
            id: id.as_bytes().to_vec().into(),
            before: UnixSeconds(0),
        })
        .into_iter()
        .collect();
    let keys = Mutex::new(keys);
    FakeServer::start(move |request| {
        let now_ms = UnixMillis(unix_ms());
        Some(match request {
            Request::GetKeys(_) => Reply::from(Keys {
                jwks: keys.lock().unwrap().clone().into(),
                access_life: 900,
                refresh_after: 300,
                now_ms: Some(now_ms),
            }),
            Request::WatchRevocations(_) => Revocations {
                cursor: b"1".as_slice().into(),
                stale_ms: 0,
                more: 0,
                now_ms,
                entries: entries.clone(),
            }
            .into(),
            _ => TokenVerified {
                user_id: USER,
                session_id: SESSION,
                issued_at: UnixSeconds(1),
                expires_at: UnixSeconds(2),
                stale_ms: None,
            }
            .into(),
        })
    })
}

#[test]
fn a_token_is_checked_in_memory() {
    let signers = Signer::both();
    let server = server(jwks(&signers), None);
    let cli = Cli::new(&server.addr);
    for signer in &signers {
        let claims = Claims::default();
        let token = signer.issue(&claims);
        let output = cli.run(&["verify", "--local", "--token", &token]).succeeded();
        assert!(output.stdout.starts_with("The token is valid.\n"), "{}", output.stdout);
        assert!(output.stdout.contains("in memory"), "{}", output.stdout);
        assert!(output.stdout.contains(&claims.session.to_string()), "{}", output.stdout);
        let output = cli.run(&["verify", "--local", "--json", "--token", &token]).succeeded();
        let object = output.object();
        assert_eq!((&object["valid"], &object["local"]), (&true.into(), &true.into()));
        assert_eq!((&object["keys"], &object["revocations"]), (&2.into(), &0.into()));
        assert!(object["age_ms"].as_u64().unwrap() < 5_000);
    }
    let asked = server.take_requests();
    assert!(!asked.iter().any(|(request, _)| matches!(request, Request::VerifyToken(_))));
}

#[test]
fn a_token_that_is_not_valid_is_refused_in_words() {
    let signers = Signer::both();
    let revoked = Claims::default();
    let server = server(jwks(&signers), Some(revoked.session));
    let cli = Cli::new(&server.addr);
    let now = revoked.issued_at;
    let expired = Claims { issued_at: now - 100, expires_at: now - 1, ..Claims::default() };
    for (token, code) in [
        (signers[0].issue(&revoked), "SESSION_REVOKED (0305)"),
        (signers[1].issue(&expired), "TOKEN_EXPIRED (0304)"),
        (Signer::eddsa("ed").token(), "INVALID_TOKEN (0303)"),
        ("nonsense".to_owned(), "INVALID_TOKEN (0303)"),
    ] {
        let output = cli.run(&["verify", "--local", "--token", &token]);
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        assert!(output.stderr.contains(code), "{}", output.stderr);
        assert!(output.stderr.contains("\nhint: "), "{}", output.stderr);
    }
    let token = signers[0].token();
    let output = cli.run(&["verify", "--local", "--issuer", "other", "--token", &token]);
    assert!(output.stdout.contains("by asking the server"), "{}", output.stdout);
    assert!(output.stdout.contains("issuer"), "{}", output.stdout);
}

#[test]
fn the_output_says_why_the_server_was_asked() {
    let server = server(r#"{"keys":[]}"#.to_owned(), None);
    let cli = Cli::new(&server.addr);
    let token = Signer::eddsa("ed").token();
    let output = cli.run(&["verify", "--local", "--token", &token]).succeeded();
    assert!(
        output.stdout.contains("by asking the server, because the server publishes no keys"),
        "{}",
        output.stdout
    );
    let output = cli.run(&["verify", "--local", "--json", "--token", &token]).succeeded();
    assert_eq!(output.object()["local"], false);
}

#[test]
fn a_server_that_gives_no_keys_is_named_with_the_reason() {
    let server = FakeServer::start(|request| {
        Some(match request {
            Request::GetKeys(_) => error(ErrorCode::NOT_PERMITTED).into(),
            _ => error(ErrorCode::UNAVAILABLE).into(),
        })
    });
    let cli = Cli::new(&server.addr);
    let token = Signer::eddsa("ed").token();
    let output = cli.run(&["verify", "--local", "--timeout", "1s", "--token", &token]);
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stderr.contains("NOT_PERMITTED"), "{}", output.stderr);
    assert!(output.stderr.contains("TRUSTED_PEERS"), "{}", output.stderr);
}
