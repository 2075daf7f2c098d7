//! Expiry of access tokens, and logouts.

use std::time::Duration;

use user_proto::{Common, ErrorCode, IdempotencyKey, Logout, RefreshToken};

use crate::postgres::node;
use crate::support::{TestServer, check, code_of, postgres, request_reset, reset};

fn logout(token: &str) -> Logout<'_> {
    Logout { token: token.into(), all_sessions: None }
}

fn logout_all(token: &str) -> Logout<'_> {
    Logout { all_sessions: Some(()), ..logout(token) }
}

#[tokio::test]
async fn an_access_token_expires() {
    let server = TestServer::start().await;
    server.clock.freeze();
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    assert_eq!(
        (ada.session.access_expires_in, ada.session.refresh_expires_in),
        (900, 30 * 24 * 3600)
    );
    // The token expires on a whole second, and was issued within one.
    server.clock.advance(Duration::from_secs(899));
    assert_eq!(check(&client, &ada.access()).await, None);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(check(&client, &ada.access()).await, Some(ErrorCode::TOKEN_EXPIRED));
    for garbage in ["", "e30.e30.", &ada.refresh(), &ada.access()[1..], &"x".repeat(2049)] {
        assert_eq!(check(&client, garbage).await, Some(ErrorCode::INVALID_TOKEN), "{garbage}");
    }
    server.stop().await;
}

#[tokio::test]
async fn one_session_ends_and_the_others_stay() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let other = server.login(&client, "ada").await;
    assert_eq!(client.call(logout(&ada.refresh())).await.unwrap().sessions_ended, 1);
    assert_eq!(check(&client, &ada.access()).await, Some(ErrorCode::SESSION_REVOKED));
    let refresh = RefreshToken { refresh_token: ada.session.refresh_token.clone() };
    assert_eq!(code_of(&client, refresh).await, ErrorCode::SESSION_REVOKED);
    for token in [ada.access(), ada.refresh()] {
        assert_eq!(code_of(&client, logout(&token)).await, ErrorCode::SESSION_REVOKED);
        assert_eq!(
            code_of(&client, logout_all(&token)).await,
            ErrorCode::SESSION_REVOKED,
            "the token no longer represents the user"
        );
    }
    assert_eq!(check(&client, other.access_token.expose_str().unwrap()).await, None);
    server.stop().await;
}

/// A failover can bring back a session that has ended. A logout then ends it again, although the
/// node remembers its end.
#[tokio::test]
async fn a_session_that_the_database_has_again_is_ended_again() {
    let Some(database) = postgres() else { return };
    let url = database.database();
    let server = node(&url, &[]).await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let name = url.rsplit('/').next().unwrap();
    assert!(database.psql(name, "CREATE TABLE kept AS TABLE sessions"));
    for number in 1..=4 {
        for token in [ada.access(), ada.refresh()] {
            let idempotency_key = (number > 2).then_some(IdempotencyKey([number; 16]));
            let common = Common { idempotency_key, ..Common::default() };
            let ended = client.call_with(logout(&token), common).await.unwrap();
            assert_eq!(ended.sessions_ended, 1, "{number}");
            assert_eq!(check(&client, &ada.access()).await, Some(ErrorCode::SESSION_REVOKED));
            let none_left = "DO 'BEGIN ASSERT (SELECT COUNT(*) = 0 FROM sessions); END'";
            assert!(database.psql(name, none_left), "{number}");
            let lost = "DELETE FROM idempotency_keys; INSERT INTO sessions TABLE kept";
            assert!(database.psql(name, lost));
        }
    }
    server.stop().await;
}

/// A failover can lose the session of an answered login. Its access token is accepted until a
/// logout, also with an idempotency key, and on another node.
#[tokio::test]
async fn a_session_that_the_database_has_lost_can_be_ended() {
    let Some(database) = postgres() else { return };
    let url = database.database();
    let server = node(&url, &[]).await;
    let client = server.client();
    // Before the other node starts, which would write some of the emails to its own folder.
    let ada = server.account(&client, "ada").await;
    let other = node(&url, &[]).await;
    let elsewhere = other.client();
    let name = url.rsplit('/').next().unwrap();
    for number in 0..4 {
        let session = server.login(&client, "ada").await;
        let token = session.access_token.expose_str().unwrap();
        assert!(database.psql(name, "DELETE FROM sessions"));
        assert_eq!(check(&client, token).await, None);
        let idempotency_key = (number > 1).then_some(IdempotencyKey([number; 16]));
        let common = Common { idempotency_key, ..Common::default() };
        let request = if number % 2 == 0 { logout(token) } else { logout_all(token) };
        for _ in 0..3 {
            let refused = client.call_with(request.clone(), common.clone()).await;
            assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::SESSION_REVOKED), "{number}");
        }
        assert_eq!(check(&client, token).await, Some(ErrorCode::SESSION_REVOKED), "{number}");
        let entries =
            format!("DO 'BEGIN ASSERT (SELECT COUNT(*) = {} FROM revocations); END'", number + 1);
        assert!(database.psql(name, &entries), "one entry for each");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(check(&elsewhere, token).await, Some(ErrorCode::SESSION_REVOKED), "{number}");
    }
    assert_eq!(check(&client, &ada.access()).await, None, "its own session was not named");
    for server in [server, other] {
        server.stop().await;
    }
}

#[tokio::test]
async fn a_logout_of_all_sessions_voids_the_open_codes() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let grace = server.account(&client, "grace").await;
    let other = server.login(&client, "ada").await;
    let id = client.call(request_reset(&ada.email)).await.unwrap().verification_id;
    let code = server.emails.code(&ada.email, 2).await;
    assert_eq!(client.call(logout_all(&ada.access())).await.unwrap().sessions_ended, 2);
    for token in [&*ada.access(), other.access_token.expose_str().unwrap()] {
        assert_eq!(check(&client, token).await, Some(ErrorCode::SESSION_REVOKED));
    }
    assert_eq!(code_of(&client, reset(id, &code)).await, ErrorCode::CODE_EXPIRED);
    assert_eq!(check(&client, &grace.access()).await, None);
    assert_eq!(client.call(logout_all(&grace.refresh())).await.unwrap().sessions_ended, 1);
    server.stop().await;
}

#[tokio::test]
async fn an_expired_access_token_ends_only_its_own_session() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let other = server.login(&client, "ada").await;
    server.clock.advance(Duration::from_secs(901));
    assert_eq!(code_of(&client, logout_all(&ada.access())).await, ErrorCode::TOKEN_EXPIRED);
    assert_eq!(client.call(logout(&ada.access())).await.unwrap().sessions_ended, 1);
    let refresh = RefreshToken { refresh_token: ada.session.refresh_token.clone() };
    assert_eq!(code_of(&client, refresh).await, ErrorCode::SESSION_REVOKED);
    assert!(client.call(RefreshToken { refresh_token: other.refresh_token.clone() }).await.is_ok());
    // An ended session is refused even after its entry in the revocation set has expired.
    server.clock.advance(Duration::from_secs(3600));
    assert_eq!(code_of(&client, logout(&ada.access())).await, ErrorCode::SESSION_REVOKED);
    server.stop().await;
}
