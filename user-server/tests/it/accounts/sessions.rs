//! The sessions of an account, as its owner lists and ends them.

use std::time::Duration;

use user_proto::{ErrorCode, ListSessions, Login, SessionRow};

use crate::support::{PASSWORD, TestServer, on_behalf_of, refused};

fn list(token: &str) -> ListSessions<'_> {
    ListSessions::new(token.into())
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
    let expected = [(ids[2], false), (ids[1], false), (ids[0], true)];
    assert_eq!(sessions.iter().map(of).collect::<Vec<_>>(), expected, "the newest first");
    let named = |row: &SessionRow<'_>| {
        (row.device.as_deref().map(str::to_owned), row.network.as_deref().map(str::to_owned))
    };
    let (phone, network) = named(&sessions[1]);
    let phone = phone.unwrap();
    assert!(phone.starts_with("Ada's ") && !phone.contains(['\u{1b}', '\u{202e}']), "{phone:?}");
    assert_eq!(network.as_deref(), Some("198.51.100.0/24"));
    let expected = (Some("tablet".to_owned()), Some("2001:db8:1::/48".to_owned()));
    assert_eq!(named(&sessions[0]), expected);
    assert_eq!(sessions[2].device, None);
    for row in &sessions {
        assert_eq!(row.created_at, row.last_used_at);
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
