//! A new e-mail address.

use user_proto::client::Client;
use user_proto::{ConfirmEmail, ErrorCode, UpdateUser};
use uuid::Uuid;

use crate::support::{
    MAIL_PAUSE, PASSWORD, TestServer, code_of, login, proved, refused, reset, reset_of,
    verify_email,
};

fn confirm<'a>(access_token: &'a str, verification_id: Uuid, code: &'a str) -> ConfirmEmail<'a> {
    ConfirmEmail { access_token: access_token.into(), verification_id, code: code.into() }
}

/// Asks for a new address; what its code verifies.
async fn move_to(client: &Client, access: &str, address: &str) -> Uuid {
    let moved = UpdateUser { email: Some(address.into()), ..proved(access) };
    client.call(moved).await.unwrap().verification_id.unwrap()
}

#[tokio::test]
async fn it_counts_when_its_code_is_entered() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let access = ada.access();
    let open_reset = client.call(reset_of(&ada.email)).await.unwrap().verification_id;
    let reset_code = server.mails.code(&ada.email, 2).await;
    let id = move_to(&client, &access, "Ada@Engine.example").await;
    let code = server.mails.code("Ada@engine.example", 1).await;
    assert_eq!(
        code_of(&client, login("ada@engine.example", PASSWORD)).await,
        ErrorCode::INVALID_CREDENTIALS
    );

    let grace = server.account(&client, "grace").await.access();
    assert_eq!(
        code_of(&client, confirm(&grace, id, &code)).await,
        ErrorCode::CODE_EXPIRED,
        "another's code is none"
    );
    assert_eq!(
        code_of(&client, verify_email(id, &code)).await,
        ErrorCode::CODE_EXPIRED,
        "nor is another purpose's"
    );
    let confirmed = client.call(confirm(&access, id, &code)).await.unwrap();
    assert_eq!((&*confirmed.username, &*confirmed.email), ("ada", "Ada@Engine.example"));
    let told = server.mails.wait_for(&ada.email, 3).await;
    assert_eq!(told[2].subject, "Your email address was changed");
    assert_eq!(
        code_of(&client, confirm(&access, id, &code)).await,
        ErrorCode::CODE_EXPIRED,
        "it is used once"
    );
    assert_eq!(
        code_of(&client, reset(open_reset, &reset_code)).await,
        ErrorCode::CODE_EXPIRED,
        "every open code is void"
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
    let older = move_to(&client, &access, "one@example.org").await;
    let older_code = server.mails.code("one@example.org", 1).await;
    let newer = move_to(&client, &access, "two@example.org").await;
    let newer_code = server.mails.code("two@example.org", 1).await;
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
async fn an_address_that_is_taken_meanwhile_spends_the_code() {
    let server = TestServer::start().await;
    let client = server.client();
    let access = server.account(&client, "ada").await.access();
    let id = move_to(&client, &access, "grace@example.org").await;
    let code = server.mails.code("grace@example.org", 1).await;
    server.turn(&client, MAIL_PAUSE).await;
    let (theirs, their_code) = {
        let id = server.register(&client, "grace", "grace@example.org").await.verification_id;
        (id, server.mails.code("grace@example.org", 2).await)
    };
    client.call(verify_email(theirs, &their_code)).await.unwrap();
    assert_eq!(
        code_of(&client, confirm(&access, id, "E")).await,
        ErrorCode::INVALID_CODE,
        "only the right code tells"
    );
    let taken = refused(client.call(confirm(&access, id, &code)).await);
    assert_eq!((taken.code, taken.field.as_deref()), (ErrorCode::EMAIL_TAKEN, Some("email")));
    assert_eq!(code_of(&client, confirm(&access, id, &code)).await, ErrorCode::CODE_EXPIRED);
    server.stop().await;
}
