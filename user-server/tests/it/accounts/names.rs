//! Usernames that could be mistaken for another one are refused where they are set, and accepted
//! where they are presented, because they may have been set under other rules.

use user_proto::{ErrorCode, GetUser, Login, Register, UpdateUser};

use crate::support::{PASSWORD, TestServer, code_of, update};

/// `admin` with a Cyrillic first letter.
const LOOKALIKE: &str = "\u{430}dmin";

#[tokio::test]
async fn a_lookalike_is_refused_where_it_is_set_and_works_where_it_exists() {
    let server = TestServer::start().await;
    let client = server.client();
    let admin = server.account(&client, "admin").await;
    let register = || Register {
        username: LOOKALIKE.into(),
        email: "eve@example.org".into(),
        password: PASSWORD.into(),
    };
    assert_eq!(code_of(&client, register()).await, ErrorCode::INVALID_USERNAME);
    let eve = server.account(&client, "eve").await;
    let access = eve.access();
    let rename = || UpdateUser { username: Some(LOOKALIKE.into()), ..update(&access) };
    assert_eq!(code_of(&client, rename()).await, ErrorCode::INVALID_USERNAME);
    let login = || Login::new(LOOKALIKE.into(), PASSWORD.into());
    assert_eq!(code_of(&client, login()).await, ErrorCode::INVALID_CREDENTIALS);

    // A name from before the rule, as an upgrade finds it.
    let path = server.folder.path().join("users.db");
    let database = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let rename = "UPDATE users SET username = $1, username_key = $1, version = version + 1
                  WHERE username_key = 'eve'";
    sqlx::query(rename).bind(LOOKALIKE).execute(&database).await.unwrap();
    database.close().await;
    let session = client.call(login()).await.unwrap();
    assert_eq!(session.user_id, eve.session.user_id);
    let user = client.call(GetUser { access_token: session.access_token }).await.unwrap();
    assert_eq!(user.username, LOOKALIKE);
    assert_eq!(server.login(&client, "admin").await.user_id, admin.session.user_id);
}
