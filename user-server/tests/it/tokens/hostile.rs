//! Hostile tokens against a live server: each gets the same reply, whatever is wrong with it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use user_proto::{ErrorCode, ErrorReply, Logout, Reply, VerifyToken};
use user_server::domain::Clock;

use super::cases::{self, NOW, SECRET};
use crate::support::{TestServer, Wire, check};

const BLESS: &str =
    "is not as generated: cargo test -p user-server --test it -- --ignored tokens::bless";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/tokens.json")
}

fn generated() -> String {
    let vectors: Vec<Value> = cases::all()
        .iter()
        .map(|case| {
            json!({ "name": case.name, "description": case.description, "reply": case.reply, "token": case.token })
        })
        .collect();
    let about = "Access tokens, how each is made from a valid one, and what VerifyToken replies on a server with this JWTSECRETKEY at the time `now`, in seconds.";
    let file = json!({ "about": about, "now": NOW, "secret": SECRET, "vectors": vectors });
    serde_json::to_string_pretty(&file).unwrap() + "\n"
}

pub fn bless() {
    std::fs::create_dir_all(path().parent().unwrap()).unwrap();
    std::fs::write(path(), generated()).unwrap();
}

#[test]
fn the_vectors_are_as_generated() {
    assert!(
        std::fs::read_to_string(path()).unwrap() == generated(),
        "tests/vectors/tokens.json {BLESS}"
    );
}

#[tokio::test]
async fn every_hostile_token_gets_the_same_reply() {
    let server = TestServer::start_with(&[("JWTSECRETKEY", SECRET)]).await;
    server.clock.freeze();
    let now = Duration::from_secs(server.clock.now().seconds() - NOW);
    server.clock.set_back(now);
    let mut wire = Wire::connect(server.address).await;
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    let mut refusal: Option<ErrorReply<'static>> = None;
    let mut hostile = 0;
    for vector in file["vectors"].as_array().unwrap() {
        let text = |key: &str| vector[key].as_str().unwrap();
        wire.request(7, VerifyToken { access_token: text("token").into() }).await;
        let (id, reply) = wire.reply().await;
        assert_eq!(id, 7);
        match (text("reply"), reply) {
            ("OK", Reply::TokenVerified(_)) => {}
            ("TOKEN_EXPIRED", Reply::ErrorReply(error)) => {
                assert_eq!(error.code, ErrorCode::TOKEN_EXPIRED)
            }
            // A reply has exactly one encoding, so equal replies have equal bytes.
            ("INVALID_TOKEN", Reply::ErrorReply(error)) => {
                hostile += 1;
                assert_eq!(error.code, ErrorCode::INVALID_TOKEN, "{}", text("name"));
                assert_eq!(
                    refusal.get_or_insert_with(|| error.clone()),
                    &error,
                    "{}",
                    text("name")
                );
            }
            (_, reply) => panic!("{}: {reply:?}", text("name")),
        }
    }
    assert!(hostile > 60, "{hostile}");
    server.stop().await;
}

#[tokio::test]
async fn expired_and_revoked_tokens_get_their_own_codes() {
    let server = TestServer::start().await;
    server.clock.freeze();
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    assert_eq!(
        check(&client, &ada.refresh()).await,
        Some(ErrorCode::INVALID_TOKEN),
        "a refresh token"
    );
    server.clock.advance(Duration::from_secs(15 * 60) - Duration::from_secs(1));
    assert_eq!(check(&client, &ada.access()).await, None, "in its last second");
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(
        check(&client, &ada.access()).await,
        Some(ErrorCode::TOKEN_EXPIRED),
        "a second later"
    );
    let bob = server.account(&client, "bob").await;
    client.call(Logout { token: bob.access().as_str().into(), all_sessions: None }).await.unwrap();
    assert_eq!(check(&client, &bob.access()).await, Some(ErrorCode::SESSION_REVOKED));
    server.stop().await;
}

#[tokio::test]
async fn a_token_of_another_issuer_is_rejected() {
    let settings = [
        ("JWTSECRETKEY", SECRET),
        ("JWT_ISSUER", "other"),
        ("JWT_AUDIENCE", "another \"audience\""),
    ];
    let server = TestServer::start_with(&settings).await;
    let client = server.client();
    let genuine = cases::all().swap_remove(0).token;
    assert_eq!(check(&client, &genuine).await, Some(ErrorCode::INVALID_TOKEN), "of another issuer");
    let ada = server.account(&client, "ada").await;
    assert_eq!(check(&client, &ada.access()).await, None);
    server.stop().await;
}
