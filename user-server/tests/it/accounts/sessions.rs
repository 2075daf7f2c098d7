//! The sessions of an account, as its owner lists and ends them.

use user_proto::{ErrorCode, Login};

use crate::support::{PASSWORD, TestServer, refused};

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
