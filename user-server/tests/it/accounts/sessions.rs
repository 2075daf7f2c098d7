//! The sessions of an account, as its owner lists and ends them.

use std::time::Duration;

use user_proto::{Common, EndSession, ErrorCode, IdempotencyKey, ListSessions, Login, SessionRow};
use uuid::Uuid;

use crate::support::{PASSWORD, TestServer, check, code_of, on_behalf_of, refused};

fn list(token: &str) -> ListSessions<'_> {
    ListSessions::new(token.into())
}

fn end(token: &str, session_id: Uuid) -> EndSession<'_> {
    EndSession::new(token.into(), session_id)
}

#[tokio::test]
async fn the_owner_sees_every_session_with_its_device_and_network() {
    let server = TestServer::start_with(&[("TRUSTED_PEERS", "127.0.0.1/32")]).await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    server.account(&client, "bob").await;
    let mut ids = vec![ada.session.session_id];
    for (device, address) in
        [("Ada's \u{1b}[31mphone\u{202e}", "198.51.100.77"), ("tablet", "2001:db8:1:2:3:4:5:6")]
    {
        server.clock.advance(Duration::from_secs(60));
        let login =
            Login { device: Some(device.into()), ..Login::new("ada".into(), PASSWORD.into()) };
        ids.push(client.call_with(login, on_behalf_of(address)).await.unwrap().session_id);
    }
    let token = ada.access();
    let sessions = client.call(list(&token)).await.unwrap().sessions;
    let of = |row: &SessionRow<'_>| (row.session_id, row.current.is_some());
    let expected = [(ids[0], true), (ids[2], false), (ids[1], false)];
    assert_eq!(sessions.iter().map(of).collect::<Vec<_>>(), expected, "the last used first");
    let named = |row: &SessionRow<'_>| {
        (row.device.as_deref().map(str::to_owned), row.network.as_deref().map(str::to_owned))
    };
    let (phone, network) = named(&sessions[2]);
    let phone = phone.unwrap();
    assert!(phone.starts_with("Ada's ") && !phone.contains(['\u{1b}', '\u{202e}']), "{phone:?}");
    assert_eq!(network.as_deref(), Some("198.51.100.0/24"));
    let expected = (Some("tablet".to_owned()), Some("2001:db8:1::/48".to_owned()));
    assert_eq!(named(&sessions[1]), expected);
    assert_eq!(sessions[0].device, None);
    for row in &sessions {
        // That of the token counts as used now: the time of its last refresh would tell a thief of
        // its refresh token when to present it without being noticed.
        let is_unused = row.created_at == row.last_used_at;
        assert_eq!(is_unused, row.current.is_none());
    }
    server.stop().await;
}

#[tokio::test]
async fn a_device_name_has_a_limit() {
    let server = TestServer::start().await;
    let client = server.client();
    server.account(&client, "ada").await;
    let login = |name: String| Login {
        device: Some(name.into()),
        ..Login::new("ada".into(), PASSWORD.into())
    };
    assert!(client.call(login("d".repeat(128))).await.is_ok());
    let refusal = refused(client.call(login("d".repeat(129))).await);
    assert_eq!(
        (refusal.code, refusal.field.as_deref()),
        (ErrorCode::INVALID_VALUE, Some("device"))
    );
    server.stop().await;
}

#[tokio::test]
async fn the_owner_ends_any_session_of_the_account_and_no_other() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let bob = server.account(&client, "bob").await;
    let other = server.login(&client, "ada").await;
    let token = ada.access();
    let call = |id| client.call(end(&token, id));
    for none in
        [Uuid::nil(), Uuid::max(), Uuid::new_v4(), bob.session.session_id, bob.session.user_id]
    {
        assert_eq!(call(none).await.unwrap().sessions_ended, 0, "{none}");
    }
    assert_eq!(check(&client, &bob.access()).await, None);
    assert_eq!(call(other.session_id).await.unwrap().sessions_ended, 1);
    let ended = other.access_token.expose_str().unwrap();
    assert_eq!(check(&client, ended).await, Some(ErrorCode::SESSION_REVOKED));
    assert_eq!(code_of(&client, list(ended)).await, ErrorCode::SESSION_REVOKED);
    assert_eq!(
        code_of(&client, end(ended, ada.session.session_id)).await,
        ErrorCode::SESSION_REVOKED
    );
    assert_eq!(call(other.session_id).await.unwrap().sessions_ended, 0, "it has ended already");
    assert_eq!(client.call(list(&token)).await.unwrap().sessions.len(), 1);
    assert_eq!(call(ada.session.session_id).await.unwrap().sessions_ended, 1, "the own session");
    assert_eq!(check(&client, &token).await, Some(ErrorCode::SESSION_REVOKED));
    assert_eq!(code_of(&client, list(&token)).await, ErrorCode::SESSION_REVOKED);
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_end_of_a_session_gets_the_first_reply() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let other = server.login(&client, "ada").await.session_id;
    let token = ada.access();
    let keyed = |number| Common {
        idempotency_key: Some(IdempotencyKey([number; 16])),
        ..Default::default()
    };
    for (key, id, ended) in [(1, other, 1), (1, other, 1), (2, other, 0), (2, other, 0)] {
        let reply = client.call_with(end(&token, id), keyed(key)).await.unwrap();
        assert_eq!(reply.sessions_ended, ended, "key {key}");
    }
    let refusal = refused(client.call_with(end(&token, Uuid::nil()), keyed(1)).await);
    assert_eq!(refusal.code, ErrorCode::IDEMPOTENCY_CONFLICT);
    server.stop().await;
}
