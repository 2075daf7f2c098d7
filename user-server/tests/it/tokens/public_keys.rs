//! Access tokens that are signed with EdDSA and ES256: hostile tokens, the published keys, and a
//! change of the algorithm.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use user_proto::{ErrorCode, GetKeys, Reply, Secret, VerifyToken};
use user_server::domain::{Clock, KeyRecords};
use user_server::keys::{Key, TokenAlgorithm};
use user_server::store::SqliteStore;

use super::cases::SECRET;
use super::keys::{NEW, OLD, refresh, wait_until_rejected};
use super::public_cases::{self, ACCESS_LIFE, NOW};
use crate::support::{TestServer, Wire, check, run_in};

const PUBLIC: [TokenAlgorithm; 2] = [TokenAlgorithm::EdDsa, TokenAlgorithm::Es256];
const BLESS: &str =
    "is not as generated: cargo test -p user-server --test it -- --ignored tokens::bless";

/// The clients in every language use the file, so it is next to the other vectors.
fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../user-proto/vectors/tokens.json")
}

fn generated() -> Value {
    let key = Key::new(SECRET.as_bytes()).unwrap();
    let keys: Vec<Value> =
        key.token_keys().iter().map(|key| serde_json::from_str(&key.jwk()).unwrap()).collect();
    let mut vectors = Vec::new();
    for algorithm in PUBLIC {
        for case in public_cases::all(algorithm) {
            vectors.push(json!({
                "name": format!("{}.{}", algorithm.name().to_lowercase(), case.name),
                "description": case.description,
                "verdict": case.reply,
                "token": case.token,
            }));
        }
    }
    json!({
        "about": "Access tokens signed with EdDSA and ES256, and the verdict of a server or a local verifier that has these keys at the time `now`, in seconds.",
        "jwks": { "keys": keys },
        "issuer": "user-service",
        "audience": "user-service",
        "access_life": ACCESS_LIFE,
        "now": NOW,
        "vectors": vectors,
    })
}

pub fn bless() {
    std::fs::write(path(), serde_json::to_string_pretty(&generated()).unwrap() + "\n").unwrap();
}

fn stored() -> Value {
    serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap()
}

/// Removes the signatures by ES256, which contain a random number.
fn without_random(mut file: Value) -> Value {
    for vector in file["vectors"].as_array_mut().unwrap() {
        let name = vector["name"].as_str().unwrap();
        if name.starts_with("es256") || name == "eddsa.alg.other" {
            let token = vector["token"].as_str().unwrap();
            vector["token"] = token.split('.').take(2).collect::<Vec<_>>().join(".").into();
        }
    }
    file
}

#[test]
fn the_public_key_vectors_are_as_generated() {
    let same = without_random(stored()) == without_random(generated());
    assert!(same, "user-proto/vectors/tokens.json {BLESS}");
}

/// Starts a server that signs with an algorithm.
async fn start(algorithm: TokenAlgorithm) -> TestServer {
    let settings = [("JWTSECRETKEY", SECRET), ("TOKEN_SIGNING", algorithm.name())];
    TestServer::start_with(&settings).await
}

#[tokio::test]
async fn hostile_tokens_with_public_keys_are_rejected() {
    let file = stored();
    for algorithm in TokenAlgorithm::ALL {
        let server = start(algorithm).await;
        server.clock.freeze();
        let ahead = server.clock.now().seconds() - file["now"].as_u64().unwrap();
        server.clock.set_back(Duration::from_secs(ahead));
        let mut wire = Wire::connect(server.address).await;
        let mut hostile = 0;
        // Twice, because the second verdict on a genuine token comes from memory.
        for _ in 0..2 {
            for vector in file["vectors"].as_array().unwrap() {
                let text = |key: &str| vector[key].as_str().unwrap();
                wire.request(7, VerifyToken { access_token: text("token").into() }).await;
                let verdict = match wire.reply().await {
                    (7, Reply::TokenVerified(_)) => "OK",
                    (7, Reply::ErrorReply(error)) => error.code.name(),
                    reply => panic!("{reply:?}"),
                };
                assert_eq!(verdict, text("verdict"), "{}", text("name"));
                hostile += usize::from(verdict == "INVALID_TOKEN");
            }
        }
        assert!(hostile > 150, "{hostile}");
        server.stop().await;
    }
}

#[tokio::test]
async fn the_published_keys_are_public_and_match_the_tokens() {
    for algorithm in TokenAlgorithm::ALL {
        let server = start(algorithm).await;
        let client = server.client();
        let ada = server.account(&client, "ada").await;
        assert_eq!(check(&client, &ada.access()).await, None);
        let keys = client.call(GetKeys {}).await.unwrap();
        assert_eq!(keys.access_life, 900);
        let set: Value = serde_json::from_str(&keys.jwks).unwrap();
        let set = set["keys"].as_array().unwrap();
        if algorithm == TokenAlgorithm::Hs256 {
            assert!(set.is_empty(), "{set:?}");
        } else {
            let header = jsonwebtoken::decode_header(ada.access()).unwrap();
            let own = set.iter().find(|key| key["kid"] == *header.kid.as_ref().unwrap()).unwrap();
            assert_eq!(own["alg"], algorithm.name());
            assert_eq!(set.len(), 2);
            for key in set {
                let names: Vec<&str> =
                    key.as_object().unwrap().keys().map(String::as_str).collect();
                let secret = ["d", "k", "p", "q"].iter().any(|name| names.contains(name));
                assert!(!secret && key["kty"] != "oct", "{names:?}");
            }
        }
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_the_algorithm_invalidates_no_token_until_it_is_no_longer_accepted() {
    let mut folder = tempfile::tempdir().unwrap();
    let mut tokens: Vec<String> = Vec::new();
    let mut refresh_token: Option<String> = None;
    for algorithm in ["HS256", "EdDSA", "ES256", "HS256"] {
        let settings = [("JWTSECRETKEY", SECRET), ("TOKEN_SIGNING", algorithm)];
        let server = TestServer::start_in(folder, &settings).await;
        let client = server.client();
        for token in &tokens {
            assert_eq!(check(&client, token).await, None, "a token of before");
        }
        let text = |secret: &Secret<'_>| secret.expose_str().unwrap().to_owned();
        let (access, next) = match &refresh_token {
            None => {
                let ada = server.account(&client, "ada").await;
                (ada.access(), ada.refresh())
            }
            Some(token) => {
                let pair = client.call(refresh(token)).await.unwrap();
                (text(&pair.access_token), text(&pair.refresh_token))
            }
        };
        let header = jsonwebtoken::decode_header(&access).unwrap();
        assert_eq!(format!("{:?}", header.alg).to_lowercase(), algorithm.to_lowercase());
        tokens.push(access);
        refresh_token = Some(next);
        folder = server.stop().await;
    }
    let settings =
        [("JWTSECRETKEY", SECRET), ("TOKEN_SIGNING", "EdDSA"), ("TOKEN_ACCEPT", "eddsa")];
    let server = TestServer::start_in(folder, &settings).await;
    let client = server.client();
    let verdicts = [
        Some(ErrorCode::INVALID_TOKEN),
        None,
        Some(ErrorCode::INVALID_TOKEN),
        Some(ErrorCode::INVALID_TOKEN),
    ];
    for (token, verdict) in tokens.iter().zip(verdicts) {
        assert_eq!(check(&client, token).await, verdict);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retiring_any_key_of_a_secret_retires_all() {
    let settings =
        [("JWTSECRETKEY", OLD), ("JWTSECRETKEY_ACCEPT", NEW), ("TOKEN_SIGNING", "EdDSA")];
    let server = TestServer::start_with(&settings).await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    assert_eq!(check(&client, &ada.access()).await, None);
    let key = Key::new(OLD.as_bytes()).unwrap();
    let es256 = key.token_keys().iter().find(|key| key.algorithm == TokenAlgorithm::Es256);
    let data = server.folder.path().to_str().unwrap().to_owned();
    let command = [settings[0], settings[1], settings[2], ("DATA_DIR", &data)];
    let listed = run_in(server.folder.path(), &["keys", "list"], &command);
    assert!(key.kids().all(|kid| listed.output.contains(kid)), "{listed:?}");
    let retired = run_in(server.folder.path(), &["keys", "retire", &es256.unwrap().kid], &command);
    assert_eq!(retired.code, Some(0), "{retired:?}");
    wait_until_rejected(std::slice::from_ref(&client), &ada.access()).await;
    // The refresh token is derived from the same secret.
    let refused = client.call(refresh(&ada.refresh())).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::INVALID_TOKEN));
    let keys = client.call(GetKeys {}).await.unwrap();
    assert!(key.kids().all(|kid| !keys.jwks.contains(kid)), "{}", keys.jwks);
    let store = SqliteStore::open_read_only(&server.folder.path().join("users.db"));
    let stored: Vec<String> =
        store.retired_keys().await.unwrap().into_iter().map(|key| key.kid).collect();
    assert!(key.kids().all(|kid| stored.iter().any(|stored| stored == kid)), "{stored:?}");
    let listed = run_in(server.folder.path(), &["keys", "list", "--json"], &command);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    server.stop().await;
}

#[test]
fn settings_of_the_algorithms_are_checked() {
    let read = |settings: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        run_in(folder.path(), &["check"], settings)
    };
    let signing = read(&[("TOKEN_SIGNING", "EdDSA")]);
    assert!(signing.output.contains("if a gateway has that secret, rotate it"), "{signing:?}");
    for (settings, expected) in [
        ([("TOKEN_SIGNING", "RS256"), ("LOG", "info")], "expected HS256, EdDSA or ES256"),
        ([("TOKEN_ACCEPT", "EdDSA, none"), ("LOG", "info")], "`none` is not HS256, EdDSA or ES256"),
        (
            [("TOKEN_ACCEPT", "HS256"), ("TOKEN_SIGNING", "ES256")],
            "expected a list with the value of TOKEN_SIGNING",
        ),
    ] {
        let result = read(&settings);
        assert!(result.error.contains(expected), "{result:?}");
    }
}
