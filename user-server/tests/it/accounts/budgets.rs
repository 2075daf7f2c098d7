//! Budgets of a user, a session and a network, used up one request after another.

use std::time::Duration;

use user_proto::client::Client;
use user_proto::{
    DeleteUser, EndSession, ErrorCode, Logout, RefreshToken, UpdateUser, VerifyEmail,
};
use user_server::throttle::UNKNOWN_PER_MINUTE;
use uuid::Uuid;

use crate::support::{
    NEW_PASSWORD, NO_CODE, PASSWORD, TestServer, call_patiently, check, code_of, login,
    on_behalf_of, outcome, refused_at, request_reset, reset, run_in, together, update,
    update_with_password,
};

const WRONG: &str = "tides rise at ten";
const IP: &str = "192.0.2.7";
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn token(secret: &user_proto::Secret<'_>) -> String {
    secret.expose_str().unwrap().to_owned()
}

fn wrong(access: &str) -> UpdateUser<'_> {
    UpdateUser {
        new_password: Some(NEW_PASSWORD.into()),
        current_password: Some(WRONG.into()),
        ..update(access)
    }
}

#[tokio::test]
async fn the_tenth_wrong_current_password_ends_the_session() {
    let server = TestServer::start_frozen().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let (access, other) = (ada.access(), server.login(&client, "ada").await);
    let missing = UpdateUser { current_password: None, ..wrong(&access) };
    let delete =
        || DeleteUser { access_token: access.as_str().into(), current_password: WRONG.into() };
    for number in 0..10 {
        let refusal = match number % 2 {
            0 => refused_at(&client, IP, wrong(&access)).await.0,
            _ => refused_at(&client, IP, delete()).await.0,
        };
        assert_eq!(refusal, ErrorCode::INVALID_CREDENTIALS, "{number}");
        let missing = refused_at(&client, IP, missing.clone()).await.0;
        let ended = number == 9;
        let expected =
            if ended { ErrorCode::SESSION_REVOKED } else { ErrorCode::INVALID_CREDENTIALS };
        assert_eq!(missing, expected, "a missing one is not counted");
    }
    assert_eq!(check(&client, &access).await, Some(ErrorCode::SESSION_REVOKED));
    assert_eq!(check(&client, &token(&other.access_token)).await, None, "another session");
    let password =
        UpdateUser { new_password: Some(NEW_PASSWORD.into()), ..update_with_password("") };
    let right = UpdateUser { access_token: other.access_token.clone(), ..password };
    client.call_with(right, on_behalf_of(IP)).await.expect("it has its own attempts");
    outcome(client.call_with(login("ada", NEW_PASSWORD), on_behalf_of(IP)).await)
        .expect("wrong current passwords are no failed logins");
    server.stop().await;
}

#[tokio::test]
async fn a_user_has_fifty_wrong_current_passwords_a_day_and_a_reset_clears_them() {
    let server = TestServer::start_frozen().await;
    let client = server.client();
    server.account(&client, "ada").await;
    for _ in 0..5 {
        let access = token(&server.login(&client, "ada").await.access_token);
        for _ in 0..10 {
            let refusal = refused_at(&client, IP, wrong(&access)).await.0;
            assert_eq!(refusal, ErrorCode::INVALID_CREDENTIALS);
        }
    }
    let access = token(&server.login(&client, "ada").await.access_token);
    let right =
        || UpdateUser { new_password: Some(NEW_PASSWORD.into()), ..update_with_password(&access) };
    let limited = (ErrorCode::RATE_LIMITED, Some(DAY));
    assert_eq!(refused_at(&client, IP, right()).await, limited, "even the right one");
    let id = client.call(request_reset("ada@example.org")).await.unwrap().verification_id;
    let code = server.emails.code("ada@example.org", 2).await;
    client.call(reset(id, &code)).await.unwrap();
    let access = token(&client.call(login("ada", NEW_PASSWORD)).await.unwrap().access_token);
    let right = UpdateUser {
        email: Some("new@example.org".into()),
        current_password: Some(NEW_PASSWORD.into()),
        ..update(&access)
    };
    client.call_with(right, on_behalf_of(IP)).await.expect("the reset cleared the budget");
    server.stop().await;
}

#[tokio::test]
async fn a_user_changes_the_password_ten_times_a_day() {
    let server = TestServer::start_frozen().await;
    let client = server.client();
    let access = server.account(&client, "ada").await.access();
    let change =
        || UpdateUser { new_password: Some(PASSWORD.into()), ..update_with_password(&access) };
    for _ in 0..10 {
        client.call_with(change(), on_behalf_of(IP)).await.unwrap();
    }
    let limited = (ErrorCode::RATE_LIMITED, Some(DAY));
    assert_eq!(refused_at(&client, "198.51.100.9", change()).await, limited);
    server.stop().await;
}

#[tokio::test]
async fn a_user_opens_a_hundred_sessions_an_hour() {
    let server = TestServer::start_frozen().await;
    let client = server.client();
    server.account(&client, "ada").await;
    for _ in 0..100 {
        client.call_with(login("ada", PASSWORD), on_behalf_of(IP)).await.unwrap();
    }
    let limited = (ErrorCode::RATE_LIMITED, Some(HOUR));
    for text in ["ada", "ada@example.org"] {
        assert_eq!(refused_at(&client, IP, login(text, PASSWORD)).await, limited);
    }
    for _ in 0..20 {
        // Only the correct password uses up sessions, so strangers cannot.
        let refusal = refused_at(&client, "198.51.100.9", login("ada", WRONG)).await.0;
        assert!(matches!(refusal, ErrorCode::INVALID_CREDENTIALS | ErrorCode::RATE_LIMITED));
    }
    server.clock.advance(HOUR);
    client.call_with(login("ada", PASSWORD), on_behalf_of(IP)).await.expect("the next hour");
    server.stop().await;
}

#[tokio::test]
async fn a_user_ends_two_hundred_sessions_a_day() {
    let server = TestServer::start_frozen().await;
    let client = server.client();
    server.account(&client, "ada").await;
    let open = || client.call_with(login("ada", PASSWORD), on_behalf_of(IP));
    let end = |access: &str, id: Uuid| EndSession::new(access.to_owned().into(), id);
    let (mut ended, mut refusal) = (0, None);
    for _ in 0..3 {
        let access = token(&open().await.unwrap().access_token);
        for _ in 0..99 {
            assert_eq!(client.call(end(&access, Uuid::new_v4())).await.unwrap().sessions_ended, 0);
            let id = open().await.unwrap().session_id;
            match outcome(client.call(end(&access, id)).await) {
                Ok(reply) => ended += reply.sessions_ended,
                Err(code) => {
                    refusal = Some(code);
                    break;
                }
            }
        }
        server.clock.advance(HOUR);
    }
    assert_eq!((ended, refusal), (200, Some(ErrorCode::RATE_LIMITED)), "an unknown id is free");
    server.stop().await;
}

async fn refresh(client: &Client, refresh_token: &str) -> Result<String, ErrorCode> {
    let request = RefreshToken { refresh_token: refresh_token.to_owned().into() };
    let reply = outcome(client.call_with(request, on_behalf_of(IP)).await)?;
    Ok(token(&reply.refresh_token))
}

#[tokio::test]
async fn a_session_is_refreshed_sixty_times_an_hour_and_recorded_once() {
    let server = TestServer::start_frozen().await;
    let client = server.client();
    let first = server.account(&client, "ada").await.refresh();
    let (mut previous, mut current) = (first.clone(), first.clone());
    for _ in 0..60 {
        (previous, current) = (current.clone(), refresh(&client, &current).await.unwrap());
    }
    let request = RefreshToken { refresh_token: current.as_str().into() };
    let limited = (ErrorCode::RATE_LIMITED, Some(HOUR));
    assert_eq!(refused_at(&client, IP, request).await, limited);
    assert_eq!(refresh(&client, &previous).await, Ok(current.clone()), "a repeat is free");
    server.clock.advance(HOUR);
    for _ in 0..60 {
        current = refresh(&client, &current).await.expect("the next hour");
    }
    assert_eq!(refresh(&client, &current).await, Err(ErrorCode::RATE_LIMITED));
    let stolen = refresh(&client, &first).await;
    assert_eq!(stolen, Err(ErrorCode::SESSION_REVOKED), "theft is noticed whatever the budget");
    let folder = server.stop().await;
    let data = [("DATA_DIR", folder.path().to_str().unwrap())];
    let listed = run_in(folder.path(), &["audit", "list", "--kind", "refreshed", "--json"], &data);
    assert_eq!(listed.output.lines().count(), 2, "one for each hour: {}", listed.output);
}

#[tokio::test]
async fn a_superseded_refresh_token_logs_out_its_own_session_only() {
    for all_sessions in [None, Some(())] {
        let server = TestServer::start_frozen().await;
        let client = server.client();
        let ada = server.account(&client, "ada").await;
        let other = server.login(&client, "ada").await;
        let second = refresh(&client, &ada.refresh()).await.unwrap();
        let third = refresh(&client, &second).await.unwrap();
        let logout = Logout { token: ada.session.refresh_token.clone(), all_sessions };
        assert_eq!(code_of(&client, logout).await, ErrorCode::SESSION_REVOKED);
        assert_eq!(refresh(&client, &third).await, Err(ErrorCode::SESSION_REVOKED));
        assert_eq!(check(&client, &token(&other.access_token)).await, None, "another session");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_looks_up_six_hundred_unknown_ids_a_minute() {
    let server = TestServer::start().await;
    let clients = server.clients();
    let (id, code) = server.registered_code(&clients[0], "ada", "ada@example.org").await;
    let unknown = || VerifyEmail::new(Uuid::new_v4(), NO_CODE.into());
    let results = together((0..700).map(|number| {
        let client = clients[number % clients.len()].clone();
        async move { call_patiently(&client, unknown(), on_behalf_of(IP)).await.map(drop) }
    }))
    .await;
    let limited = crate::support::count(&results, ErrorCode::RATE_LIMITED);
    assert_eq!(limited, 700 - UNKNOWN_PER_MINUTE as usize);
    let known = VerifyEmail::new(id, code.as_str().into());
    clients[0].call_with(known, on_behalf_of("198.51.100.9")).await.expect("another network");
    server.stop().await;
}
