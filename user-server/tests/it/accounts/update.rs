//! Updates of an account, which are atomic.

use user_proto::{ErrorCode, GetUser, UpdateUser};

use crate::support::{
    NEW_PASSWORD, PASSWORD, TestServer, code_of, login, refused, update, update_with_password,
};

#[tokio::test]
async fn an_update_without_changes_is_refused() {
    let server = TestServer::start().await;
    let client = server.client();
    let access = server.account(&client, "ada").await.access();
    assert_eq!(code_of(&client, update(&access)).await, ErrorCode::NOTHING_TO_UPDATE);
    assert_eq!(code_of(&client, update_with_password(&access)).await, ErrorCode::NOTHING_TO_UPDATE);
    let same =
        UpdateUser { email: Some("ADA@Example.org".into()), ..update_with_password(&access) };
    assert_eq!(
        code_of(&client, same).await,
        ErrorCode::NOTHING_TO_UPDATE,
        "the user's own address"
    );
    let named = UpdateUser {
        username: Some("ADA".into()),
        email: Some("ada@example.org".into()),
        ..update_with_password(&access)
    };
    let updated = client.call(named).await.unwrap();
    assert_eq!(
        (&*updated.username, updated.verification_id),
        ("ADA", None),
        "the user's own name in another case"
    );
    server.stop().await;
}

#[tokio::test]
async fn all_changes_but_the_name_need_the_current_password() {
    let server = TestServer::start().await;
    let client = server.client();
    let access = server.account(&client, "ada").await.access();
    let named = UpdateUser { username: Some("Lovelace".into()), ..update(&access) };
    assert_eq!(&*client.call(named).await.unwrap().username, "Lovelace");
    let email_update = UpdateUser { email: Some("new@example.org".into()), ..update(&access) };
    let password_update = UpdateUser { new_password: Some(NEW_PASSWORD.into()), ..update(&access) };
    for change in [email_update, password_update] {
        let wrong =
            UpdateUser { current_password: Some("tides rise at ten".into()), ..change.clone() };
        for change in [change, wrong] {
            let refusal = refused(client.call(change).await);
            let expected = (ErrorCode::INVALID_CREDENTIALS, Some("current_password"));
            assert_eq!((refusal.code, refusal.field.as_deref()), expected);
        }
    }
    assert!(server.emails.to("new@example.org").is_empty());
    assert!(client.call(login("lovelace", PASSWORD)).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn a_taken_name_rejects_the_whole_update() {
    let server = TestServer::start().await;
    let client = server.client();
    server.account(&client, "Grace").await;
    let access = server.account(&client, "ada").await.access();
    let other = server.login(&client, "ada").await;
    let change = UpdateUser {
        username: Some("GRACE".into()),
        email: Some("new@example.org".into()),
        new_password: Some(NEW_PASSWORD.into()),
        ..update_with_password(&access)
    };
    let refusal = refused(client.call(change).await);
    assert_eq!(
        (refusal.code, refusal.field.as_deref()),
        (ErrorCode::USERNAME_TAKEN, Some("username"))
    );
    let user = client.call(GetUser { access_token: other.access_token.clone() }).await.unwrap();
    assert_eq!((&*user.username, &*user.email), ("ada", "ada@example.org"));
    assert!(client.call(login("ada", PASSWORD)).await.is_ok());
    assert_eq!(code_of(&client, login("ada", NEW_PASSWORD)).await, ErrorCode::INVALID_CREDENTIALS);
    assert!(server.emails.to("new@example.org").is_empty());
    server.stop().await;
}
