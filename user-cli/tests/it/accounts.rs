//! Accounts and their codes: what is sent, what is remembered.

use user_proto::{
    CodeResent, DeleteUser, EmailConfirmed, LoggedOut, PasswordReset, PasswordResetRequested,
    Registered, Request, ResetPassword, UpdateUser, User, UserDeleted, UserUpdated,
};

use crate::cli::Cli;
use crate::fake::{Fake, USER, VERIFICATION, email_verified, logged_in};
use user_proto::UnixSeconds;
use uuid::Uuid;

/// A server where everything goes well.
fn kind() -> Fake {
    Fake::start(|request| {
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

fn logged_in_at(server: &Fake) -> Cli {
    let cli = Cli::of(&server.addr);
    cli.run_with(&["login", "kim", "--password-stdin"], "correct horse\n").done();
    server.asked();
    cli
}

#[test]
fn a_registration_needs_no_copying_but_the_code() {
    let server = kind();
    let cli = Cli::of(&server.addr);
    let ran = cli
        .run_with(&["register", "kim", "kim@example.com", "--password-stdin"], "correct horse\r\n")
        .done();
    assert!(ran.stdout.contains("on its way to kim@example.com"), "{}", ran.stdout);
    assert!(ran.stdout.contains("code expires in  15 min\n"), "{}", ran.stdout);
    let Request::Register(sent) = server.request() else { panic!("a Register") };
    assert_eq!(
        (sent.username.as_ref(), sent.password.expose_str()),
        ("kim", Some("correct horse"))
    );

    cli.run(&["resend-code"]).done();
    let Request::ResendCode(sent) = server.request() else { panic!("a ResendCode") };
    assert_eq!(sent.verification_id, VERIFICATION);

    let ran = cli.run(&["verify-email", "--code", "123456", "--username", "kim2"]).done();
    assert!(
        !ran.stdout.contains("access-1") && ran.stdout.contains("access token"),
        "{}",
        ran.stdout
    );
    let Request::VerifyEmail(sent) = server.request() else { panic!("a VerifyEmail") };
    assert_eq!((sent.verification_id, sent.code.expose_str()), (VERIFICATION, Some("123456")));
    assert_eq!(sent.username.as_deref(), Some("kim2"));

    // The code was used, so none is awaited any more.
    assert!(cli.run(&["resend-code"]).failed(2).stderr.contains("no code is awaited"));
    assert_eq!(cli.state()["session"]["access_token"], "access-1");
}

#[test]
fn codes_are_remembered_by_purpose() {
    let server = kind();
    let cli = logged_in_at(&server);
    cli.run_with(&["register", "kim", "kim@example.com", "--password-stdin"], "p\n").done();
    cli.run_with(&["update", "--email", "kim@example.org", "--password-stdin"], "old\n").done();
    cli.run(&["reset-password", "request", "kim@example.com"]).done();
    server.asked();

    cli.run(&["confirm-email", "--code", "1"]).done();
    let Request::ConfirmEmail(sent) = server.request() else { panic!("a ConfirmEmail") };
    assert_eq!(
        (sent.verification_id, sent.access_token.expose_str()),
        (Uuid::from_u128(7), Some("access-1"))
    );

    let confirm = ["reset-password", "confirm", "--code", "7KQ4M-2XW9D", "--password-stdin"];
    cli.run_with(&confirm, "new password\n").done();
    let Request::ResetPassword(ResetPassword { verification_id, new_password, .. }) =
        server.request()
    else {
        panic!("a ResetPassword")
    };
    assert_eq!(
        (verification_id, new_password.expose_str()),
        (Uuid::from_u128(9), Some("new password"))
    );

    cli.run(&["resend-code", "--purpose", "registration"]).done();
    let other = Uuid::from_u128(77).to_string();
    cli.run(&["verify-email", "--code", "1", "--verification-id", &other]).done();
    let asked = server.asked();
    assert!(
        matches!(&asked[0].0, Request::ResendCode(sent) if sent.verification_id == VERIFICATION)
    );
    assert!(
        matches!(&asked[1].0, Request::VerifyEmail(sent) if sent.verification_id.to_string() == other)
    );
}

#[test]
fn an_update_reads_the_lines_that_it_needs_in_order() {
    let server = kind();
    let cli = logged_in_at(&server);
    let sent = |arguments: &[&str], stdin: &str| {
        cli.run_with(arguments, stdin).done();
        let Request::UpdateUser(UpdateUser {
            access_token,
            username,
            email,
            new_password,
            current_password,
        }) = server.request()
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
    assert!(server.asked().is_empty());
}

#[test]
fn deleting_and_logging_out_forget_the_tokens() {
    let server = kind();
    let cli = logged_in_at(&server);
    cli.run_with(&["delete", "--password-stdin"], "correct horse\n").done();
    let Request::DeleteUser(DeleteUser { current_password, .. }) = server.request() else {
        panic!("a DeleteUser")
    };
    assert_eq!(current_password.expose_str(), Some("correct horse"));
    assert!(cli.run(&["get"]).failed(2).stderr.contains("no token is stored"));

    let cli = logged_in_at(&server);
    cli.run(&["logout", "--token", "of another session"]).done();
    assert_eq!(cli.state()["session"]["access_token"], "access-1");
    cli.run(&["logout", "--all"]).done();
    let asked = server.asked();
    assert!(matches!(&asked[0].0, Request::Logout(sent) if sent.all_sessions.is_none()));
    assert!(matches!(&asked[1].0, Request::Logout(sent) if sent.all_sessions.is_some()));
    assert!(!cli.remembers());
}

#[test]
fn the_account_is_shown_and_can_not_drive_the_terminal() {
    let server = kind();
    let cli = logged_in_at(&server);
    let ran = cli.run(&["get"]).done();
    assert!(ran.stdout.contains("username    kim\\u{1b}[2J\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("created at  2023-11-14T22:13:20Z ("), "{}", ran.stdout);
    let object = cli.run(&["get", "--json"]).done().object();
    assert_eq!((&object["reply"], &object["created_at"]), (&"User".into(), &1_700_000_000.into()));
    assert_eq!(object["user_id"], USER.to_string());
}

#[test]
fn a_code_that_can_not_be_asked_for_is_not_waited_for() {
    let server = kind();
    let id = VERIFICATION.to_string();
    let ran = Cli::of(&server.addr).run(&["verify-email", "--verification-id", &id]).failed(2);
    assert!(ran.stderr.contains("--code"), "{}", ran.stderr);
    assert!(server.asked().is_empty());
}
