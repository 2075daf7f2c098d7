//! Resends of codes.

use std::time::Duration;

use user_proto::{ErrorCode, ResendCode};
use uuid::Uuid;

use crate::support::{MAIL_PAUSE, NO_CODE, TestServer, code_of, refused, verify_email};

const ADA: &str = "ada@example.org";

fn resend(verification_id: Uuid) -> ResendCode {
    ResendCode { verification_id }
}

#[tokio::test]
async fn a_live_code_is_sent_again() {
    let server = TestServer::start().await;
    server.clock.freeze();
    let client = server.client();
    let (id, code) = server.registered_code(&client, "ada", ADA).await;
    for _ in 0..4 {
        assert_eq!(code_of(&client, verify_email(id, NO_CODE)).await, ErrorCode::INVALID_CODE);
    }
    server.clock.advance(Duration::from_secs(45));
    let early = refused(client.call(resend(id)).await);
    assert_eq!((early.code, early.retry_after_ms), (ErrorCode::RATE_LIMITED, Some(15_000)));
    server.clock.advance(Duration::from_secs(15));
    let again = client.call(resend(id)).await.unwrap();
    assert_eq!((again.code_expires_in, again.resend_after), (900, 60));
    assert_eq!(server.emails.code(ADA, 2).await, code);
    server.clock.advance(Duration::from_secs(899));
    assert_eq!(
        code_of(&client, verify_email(id, NO_CODE)).await,
        ErrorCode::INVALID_CODE,
        "the code expires 15 minutes after the last email"
    );
    assert_eq!(
        code_of(&client, verify_email(id, &code)).await,
        ErrorCode::CODE_EXPIRED,
        "a resend adds no guesses"
    );
    server.stop().await;
}

#[tokio::test]
async fn an_expired_code_is_replaced() {
    let server = TestServer::start().await;
    server.clock.freeze();
    let client = server.client();
    let (id, old) = server.registered_code(&client, "ada", ADA).await;
    server.clock.advance(Duration::from_secs(900));
    assert_eq!(code_of(&client, verify_email(id, &old)).await, ErrorCode::CODE_EXPIRED);
    client.call(resend(id)).await.unwrap();
    let new = server.emails.code(ADA, 2).await;
    assert_ne!(new, old, "equal by chance once in a million runs");
    for _ in 0..4 {
        assert_eq!(code_of(&client, verify_email(id, &old)).await, ErrorCode::INVALID_CODE);
    }
    assert!(client.call(verify_email(id, &new)).await.is_ok());
    assert_eq!(code_of(&client, resend(id)).await, ErrorCode::CODE_EXPIRED, "the code was used");
    assert_eq!(code_of(&client, resend(Uuid::new_v4())).await, ErrorCode::CODE_EXPIRED);
    server.stop().await;
}

#[tokio::test]
async fn a_suffix_and_another_id_share_the_mail_slots_invisibly() {
    let server = TestServer::start().await;
    server.clock.freeze();
    let client = server.client();
    server.registered_code(&client, "ada", ADA).await;
    let waiting = server.register(&client, "ada", "ADA+news@example.org").await.verification_id;
    let early = refused(client.call(resend(waiting)).await);
    assert_eq!(
        (early.code, early.retry_after_ms),
        (ErrorCode::RATE_LIMITED, Some(60_000)),
        "as if the email had been sent"
    );
    server.registered_code(&client, "grace", "grace@example.org").await;
    assert!(
        server.emails.to("ADA+news@example.org").is_empty(),
        "the email waits for its mail slot"
    );
    server.advance_outbox(&client, MAIL_PAUSE).await;
    let code = server.emails.code("ADA+news@example.org", 1).await;
    assert!(client.call(verify_email(waiting, &code)).await.is_ok());
    assert_eq!(server.emails.to("ADA+news@example.org").len(), 1);
    server.stop().await;
}
