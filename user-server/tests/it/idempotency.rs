//! Repeats under an idempotency key: one change, and the same reply for each repeat.

use std::sync::Arc;
use std::time::Duration;

use user_proto::client::Client;
use user_proto::{
    Common, ConfirmEmail, DeleteUser, EndSession, ErrorCode, IdempotencyKey, Logout, RefreshToken,
    Request, RequestMessage, ResendCode, ResetPassword, UpdateUser,
};

use user_server::domain::{Clock, Store};
use user_server::store::SqliteStore;

use crate::support::{
    Changes, MAIL_PAUSE, PASSWORD, SECRET, TestServer, Wire, check, login, on_behalf_of, outcome,
    postgres, refused, refused_at, register, request_frame, request_reset, reset, update,
    update_with_password, verify_email,
};

fn keyed(number: u8) -> Common<'static> {
    Common { idempotency_key: Some(IdempotencyKey([number; 16])), ..Common::default() }
}

/// Address of the end user.
const HOME: &str = "192.0.2.7";

/// Sends a request twice, two seconds apart, asserts that the replies are equal, and returns them.
async fn twice<M: RequestMessage + Clone>(
    server: &TestServer,
    client: &Client,
    request: M,
    key: u8,
) -> M::Reply
where
    M::Reply: PartialEq + std::fmt::Debug,
{
    let first = client.call_with(request.clone(), keyed(key)).await.unwrap();
    server.clock.advance(Duration::from_secs(2));
    let again = client.call_with(request, keyed(key)).await.unwrap();
    assert_eq!(first, again);
    first
}

async fn every_change_is_made_once(settings: &[(&str, &str)]) {
    let server = TestServer::start_with(settings).await;
    let client = server.client();
    let registered = twice(&server, &client, register("ada", "ada@example.org"), 1).await;
    server.emails.code("ada@example.org", 1).await;
    server.clock.advance(MAIL_PAUSE);
    let resend = ResendCode { verification_id: registered.verification_id };
    twice(&server, &client, resend, 2).await;
    server.clock.advance(MAIL_PAUSE);
    let code = server.emails.code("ada@example.org", 2).await;
    let first = twice(&server, &client, verify_email(registered.verification_id, &code), 3).await;
    let opened = twice(&server, &client, login("ada", PASSWORD), 4).await;
    assert_ne!(first.session_id, opened.session_id);
    let refresh = RefreshToken { refresh_token: opened.refresh_token.clone() };
    let refreshed = twice(&server, &client, refresh, 5).await;
    let access = refreshed.access_token.expose_str().unwrap();
    assert_eq!(check(&client, access).await, None);
    let email_update =
        UpdateUser { email: Some("new@example.org".into()), ..update_with_password(access) };
    let updated = twice(&server, &client, email_update, 6).await;
    let change = updated.verification_id.unwrap();
    let code = server.emails.code("new@example.org", 1).await;
    let confirm = ConfirmEmail {
        access_token: access.into(),
        verification_id: change,
        code: code.as_str().into(),
    };
    assert_eq!(twice(&server, &client, confirm, 7).await.email, "new@example.org");
    let requested = twice(&server, &client, request_reset("new@example.org"), 8).await;
    let code = server.emails.code("new@example.org", 2).await;
    let reset: ResetPassword<'_> = reset(requested.verification_id, &code);
    assert_eq!(twice(&server, &client, reset.clone(), 9).await.sessions_ended, 2);
    let new_password = reset.new_password.expose_str().unwrap().to_owned();
    // The session of the stored reply has ended.
    let stale = refused(client.call_with(login("ada", PASSWORD), keyed(4)).await);
    assert_eq!(stale.code, ErrorCode::SESSION_REVOKED);
    let opened = client.call(login("ada", &new_password)).await.unwrap();
    let other = client.call(login("ada", &new_password)).await.unwrap();
    let logout = Logout { token: other.refresh_token.clone(), all_sessions: None };
    assert_eq!(twice(&server, &client, logout, 10).await.sessions_ended, 1);
    let delete = DeleteUser {
        access_token: opened.access_token.clone(),
        current_password: new_password.as_str().into(),
    };
    assert_eq!(twice(&server, &client, delete, 11).await.user_id, opened.user_id);
    let conflict = refused(client.call_with(register("ada2", "ada@example.org"), keyed(1)).await);
    assert_eq!(conflict.code, ErrorCode::IDEMPOTENCY_CONFLICT);
    server.stop().await;
}

#[tokio::test]
async fn every_change_is_made_once_on_sqlite() {
    every_change_is_made_once(&[]).await;
}

#[tokio::test]
async fn every_change_is_made_once_on_postgresql() {
    let Some(postgres) = postgres() else { return };
    let database = postgres.database();
    let folder = tempfile::tempdir().unwrap();
    let mail_dir = folder.path().to_str().unwrap();
    every_change_is_made_once(&[
        ("PostgreSQL", &database),
        ("JWTSECRETKEY", SECRET),
        ("MAIL_DIR", mail_dir),
    ])
    .await;
}

#[tokio::test]
async fn a_key_outlives_the_process_and_is_forgotten_after_a_day() {
    let server = TestServer::start().await;
    server.account(&server.client(), "ada").await;
    let first = server.client().call_with(login("ada", PASSWORD), keyed(1)).await.unwrap();
    let folder = server.stop().await;
    let server = TestServer::start_in(folder, &[]).await;
    let client = server.client();
    assert_eq!(client.call_with(login("ada", PASSWORD), keyed(1)).await.unwrap(), first);
    let other = client.call_with(login("ada", "another password"), keyed(1)).await;
    assert_eq!(refused(other).code, ErrorCode::IDEMPOTENCY_CONFLICT, "a key never has two replies");
    server.clock.advance(Duration::from_secs(23 * 3600));
    assert_eq!(
        client.call_with(login("ada", PASSWORD), keyed(1)).await.unwrap(),
        first,
        "the same reply, with expired tokens"
    );
    server.clock.advance(Duration::from_secs(3600 + 1));
    let second = client.call_with(login("ada", PASSWORD), keyed(1)).await.unwrap();
    assert_ne!(second.session_id, first.session_id);
    server.stop().await;
}

#[tokio::test]
async fn a_repeat_after_a_key_rotation_gets_the_same_reply() {
    let (old, new) = (
        "the old secret of a node: thirty-two bytes and more",
        "the new secret of a node: thirty-two bytes!",
    );
    let server = TestServer::start_with(&[("JWTSECRETKEY", old)]).await;
    server.account(&server.client(), "ada").await;
    let first = server.client().call_with(login("ada", PASSWORD), keyed(1)).await.unwrap();
    let rolled = [("JWTSECRETKEY", new), ("JWTSECRETKEY_ACCEPT", old)];
    let server = TestServer::start_in(server.stop().await, &rolled).await;
    let client = server.client();
    let again = client.call_with(login("ada", PASSWORD), keyed(1)).await.unwrap();
    assert_eq!(again, first, "signed with the key of the first reply");
    assert_eq!(check(&client, again.access_token.expose_str().unwrap()).await, None);
    let next = client.call_with(login("ada", PASSWORD), keyed(2)).await.unwrap();
    assert_ne!(next.access_token, again.access_token);
    server.stop().await;
}

#[tokio::test]
async fn a_repeat_returns_no_token_of_a_session_that_ended_elsewhere() {
    let server = TestServer::start().await;
    let client = server.client();
    server.account(&client, "ada").await;
    let first = client.call_with(login("ada", PASSWORD), keyed(1)).await.unwrap();
    // Ends the session on another node, before this one has read the revocation.
    let other = SqliteStore::attach(&server.folder.path().join("users.db")).await.unwrap();
    let other: Arc<dyn Store> = Arc::new(other);
    let ended = other.end_session_at(first.session_id, server.clock.now()).await.unwrap();
    assert_eq!(ended.sessions, 1);
    let again = client.call_with(login("ada", PASSWORD), keyed(1)).await;
    assert_eq!(refused(again).code, ErrorCode::SESSION_REVOKED);
    server.stop().await;
}

#[tokio::test]
async fn a_repeat_costs_no_budget_and_a_refusal_is_not_stored() {
    let server = TestServer::start_frozen().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let opened = client.call_with(login("ada", PASSWORD), keyed(1)).await.unwrap();
    for _ in 0..5 {
        let wrong = refused_at(&client, HOME, login("ada", "wrong password")).await;
        assert_eq!(wrong.0, ErrorCode::INVALID_CREDENTIALS);
    }
    assert_eq!(refused_at(&client, HOME, login("ada", PASSWORD)).await.0, ErrorCode::RATE_LIMITED);
    let from_home =
        |key| Common { idempotency_key: keyed(key).idempotency_key, ..on_behalf_of(HOME) };
    assert_eq!(client.call_with(login("ada", PASSWORD), from_home(1)).await.unwrap(), opened);
    let limited = outcome(client.call_with(login("ada", PASSWORD), from_home(2)).await);
    assert_eq!(limited.unwrap_err(), ErrorCode::RATE_LIMITED);
    server.clock.advance(Duration::from_secs(2));
    let after = client.call_with(login("ada", PASSWORD), from_home(2)).await.unwrap();
    assert_ne!(after.session_id, opened.session_id, "the refusal leaves the key free");
    // A repeat is authorized like the request: the session that changed the name has ended.
    let access = ada.access();
    let rename = UpdateUser { username: Some("lovelace".into()), ..update(&access) };
    client.call_with(rename.clone(), keyed(3)).await.unwrap();
    client.call(Logout { token: access.as_str().into(), all_sessions: None }).await.unwrap();
    assert_eq!(refused(client.call_with(rename, keyed(3)).await).code, ErrorCode::SESSION_REVOKED);
    server.stop().await;
}

/// A request that can only fail writes nothing, also with an idempotency key.
#[tokio::test]
async fn a_request_that_can_only_fail_claims_no_key() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let access = ada.access();
    let log = server.folder.path().join("users.db-wal");
    let before = crate::groups::commits(&log);
    let unknown = uuid::Uuid::new_v4();
    let confirm = |token| ConfirmEmail {
        access_token: token,
        verification_id: unknown,
        code: "123456".into(),
    };
    let rename = |token| UpdateUser { username: Some("grace".into()), ..update(token) };
    let delete = DeleteUser { access_token: "garbage".into(), current_password: PASSWORD.into() };
    let end = EndSession { access_token: "garbage".into(), session_id: unknown };
    let logout = Logout { token: "garbage".into(), all_sessions: None };
    let requests: Vec<(ErrorCode, Request<'_>)> = vec![
        (ErrorCode::INVALID_TOKEN, rename("garbage").into()),
        (ErrorCode::NOTHING_TO_UPDATE, update(&access).into()),
        (ErrorCode::INVALID_TOKEN, delete.into()),
        (ErrorCode::INVALID_TOKEN, end.into()),
        (ErrorCode::INVALID_TOKEN, logout.into()),
        (ErrorCode::INVALID_TOKEN, RefreshToken { refresh_token: "garbage".into() }.into()),
        (ErrorCode::INVALID_TOKEN, confirm("garbage".into()).into()),
        (ErrorCode::CODE_EXPIRED, confirm(access.as_str().into()).into()),
        (ErrorCode::CODE_EXPIRED, verify_email(unknown, "123456").into()),
        (ErrorCode::CODE_EXPIRED, reset(unknown, "00000-00000").into()),
        (ErrorCode::CODE_EXPIRED, ResendCode { verification_id: unknown }.into()),
        (ErrorCode::USERNAME_TAKEN, register("ada", "ada2@example.org").into()),
        (ErrorCode::INVALID_EMAIL, register("grace", "no address").into()),
        (ErrorCode::INVALID_EMAIL, request_reset("no address").into()),
    ];
    let mut wire = Wire::connect(server.address).await;
    for (number, (code, request)) in (1..).zip(requests) {
        wire.send(&request_frame(number.into(), request, &keyed(number))).await;
        assert_eq!(wire.refusal(number.into()).await.code, code, "request {number}");
    }
    assert_eq!(crate::groups::commits(&log), before);
    // The key of a request that has ended its own session is still answered.
    let logout = Logout { token: access.as_str().into(), all_sessions: None };
    twice(&server, &client, logout, 99).await;
    server.stop().await;
}
