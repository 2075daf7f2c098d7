//! The main job, end to end: what a person does with an account, over the wire.

use user_proto::{
    ConfirmEmail, DeleteUser, ErrorCode, GetUser, Login, Logout, RefreshToken, RequestPasswordReset, ResetPassword,
    UpdateUser, VerifyToken,
};

use crate::support::{PASSWORD, TestServer, code_of};

fn update(token: &str) -> UpdateUser<'_> {
    let access_token = token.into();
    UpdateUser { access_token, username: None, email: None, new_password: None, current_password: None }
}

#[tokio::test]
async fn a_person_registers_lives_and_leaves() {
    take(TestServer::start().await).await;
}

/// The whole tour, on whatever the server runs on.
pub async fn take(server: TestServer) {
    let client = server.client();
    let ada = server.account(&client, "Ada").await;

    let by_name = server.login(&client, "ada").await;
    let by_mail = server.login(&client, "ADA@example.org").await;
    assert_eq!(by_name.user_id, by_mail.user_id);
    assert_ne!(by_name.session_id, by_mail.session_id);

    let access = by_name.access_token.expose_str().unwrap();
    let verified = client.call(VerifyToken { access_token: access.into() }).await.unwrap();
    assert_eq!((verified.user_id, verified.session_id), (by_name.user_id, by_name.session_id));
    assert_eq!(verified.expires_at.0 - verified.issued_at.0, 900);
    assert_eq!(verified.stale_ms, None);

    let user = client.call(GetUser { access_token: access.into() }).await.unwrap();
    assert_eq!((&*user.username, &*user.email), ("Ada", "Ada@example.org"));

    let refreshed = client.call(RefreshToken { refresh_token: by_name.refresh_token.clone() }).await.unwrap();
    assert_eq!(refreshed.session_id, by_name.session_id);

    let renamed = client.call(UpdateUser { username: Some("Lovelace".into()), ..update(access) }).await.unwrap();
    assert_eq!(&*renamed.username, "Lovelace");

    let moved = UpdateUser { email: Some("ada@engine.example".into()), ..update(access) };
    assert_eq!(code_of(&client, moved.clone()).await, ErrorCode::INVALID_CREDENTIALS);
    let moved = UpdateUser { current_password: Some(PASSWORD.into()), ..moved };
    let waiting = client.call(moved).await.unwrap();
    assert_eq!(&*waiting.email, "Ada@example.org", "the new address waits for its code");
    let code = server.mails.code("ada@engine.example", 1).await;
    let verification_id = waiting.verification_id.unwrap();
    let confirm = ConfirmEmail { access_token: access.into(), verification_id, code: code.as_str().into() };
    let confirmed = client.call(confirm).await.unwrap();
    assert_eq!(&*confirmed.email, "ada@engine.example");
    assert!(server.mails.wait_for(&ada.email, 2).await[1].subject.contains("e-mail address was changed"));

    let logout = Logout { token: by_mail.access_token.clone(), all_sessions: None };
    assert_eq!(client.call(logout).await.unwrap().sessions_ended, 1);
    assert_eq!(
        code_of(&client, VerifyToken { access_token: by_mail.access_token.clone() }).await,
        ErrorCode::SESSION_REVOKED
    );

    let request = RequestPasswordReset { email: "ada@engine.example".into() };
    let reset = client.call(request).await.unwrap();
    let code = server.mails.code("ada@engine.example", 2).await;
    assert_eq!(code.len(), 11, "{code}");
    let new_password = "the engine weaves algebra";
    let verification_id = reset.verification_id;
    let reset = ResetPassword { verification_id, code: code.as_str().into(), new_password: new_password.into() };
    assert_eq!(client.call(reset).await.unwrap().sessions_ended, 2);
    assert_eq!(code_of(&client, VerifyToken { access_token: access.into() }).await, ErrorCode::SESSION_REVOKED);

    let old = Login { login: "lovelace".into(), password: PASSWORD.into() };
    assert_eq!(code_of(&client, old).await, ErrorCode::INVALID_CREDENTIALS);
    let login = Login { login: "lovelace".into(), password: new_password.into() };
    let last = client.call(login.clone()).await.unwrap();
    let delete = DeleteUser { access_token: last.access_token.clone(), current_password: new_password.into() };
    assert_eq!(client.call(delete).await.unwrap().user_id, by_name.user_id);
    assert_eq!(
        code_of(&client, VerifyToken { access_token: last.access_token.clone() }).await,
        ErrorCode::SESSION_REVOKED
    );
    assert_eq!(
        code_of(&client, RefreshToken { refresh_token: last.refresh_token.clone() }).await,
        ErrorCode::SESSION_REVOKED
    );
    assert_eq!(code_of(&client, login).await, ErrorCode::INVALID_CREDENTIALS);
    client.close().await;
    server.stop().await;
}
