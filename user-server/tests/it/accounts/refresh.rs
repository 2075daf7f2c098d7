//! Refresh tokens: the current one, the previous one, and older ones.

use std::time::Duration;

use user_proto::client::Client;
use user_proto::{ErrorCode, Logout, RefreshToken, TokenRefreshed};

use crate::support::{TestServer, check, code_of};

const DAY: Duration = Duration::from_secs(24 * 3600);
const SECOND: Duration = Duration::from_secs(1);

fn refresh(token: &str) -> RefreshToken<'_> {
    RefreshToken { refresh_token: token.into() }
}

async fn next(client: &Client, token: &str) -> TokenRefreshed<'static> {
    client.call(refresh(token)).await.unwrap()
}

fn token(refreshed: &TokenRefreshed<'_>) -> String {
    refreshed.refresh_token.expose_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_previous_token_is_accepted_for_thirty_seconds() {
    let server = TestServer::start().await;
    server.clock.freeze();
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let second = next(&client, &ada.refresh()).await;
    assert_eq!((second.session_id, second.user_id), (ada.session.session_id, ada.session.user_id));
    server.clock.advance(30 * SECOND);
    let again = next(&client, &ada.refresh()).await;
    assert_eq!(token(&again), token(&second), "a lost reply, or two tabs");
    assert_eq!(again.refresh_expires_in, second.refresh_expires_in - 30);
    let third = next(&client, &token(&second)).await;
    server.clock.advance(31 * SECOND);
    assert_eq!(
        code_of(&client, refresh(&token(&second))).await,
        ErrorCode::SESSION_REVOKED,
        "the token was copied"
    );
    for access in [&ada.session.access_token, &again.access_token, &third.access_token] {
        assert_eq!(
            check(&client, access.expose_str().unwrap()).await,
            Some(ErrorCode::SESSION_REVOKED)
        );
    }
    assert_eq!(code_of(&client, refresh(&token(&third))).await, ErrorCode::SESSION_REVOKED);
    server.stop().await;
}

#[tokio::test]
async fn an_older_token_ends_the_session_at_once() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let other = server.login(&client, "ada").await;
    let second = next(&client, &ada.refresh()).await;
    let third = next(&client, &token(&second)).await;
    assert_eq!(code_of(&client, refresh(&ada.refresh())).await, ErrorCode::SESSION_REVOKED);
    assert_eq!(code_of(&client, refresh(&token(&third))).await, ErrorCode::SESSION_REVOKED);
    assert_eq!(
        check(&client, other.access_token.expose_str().unwrap()).await,
        None,
        "other sessions stay"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_session_ends_after_thirty_idle_days() {
    let server = TestServer::start().await;
    server.clock.freeze();
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    server.clock.advance(30 * DAY - SECOND);
    let second = next(&client, &ada.refresh()).await;
    server.clock.advance(30 * DAY);
    for stale in [token(&second), ada.refresh()] {
        assert_eq!(code_of(&client, refresh(&stale)).await, ErrorCode::TOKEN_EXPIRED);
    }
    let logout = Logout { token: second.refresh_token.clone(), all_sessions: None };
    assert_eq!(code_of(&client, logout).await, ErrorCode::TOKEN_EXPIRED);
    server.stop().await;
}

#[tokio::test]
async fn a_session_ends_after_ninety_days() {
    let server = TestServer::start().await;
    server.clock.freeze();
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let mut current = ada.refresh();
    for days_left in [30, 30, 30, 10] {
        let refreshed = next(&client, &current).await;
        assert_eq!(refreshed.refresh_expires_in, days_left * 24 * 3600);
        current = token(&refreshed);
        server.clock.advance(DAY * 80 / 3);
    }
    server.stop().await;
}

#[tokio::test]
async fn an_altered_or_foreign_token_is_invalid() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let mut other = ada.refresh();
    let last = other.pop().unwrap();
    other.push(if last == 'A' { 'B' } else { 'A' });
    for token in ["", "usr_rt1_", &ada.access(), &other, &"x".repeat(2049)] {
        assert_eq!(code_of(&client, refresh(token)).await, ErrorCode::INVALID_TOKEN, "{token}");
    }
    assert!(client.call(refresh(&ada.refresh())).await.is_ok());
    server.stop().await;
}
