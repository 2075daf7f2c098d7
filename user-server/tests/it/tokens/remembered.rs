//! What is checked each time, although a thread remembers the token: its expiry, its session and
//! its key.

use std::sync::Arc;
use std::time::Duration;

use user_proto::client::Client;
use user_proto::{ErrorCode, Logout, VerifyToken};
use user_server::domain::{Clock, ShiftedClock, SystemClock};
use user_server::keys::{Key, KeyRing, TokenAlgorithm};
use user_server::tokens::Verifiers;
use uuid::Uuid;

use super::cases::SECRET;
use crate::support::{PASSWORD, TestServer, code_of, config, login, start};
use crate::token_oracle::policy;

/// Checks a token more often than a thread needs to remember it.
async fn remember(client: &Client, token: &user_proto::Secret<'_>) {
    for _ in 0..4 {
        client.call(VerifyToken { access_token: token.clone() }).await.unwrap();
    }
}

/// The server runs on the only thread of the test, so that its checks share their memory.
#[tokio::test]
async fn an_ended_session_and_an_expired_token_are_refused() {
    for algorithm in ["HS256", "EdDSA", "ES256"] {
        let server = TestServer::start_with(&[("TOKEN_SIGNING", algorithm)]).await;
        let client = server.client();
        server.account(&client, "ada").await;
        let ended = client.call(login("ada", PASSWORD)).await.unwrap().access_token;
        remember(&client, &ended).await;
        client.call(Logout { token: ended.clone(), all_sessions: None }).await.unwrap();
        let code = code_of(&client, VerifyToken { access_token: ended }).await;
        assert_eq!(code, ErrorCode::SESSION_REVOKED, "{algorithm}");
        drop(client);
        let folder = server.stop().await;

        let clock = Arc::new(ShiftedClock::default());
        let config = config(folder.path(), &[("TOKEN_SIGNING", algorithm)]);
        let service = start(&config, clock.clone()).await;
        let client = Client::new(service.address().to_string());
        let token = client.call(login("ada", PASSWORD)).await.unwrap().access_token;
        remember(&client, &token).await;
        clock.advance(Duration::from_secs(3600));
        let code = code_of(&client, VerifyToken { access_token: token }).await;
        assert_eq!(code, ErrorCode::TOKEN_EXPIRED, "{algorithm}");
        drop(client);
        service.stop().await;
    }
}

#[test]
fn a_token_of_a_retired_key_is_refused() {
    for signing in TokenAlgorithm::ALL {
        let keys = || Arc::new(KeyRing::new(Key::new(SECRET.as_bytes()).unwrap(), Vec::new()));
        let policy = policy(signing);
        let (retired, active) = (keys(), keys());
        let of = |keys| Verifiers::new(keys, &policy).unwrap();
        let (verifiers, others) = (of(&retired), of(&active));
        let now = SystemClock.now();
        let end = now.plus(policy.access_life);
        let token = verifiers.issue(Uuid::new_v4(), Uuid::new_v4(), now, end).unwrap();
        for _ in 0..4 {
            assert!(verifiers.fast(token.as_bytes()).is_some());
            assert!(others.fast(token.as_bytes()).is_some());
        }
        assert!(retired.retire(&retired.configured().kid));
        assert_eq!(verifiers.fast(token.as_bytes()), None, "{signing:?}");
        assert!(others.fast(token.as_bytes()).is_some(), "another server in the same process");
    }
}
