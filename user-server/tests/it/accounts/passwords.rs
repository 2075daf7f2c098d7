//! Changes and resets of passwords, and deletion of accounts.

use user_proto::{DeleteUser, ErrorCode, GetUser, RefreshToken, ResetPassword, UpdateUser};

use crate::support::{
    MAIL_PAUSE, NEW_PASSWORD, PASSWORD, TestServer, check, code_of, login, on_behalf_of, outcome,
    refused, refused_at, request_reset, reset, update_with_password, verify_email,
};

#[tokio::test]
async fn a_new_password_ends_every_other_session_and_code() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let other = server.login(&client, "ada").await;
    let open_reset = client.call(request_reset(&ada.email)).await.unwrap().verification_id;
    let code = server.emails.code(&ada.email, 2).await;
    let access = ada.access();
    let change =
        UpdateUser { new_password: Some(NEW_PASSWORD.into()), ..update_with_password(&access) };
    assert_eq!(client.call(change).await.unwrap().verification_id, None);
    assert_eq!(check(&client, &access).await, None, "the session that changed it stays");
    assert_eq!(
        check(&client, other.access_token.expose_str().unwrap()).await,
        Some(ErrorCode::SESSION_REVOKED)
    );
    let refresh = RefreshToken { refresh_token: other.refresh_token.clone() };
    assert_eq!(code_of(&client, refresh).await, ErrorCode::SESSION_REVOKED);
    assert_eq!(code_of(&client, reset(open_reset, &code)).await, ErrorCode::CODE_EXPIRED);
    assert_eq!(server.emails.wait_for(&ada.email, 3).await[2].subject, "Your password was changed");
    assert_eq!(code_of(&client, login("ada", PASSWORD)).await, ErrorCode::INVALID_CREDENTIALS);
    assert!(client.call(login("ada", NEW_PASSWORD)).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn a_reset_ends_every_session_and_clears_every_wait() {
    let server = TestServer::start().await;
    server.clock.freeze();
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    for _ in 0..5 {
        let wrong = login("ada", "tides rise at ten");
        assert_eq!(refused_at(&client, "192.0.2.7", wrong).await.0, ErrorCode::INVALID_CREDENTIALS);
    }
    assert_eq!(
        refused_at(&client, "192.0.2.7", login("ada", PASSWORD)).await.0,
        ErrorCode::RATE_LIMITED
    );
    let id = client.call(request_reset("ADA@example.org")).await.unwrap().verification_id;
    let code = server.emails.code(&ada.email, 2).await;
    assert_eq!(
        code_of(&client, verify_email(id, &code)).await,
        ErrorCode::CODE_EXPIRED,
        "a code for another purpose"
    );
    for bad in ["short", "password", "ada@example.org"] {
        let refusal = refused(
            client.call(ResetPassword { new_password: bad.into(), ..reset(id, &code) }).await,
        );
        assert_eq!(
            (refusal.code, refusal.field.as_deref()),
            (ErrorCode::INVALID_PASSWORD, Some("new_password")),
            "{bad}"
        );
    }
    // Case, dashes and spaces are ignored.
    let as_typed = code.to_lowercase().replace('-', " ");
    assert_eq!(client.call(reset(id, &as_typed)).await.unwrap().sessions_ended, 1);
    assert_eq!(check(&client, &ada.access()).await, Some(ErrorCode::SESSION_REVOKED));
    assert_eq!(server.emails.wait_for(&ada.email, 3).await[2].subject, "Your password was reset");
    assert_eq!(code_of(&client, reset(id, &code)).await, ErrorCode::CODE_EXPIRED);
    assert!(
        client.call_with(login("ada", NEW_PASSWORD), on_behalf_of("192.0.2.7")).await.is_ok(),
        "the reset ended the wait"
    );
    server.stop().await;
}

#[tokio::test]
async fn five_wrong_codes_void_a_reset() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let id = client.call(request_reset(&ada.email)).await.unwrap().verification_id;
    let code = server.emails.code(&ada.email, 2).await;
    for _ in 0..5 {
        assert_eq!(code_of(&client, reset(id, "AAAAA-AAAAA")).await, ErrorCode::INVALID_CODE);
    }
    assert_eq!(code_of(&client, reset(id, &code)).await, ErrorCode::CODE_EXPIRED);
    assert_eq!(check(&client, &ada.access()).await, None);
    server.stop().await;
}

#[tokio::test]
async fn a_deleted_account_is_gone_at_once() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let (access, other) = (ada.access(), server.login(&client, "ada").await);
    let delete = |password: &'static str| DeleteUser {
        access_token: other.access_token.clone(),
        current_password: password.into(),
    };
    let wrong = refused(client.call(delete("tides rise at ten")).await);
    assert_eq!(
        (wrong.code, wrong.field.as_deref()),
        (ErrorCode::INVALID_CREDENTIALS, Some("current_password"))
    );
    assert_eq!(check(&client, &access).await, None);
    client.call(delete(PASSWORD)).await.unwrap();
    assert_eq!(check(&client, &access).await, Some(ErrorCode::SESSION_REVOKED));
    let get = GetUser { access_token: access.as_str().into() };
    assert_eq!(code_of(&client, get).await, ErrorCode::SESSION_REVOKED);
    let refresh = RefreshToken { refresh_token: ada.session.refresh_token.clone() };
    assert_eq!(code_of(&client, refresh).await, ErrorCode::SESSION_REVOKED);
    assert_eq!(code_of(&client, login("ada", PASSWORD)).await, ErrorCode::INVALID_CREDENTIALS);
    assert_eq!(server.emails.wait_for(&ada.email, 2).await[1].subject, "Your account was deleted");
    server.advance_outbox(&client, MAIL_PAUSE).await;
    // The name and the address can be registered again.
    let id = server.register(&client, "ADA", &ada.email).await.verification_id;
    let code = server.emails.code(&ada.email, 3).await;
    assert!(outcome(client.call(verify_email(id, &code)).await).is_ok());
    assert_eq!(
        check(&client, &access).await,
        Some(ErrorCode::SESSION_REVOKED),
        "the new account does not revive old tokens"
    );
    server.stop().await;
}
