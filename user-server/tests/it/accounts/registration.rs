//! Registrations and their confirmation.

use std::time::Duration;

use user_proto::{ErrorCode, GetUser, VerifyEmail};
use uuid::Uuid;

use crate::support::{
    MAIL_PAUSE, NO_CODE, PASSWORD, TestServer, code_of, login, outcome, refused, register,
    request_reset, verify_email,
};

#[tokio::test]
async fn a_code_expires_as_announced() {
    let server = TestServer::start().await;
    server.clock.freeze();
    let client = server.client();
    let registered = client.call(register("ada", "ada@example.org")).await.unwrap();
    assert_eq!((registered.code_expires_in, registered.resend_after), (900, 60));
    let ada = (registered.verification_id, server.emails.code("ada@example.org", 1).await);
    let grace = server.registered_code(&client, "grace", "grace@example.org").await;
    server.clock.advance(Duration::from_secs(899));
    assert!(client.call(verify_email(ada.0, &ada.1)).await.is_ok());
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(code_of(&client, verify_email(grace.0, &grace.1)).await, ErrorCode::CODE_EXPIRED);
    assert_eq!(
        code_of(&client, verify_email(ada.0, &ada.1)).await,
        ErrorCode::CODE_EXPIRED,
        "a used code"
    );
    assert_eq!(
        code_of(&client, verify_email(Uuid::new_v4(), &ada.1)).await,
        ErrorCode::CODE_EXPIRED,
        "an unknown id"
    );
    server.stop().await;
}

#[tokio::test]
async fn five_wrong_codes_void_a_registration() {
    let server = TestServer::start().await;
    let client = server.client();
    let (id, code) = server.registered_code(&client, "ada", "ada@example.org").await;
    assert_eq!(code.len(), 6, "{code}");
    for _ in 0..5 {
        assert_eq!(code_of(&client, verify_email(id, NO_CODE)).await, ErrorCode::INVALID_CODE);
    }
    assert_eq!(code_of(&client, verify_email(id, &code)).await, ErrorCode::CODE_EXPIRED);
    server.stop().await;
}

#[tokio::test]
async fn no_code_is_valid_before_its_email() {
    let server = TestServer::start().await;
    let client = server.client();
    server.registered_code(&client, "ada", "ada@example.org").await;
    let waiting = server.register(&client, "ada", "ada@example.org").await.verification_id;
    for _ in 0..4 {
        let refused = code_of(&client, verify_email(waiting, NO_CODE)).await;
        assert_eq!(refused, ErrorCode::INVALID_CODE, "as if the email had been sent");
    }
    server.advance_outbox(&client, MAIL_PAUSE).await;
    let code = server.emails.code("ada@example.org", 2).await;
    assert!(client.call(verify_email(waiting, &code)).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn a_pending_registration_is_not_an_account() {
    let server = TestServer::start().await;
    let client = server.client();
    let (id, code) = server.registered_code(&client, "ada", "ada@example.org").await;
    for name in ["ada", "ada@example.org"] {
        assert_eq!(code_of(&client, login(name, PASSWORD)).await, ErrorCode::INVALID_CREDENTIALS);
    }
    // The registration reserves nothing: another one may use the same name and address.
    assert!(outcome(client.call(register("ADA", "ADA@example.org")).await).is_ok());
    // A code is valid only for its own purpose.
    let reset = client.call(request_reset("ada@example.org")).await.unwrap().verification_id;
    assert_eq!(code_of(&client, verify_email(reset, &code)).await, ErrorCode::CODE_EXPIRED);
    let session = client.call(verify_email(id, &code)).await.unwrap();
    let user = client.call(GetUser { access_token: session.access_token.clone() }).await.unwrap();
    assert_eq!((&*user.username, &*user.email), ("ada", "ada@example.org"));
    assert_eq!(client.call(login("ADA", PASSWORD)).await.unwrap().user_id, session.user_id);
    server.stop().await;
}

#[tokio::test]
async fn a_name_taken_before_its_confirmation_leaves_the_code_valid() {
    let server = TestServer::start().await;
    let client = server.client();
    let (id, code) = server.registered_code(&client, "Ada", "other@example.org").await;
    server.account(&client, "ada").await;
    let early = refused(client.call(register("ADA", "third@example.org")).await);
    assert_eq!((early.code, early.field.as_deref()), (ErrorCode::USERNAME_TAKEN, Some("username")));
    for _ in 0..10 {
        assert_eq!(code_of(&client, verify_email(id, &code)).await, ErrorCode::USERNAME_TAKEN);
    }
    let bad = VerifyEmail { username: Some("a@b".into()), ..verify_email(id, &code) };
    assert_eq!(code_of(&client, bad).await, ErrorCode::INVALID_USERNAME);
    let other = VerifyEmail { username: Some("Lovelace".into()), ..verify_email(id, &code) };
    assert!(client.call(other).await.is_ok());
    assert!(client.call(login("lovelace", PASSWORD)).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn an_address_taken_before_its_confirmation_uses_up_the_code() {
    let server = TestServer::start().await;
    let client = server.client();
    let (first, first_code) = server.registered_code(&client, "ada", "ada@example.org").await;
    let second = server.register(&client, "grace", "ada@example.org").await.verification_id;
    server.advance_outbox(&client, MAIL_PAUSE).await;
    let second_code = server.emails.code("ada@example.org", 2).await;
    assert!(client.call(verify_email(first, &first_code)).await.is_ok());
    assert_eq!(code_of(&client, verify_email(second, NO_CODE)).await, ErrorCode::INVALID_CODE);
    let taken = refused(client.call(verify_email(second, &second_code)).await);
    assert_eq!((taken.code, taken.field.as_deref()), (ErrorCode::EMAIL_TAKEN, Some("email")));
    assert_eq!(code_of(&client, verify_email(second, &second_code)).await, ErrorCode::CODE_EXPIRED);
    server.stop().await;
}
