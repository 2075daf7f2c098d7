//! Validation of input: an invalid value is refused with the name of its field, and equivalent
//! spellings of a value match.

use user_proto::{ErrorCode, GetUser, Register, UpdateUser};

use crate::support::{
    TestServer, login, refused, register, request_reset, update_with_password, verify_email,
};

#[tokio::test]
async fn an_invalid_value_is_refused_with_its_field() {
    let server = TestServer::start().await;
    let client = server.client();
    let access = server.account(&client, "ada").await.access();
    let long = "x".repeat(33);
    for name in ["", "ab", "a b c", "a@b.example", "tab\tbed", "a\u{202e}bc", &long] {
        let expected = (ErrorCode::INVALID_USERNAME, Some("username"));
        let refusal = refused(client.call(register(name, "new@example.org")).await);
        assert_eq!((refusal.code, refusal.field.as_deref()), expected, "{name:?}");
        let refusal = refused(
            client
                .call(UpdateUser { username: Some(name.into()), ..update_with_password(&access) })
                .await,
        );
        assert_eq!((refusal.code, refusal.field.as_deref()), expected, "{name:?}");
    }
    let long = format!("{}@example.org", "x".repeat(250));
    for email in [
        "",
        "ada",
        "a@localhost",
        "a@[192.0.2.1]",
        "\"a\"@b.example",
        "ä@b.example",
        "a@b.example\r\nBcc: c@d.example",
        &long,
    ] {
        let expected = (ErrorCode::INVALID_EMAIL, Some("email"));
        let refusal = refused(client.call(register("new", email)).await);
        assert_eq!((refusal.code, refusal.field.as_deref()), expected, "{email:?}");
        let refusal = refused(
            client
                .call(UpdateUser { email: Some(email.into()), ..update_with_password(&access) })
                .await,
        );
        assert_eq!((refusal.code, refusal.field.as_deref()), expected, "{email:?}");
        let refusal = refused(client.call(request_reset(email)).await);
        assert_eq!((refusal.code, refusal.field.as_deref()), expected, "{email:?}");
    }
    let long = "é".repeat(129);
    for password in
        ["", "1234567", "eeee\u{301}\u{301}", "password", "12345678", "new@example.org", &long]
    {
        let registration =
            Register { password: password.into(), ..register("new", "new@example.org") };
        let refusal = refused(client.call(registration).await);
        assert_eq!(
            (refusal.code, refusal.field.as_deref()),
            (ErrorCode::INVALID_PASSWORD, Some("password")),
            "{password:?}"
        );
    }
    for password in ["", "1234567", "password", &long] {
        let change =
            UpdateUser { new_password: Some(password.into()), ..update_with_password(&access) };
        let refusal = refused(client.call(change).await);
        assert_eq!(
            (refusal.code, refusal.field.as_deref()),
            (ErrorCode::INVALID_PASSWORD, Some("new_password")),
            "{password:?}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn names_addresses_and_passwords_match_in_every_spelling() {
    let server = TestServer::start().await;
    let client = server.client();
    // A decomposed acute accent, and an address with an umlaut in its domain.
    let registration = Register {
        password: "la re\u{301}ponse est 42".into(),
        ..register("Jose\u{301}", "jose@B\u{fc}cher.example")
    };
    let id = client.call(registration).await.unwrap().verification_id;
    let code = server.emails.code("jose@xn--bcher-kva.example", 1).await;
    let session = client.call(verify_email(id, &code)).await.unwrap();
    let user = client.call(GetUser { access_token: session.access_token.clone() }).await.unwrap();
    assert_eq!((&*user.username, &*user.email), ("Jos\u{e9}", "jose@B\u{fc}cher.example"));
    for name in [
        "jos\u{e9}",
        "JOSE\u{301}",
        "\u{ff2a}OS\u{c9}",
        "Jose@b\u{fc}cher.example",
        "JOSE@XN--BCHER-KVA.example",
    ] {
        assert!(client.call(login(name, "la r\u{e9}ponse est 42")).await.is_ok(), "{name}");
    }
    let taken = refused(client.call(register("JOS\u{c9}", "other@example.org")).await);
    assert_eq!(taken.code, ErrorCode::USERNAME_TAKEN);
    for wrong in ["la reponse est 42", "La r\u{e9}ponse est 42", "la r\u{e9}ponse est 42 "] {
        assert_eq!(
            refused(client.call(login("jos\u{e9}", wrong)).await).code,
            ErrorCode::INVALID_CREDENTIALS
        );
    }
    server.stop().await;
}
