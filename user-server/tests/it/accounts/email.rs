//! Changes of the email address.

use user_proto::client::Client;
use user_proto::{ConfirmEmail, ErrorCode, UpdateUser};
use uuid::Uuid;

use crate::support::{
    MAIL_PAUSE, PASSWORD, TestServer, code_of, login, refused, request_reset, reset,
    update_with_password, verify_email,
};

fn confirm<'a>(access_token: &'a str, verification_id: Uuid, code: &'a str) -> ConfirmEmail<'a> {
    ConfirmEmail { access_token: access_token.into(), verification_id, code: code.into() }
}

/// Requests a change of address, and returns the id of its verification.
async fn change_address(client: &Client, access: &str, address: &str) -> Uuid {
    let update = UpdateUser { email: Some(address.into()), ..update_with_password(access) };
    client.call(update).await.unwrap().verification_id.unwrap()
}

#[tokio::test]
async fn a_new_address_takes_effect_when_its_code_is_entered() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let access = ada.access();
    let open_reset = client.call(request_reset(&ada.email)).await.unwrap().verification_id;
    let reset_code = server.emails.code(&ada.email, 2).await;
    let id = change_address(&client, &access, "Ada@Engine.example").await;
    let code = server.emails.code("Ada@engine.example", 1).await;
    assert_eq!(
        code_of(&client, login("ada@engine.example", PASSWORD)).await,
        ErrorCode::INVALID_CREDENTIALS
    );

    let grace = server.account(&client, "grace").await.access();
    assert_eq!(
        code_of(&client, confirm(&grace, id, &code)).await,
        ErrorCode::CODE_EXPIRED,
        "the code of another user"
    );
    assert_eq!(
        code_of(&client, verify_email(id, &code)).await,
        ErrorCode::CODE_EXPIRED,
        "a code for another purpose"
    );
    let confirmed = client.call(confirm(&access, id, &code)).await.unwrap();
    assert_eq!((&*confirmed.username, &*confirmed.email), ("ada", "Ada@Engine.example"));
    let emails = server.emails.wait_for(&ada.email, 3).await;
    assert_eq!(emails[2].subject, "Your email address was changed");
    assert_eq!(
        code_of(&client, confirm(&access, id, &code)).await,
        ErrorCode::CODE_EXPIRED,
        "a code is used once"
    );
    assert_eq!(
        code_of(&client, reset(open_reset, &reset_code)).await,
        ErrorCode::CODE_EXPIRED,
        "every open code is voided"
    );
    assert!(client.call(login("ada@ENGINE.example", PASSWORD)).await.is_ok());
    assert_eq!(code_of(&client, login(&ada.email, PASSWORD)).await, ErrorCode::INVALID_CREDENTIALS);
    server.stop().await;
}

#[tokio::test]
async fn a_newer_change_voids_the_older() {
    let server = TestServer::start().await;
    let client = server.client();
    let access = server.account(&client, "ada").await.access();
    let older = change_address(&client, &access, "one@example.org").await;
    let older_code = server.emails.code("one@example.org", 1).await;
    let newer = change_address(&client, &access, "two@example.org").await;
    let newer_code = server.emails.code("two@example.org", 1).await;
    assert_eq!(
        code_of(&client, confirm(&access, older, &older_code)).await,
        ErrorCode::CODE_EXPIRED
    );
    assert_eq!(
        &*client.call(confirm(&access, newer, &newer_code)).await.unwrap().email,
        "two@example.org"
    );
    server.stop().await;
}

#[tokio::test]
async fn an_address_taken_before_its_confirmation_uses_up_the_code() {
    let server = TestServer::start().await;
    let client = server.client();
    let access = server.account(&client, "ada").await.access();
    let id = change_address(&client, &access, "grace@example.org").await;
    let code = server.emails.code("grace@example.org", 1).await;
    server.advance_outbox(&client, MAIL_PAUSE).await;
    let registered = server.register(&client, "grace", "grace@example.org").await;
    let registration_code = server.emails.code("grace@example.org", 2).await;
    let verify = verify_email(registered.verification_id, &registration_code);
    client.call(verify).await.unwrap();
    assert_eq!(
        code_of(&client, confirm(&access, id, "E")).await,
        ErrorCode::INVALID_CODE,
        "only the right code reveals it"
    );
    let taken = refused(client.call(confirm(&access, id, &code)).await);
    assert_eq!((taken.code, taken.field.as_deref()), (ErrorCode::EMAIL_TAKEN, Some("email")));
    assert_eq!(code_of(&client, confirm(&access, id, &code)).await, ErrorCode::CODE_EXPIRED);
    server.stop().await;
}
