//! The main job, end to end: what a person does with an account, over the wire.

use user_proto::{
    ConfirmEmail, DeleteUser, ErrorCode, GetUser, Login, Logout, RefreshToken,
    RequestPasswordReset, ResetPassword, UpdateUser, VerifyToken,
};

use crate::support::{PASSWORD, Site, TestServer, code_of};

fn update(token: &str) -> UpdateUser<'_> {
    let access_token = token.into();
    UpdateUser {
        access_token,
        username: None,
        email: None,
        new_password: None,
        current_password: None,
    }
}

#[tokio::test]
async fn a_person_registers_lives_and_leaves() {
    take(TestServer::start().await).await;
}

/// The whole tour, on whatever the server runs on.
pub async fn take(server: TestServer) {
    walk(&server).await;
    server.stop().await;
}

/// The same wherever the service is: each step asks another connection, and so, before several
/// nodes, another node.
pub async fn walk(site: &Site) {
    let crowd = site.crowd();
    let mut turns = crowd.iter().cycle();
    let mut next = || turns.next().unwrap();
    let ada = site.account(next(), "Ada").await;

    let by_name = site.login(next(), "ada").await;
    let by_mail = site.login(next(), "ADA@example.org").await;
    assert_eq!(by_name.user_id, by_mail.user_id);
    assert_ne!(by_name.session_id, by_mail.session_id);

    let access = by_name.access_token.expose_str().unwrap();
    let verified = next().call(VerifyToken { access_token: access.into() }).await.unwrap();
    assert_eq!((verified.user_id, verified.session_id), (by_name.user_id, by_name.session_id));
    assert_eq!(verified.expires_at.0 - verified.issued_at.0, 900);
    assert_eq!(verified.stale_ms, None);

    let user = next().call(GetUser { access_token: access.into() }).await.unwrap();
    assert_eq!((&*user.username, &*user.email), ("Ada", "Ada@example.org"));

    let refreshed =
        next().call(RefreshToken { refresh_token: by_name.refresh_token.clone() }).await.unwrap();
    assert_eq!(refreshed.session_id, by_name.session_id);

    let renamed = next()
        .call(UpdateUser { username: Some("Lovelace".into()), ..update(access) })
        .await
        .unwrap();
    assert_eq!(&*renamed.username, "Lovelace");

    let moved = UpdateUser { email: Some("ada@engine.example".into()), ..update(access) };
    assert_eq!(code_of(next(), moved.clone()).await, ErrorCode::INVALID_CREDENTIALS);
    let moved = UpdateUser { current_password: Some(PASSWORD.into()), ..moved };
    let waiting = next().call(moved).await.unwrap();
    assert_eq!(&*waiting.email, "Ada@example.org", "the new address waits for its code");
    let code = site.mails.code("ada@engine.example", 1).await;
    let verification_id = waiting.verification_id.unwrap();
    let confirm =
        ConfirmEmail { access_token: access.into(), verification_id, code: code.as_str().into() };
    let confirmed = next().call(confirm).await.unwrap();
    assert_eq!(&*confirmed.email, "ada@engine.example");
    assert!(
        site.mails.wait_for(&ada.email, 2).await[1].subject.contains("email address was changed")
    );

    let logout = Logout { token: by_mail.access_token.clone(), all_sessions: None };
    assert_eq!(next().call(logout).await.unwrap().sessions_ended, 1);
    site.has_ended(next(), by_mail.access_token.expose_str().unwrap()).await;

    let request = RequestPasswordReset { email: "ada@engine.example".into() };
    let reset = next().call(request).await.unwrap();
    let code = site.mails.code("ada@engine.example", 2).await;
    assert_eq!(code.len(), 11, "{code}");
    let new_password = "the engine weaves algebra";
    let verification_id = reset.verification_id;
    let reset = ResetPassword {
        verification_id,
        code: code.as_str().into(),
        new_password: new_password.into(),
    };
    assert_eq!(next().call(reset).await.unwrap().sessions_ended, 2);
    site.has_ended(next(), access).await;

    let old = Login { login: "lovelace".into(), password: PASSWORD.into() };
    assert_eq!(code_of(next(), old).await, ErrorCode::INVALID_CREDENTIALS);
    let login = Login { login: "lovelace".into(), password: new_password.into() };
    let last = next().call(login.clone()).await.unwrap();
    let delete = DeleteUser {
        access_token: last.access_token.clone(),
        current_password: new_password.into(),
    };
    assert_eq!(next().call(delete).await.unwrap().user_id, by_name.user_id);
    site.has_ended(next(), last.access_token.expose_str().unwrap()).await;
    assert_eq!(
        code_of(next(), RefreshToken { refresh_token: last.refresh_token.clone() }).await,
        ErrorCode::SESSION_REVOKED
    );
    assert_eq!(code_of(next(), login).await, ErrorCode::INVALID_CREDENTIALS);
    for client in crowd {
        client.close().await;
    }
}
