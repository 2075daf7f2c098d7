//! Account commands: the requests they send and the state they store.

use user_proto::{
    CodeResent, DeleteUser, EmailConfirmed, LoggedOut, PasswordReset, PasswordResetRequested,
    Registered, Request, ResetPassword, UpdateUser, User, UserDeleted, UserUpdated,
};

use crate::cli::Cli;
use crate::fake_server::{FakeServer, USER, VERIFICATION, email_verified, logged_in};
use user_proto::UnixSeconds;
use uuid::Uuid;

/// Starts a server that accepts every request.
fn accepting_server() -> FakeServer {
    FakeServer::start(|request| {
        Some(match request {
            Request::Register(_) => {
                Registered { verification_id: VERIFICATION, code_expires_in: 900, resend_after: 60 }
                    .into()
            }
            Request::VerifyEmail(_) => email_verified().into(),
            Request::Login(_) => logged_in(1).into(),
            Request::ResendCode(_) => CodeResent { code_expires_in: 900, resend_after: 60 }.into(),
            Request::UpdateUser(update) => UserUpdated {
                user_id: USER,
                username: "kim".into(),
                email: "kim@example.com".into(),
                verification_id: update.email.is_some().then_some(Uuid::from_u128(7)),
            }
            .into(),
            Request::ConfirmEmail(_) => EmailConfirmed {
                user_id: USER,
                username: "kim".into(),
                email: "kim@example.org".into(),
                verification_id: None,
            }
            .into(),
            Request::GetUser(_) => User {
                user_id: USER,
                username: "kim\u{1b}[2J".into(),
                email: "kim@example.com".into(),
                created_at: UnixSeconds(1_700_000_000),
            }
            .into(),
            Request::RequestPasswordReset(_) => PasswordResetRequested {
                verification_id: Uuid::from_u128(9),
                code_expires_in: 900,
                resend_after: 60,
            }
            .into(),
            Request::ResetPassword(_) => PasswordReset { sessions_ended: 2 }.into(),
            Request::DeleteUser(_) => UserDeleted { user_id: USER }.into(),
            Request::Logout(_) => LoggedOut { sessions_ended: 1 }.into(),
            other => panic!("{other:?}"),
        })
    })
}

fn logged_in_to(server: &FakeServer) -> Cli {
    let cli = Cli::new(&server.addr);
    cli.run_with(&["login", "kim", "--password-stdin"], "correct horse\n").succeeded();
    server.take_requests();
    cli
}

#[test]
fn a_registration_requires_only_the_code_to_be_entered() {
    let server = accepting_server();
    let cli = Cli::new(&server.addr);
    let output = cli
        .run_with(&["register", "kim", "kim@example.com", "--password-stdin"], "correct horse\r\n")
        .succeeded();
    assert!(output.stdout.contains("on its way to kim@example.com"), "{}", output.stdout);
    assert!(output.stdout.contains("code expires in  15 min\n"), "{}", output.stdout);
    let Request::Register(sent) = server.take_request() else { panic!("a Register") };
    assert_eq!(
        (sent.username.as_ref(), sent.password.expose_str()),
        ("kim", Some("correct horse"))
    );

    cli.run(&["resend-code"]).succeeded();
    let Request::ResendCode(sent) = server.take_request() else { panic!("a ResendCode") };
    assert_eq!(sent.verification_id, VERIFICATION);

    let output = cli.run(&["verify-email", "--code", "123456", "--username", "kim2"]).succeeded();
    assert!(
        !output.stdout.contains("access-1") && output.stdout.contains("access token"),
        "{}",
        output.stdout
    );
    let Request::VerifyEmail(sent) = server.take_request() else { panic!("a VerifyEmail") };
    assert_eq!((sent.verification_id, sent.code.expose_str()), (VERIFICATION, Some("123456")));
    assert_eq!(sent.username.as_deref(), Some("kim2"));

    // The code has been used.
    assert!(cli.run(&["resend-code"]).failed(2).stderr.contains("no code is pending"));
    assert_eq!(cli.state()["session"]["access_token"], "access-1");
}

#[test]
fn pending_codes_are_stored_by_purpose() {
    let server = accepting_server();
    let cli = logged_in_to(&server);
    cli.run_with(&["register", "kim", "kim@example.com", "--password-stdin"], "p\n").succeeded();
    cli.run_with(&["update", "--email", "kim@example.org", "--password-stdin"], "old\n")
        .succeeded();
    cli.run(&["reset-password", "request", "kim@example.com"]).succeeded();
    server.take_requests();

    cli.run(&["confirm-email", "--code", "111111"]).succeeded();
    let Request::ConfirmEmail(sent) = server.take_request() else { panic!("a ConfirmEmail") };
    assert_eq!(
        (sent.verification_id, sent.access_token.expose_str()),
        (Uuid::from_u128(7), Some("access-1"))
    );

    let confirm = ["reset-password", "confirm", "--code", "7KQ4M-2XW9D", "--password-stdin"];
    cli.run_with(&confirm, "new password\n").succeeded();
    let Request::ResetPassword(ResetPassword { verification_id, new_password, .. }) =
        server.take_request()
    else {
        panic!("a ResetPassword")
    };
    assert_eq!(
        (verification_id, new_password.expose_str()),
        (Uuid::from_u128(9), Some("new password"))
    );

    cli.run(&["resend-code", "--purpose", "registration"]).succeeded();
    let other = Uuid::from_u128(77).to_string();
    cli.run(&["verify-email", "--code", "111111", "--verification-id", &other]).succeeded();
    let requests = server.take_requests();
    assert!(
        matches!(&requests[0].0, Request::ResendCode(sent) if sent.verification_id == VERIFICATION)
    );
    let Request::VerifyEmail(sent) = &requests[1].0 else { panic!("a VerifyEmail") };
    assert_eq!(sent.verification_id.to_string(), other);
}

#[test]
fn an_update_reads_only_the_lines_it_needs_in_order() {
    let server = accepting_server();
    let cli = logged_in_to(&server);
    let sent = |arguments: &[&str], stdin: &str| {
        cli.run_with(arguments, stdin).succeeded();
        let Request::UpdateUser(UpdateUser {
            access_token,
            username,
            email,
            new_password,
            current_password,
        }) = server.take_request()
        else {
            panic!("an UpdateUser")
        };
        let text = |secret: Option<user_proto::Secret<'_>>| {
            secret.map(|s| s.expose_str().unwrap().to_owned())
        };
        let plain = |text: Option<std::borrow::Cow<'_, str>>| text.map(|text| text.into_owned());
        (
            text(Some(access_token)).unwrap(),
            plain(username),
            plain(email),
            text(current_password),
            text(new_password),
        )
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        sent(&["update", "--username", "kim2"], ""),
        ("access-1".into(), some("kim2"), None, None, None)
    );
    assert_eq!(
        sent(&["update", "--new-password", "--password-stdin"], "old\nnew\n"),
        ("access-1".into(), None, None, some("old"), some("new"))
    );
    assert_eq!(
        sent(
            &["update", "--email", "k@example.org", "--password-stdin", "--token-stdin"],
            "token\nold\n"
        ),
        ("token".into(), None, some("k@example.org"), some("old"), None)
    );
    assert!(cli.run(&["update"]).failed(2).stderr.contains("nothing to change"));
    let short = cli.run_with(&["update", "--new-password", "--password-stdin"], "old\n").failed(2);
    assert!(short.stderr.contains("no line with the new password"), "{}", short.stderr);
    assert!(server.take_requests().is_empty());
}

#[test]
fn delete_and_logout_delete_the_stored_tokens() {
    let server = accepting_server();
    let cli = logged_in_to(&server);
    cli.run_with(&["delete", "--password-stdin"], "correct horse\n").succeeded();
    let Request::DeleteUser(DeleteUser { current_password, .. }) = server.take_request() else {
        panic!("a DeleteUser")
    };
    assert_eq!(current_password.expose_str(), Some("correct horse"));
    assert!(cli.run(&["get"]).failed(2).stderr.contains("no token is stored"));

    let cli = logged_in_to(&server);
    cli.run(&["logout", "--token", "of another session"]).succeeded();
    assert_eq!(cli.state()["session"]["access_token"], "access-1");
    cli.run(&["logout", "--all"]).succeeded();
    let requests = server.take_requests();
    assert!(matches!(&requests[0].0, Request::Logout(sent) if sent.all_sessions.is_none()));
    assert!(matches!(&requests[1].0, Request::Logout(sent) if sent.all_sessions.is_some()));
    assert!(!cli.has_state());
}

#[test]
fn the_account_is_shown_and_cannot_control_the_terminal() {
    let server = accepting_server();
    let cli = logged_in_to(&server);
    let output = cli.run(&["get"]).succeeded();
    assert!(output.stdout.contains("username    kim\\u{1b}[2J\n"), "{}", output.stdout);
    assert!(output.stdout.contains("created at  2023-11-14T22:13:20Z ("), "{}", output.stdout);
    let object = cli.run(&["get", "--json"]).succeeded().object();
    assert_eq!(
        (&object["reply"], &object["created_at"]),
        (&"User".into(), &"2023-11-14T22:13:20Z".into())
    );
    assert_eq!(object["user_id"], USER.to_string());
}

#[test]
fn without_a_terminal_a_missing_code_is_an_error() {
    let server = accepting_server();
    let id = VERIFICATION.to_string();
    let output = Cli::new(&server.addr).run(&["verify-email", "--verification-id", &id]).failed(2);
    assert!(output.stderr.contains("--code"), "{}", output.stderr);
    assert!(server.take_requests().is_empty());
}
