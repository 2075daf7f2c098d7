//! Tokens: where they are kept, who sees them, which one is used.

use user_proto::{ErrorCode, Reply, Request, TokenVerified, UnixSeconds};

use crate::cli::{Cli, Ran};
use crate::fake::{Fake, SESSION, USER, error, logged_in, refreshed};

fn server() -> Fake {
    Fake::start(|request| {
        Some(match request {
            Request::Login(_) => logged_in(1).into(),
            Request::RefreshToken(_) => refreshed().into(),
            Request::VerifyToken(request) if request.access_token.expose_str() == Some("old") => {
                Reply::from(error(ErrorCode::TOKEN_EXPIRED))
            }
            Request::VerifyToken(request) => TokenVerified {
                user_id: USER,
                session_id: SESSION,
                issued_at: UnixSeconds(1_700_000_000),
                expires_at: UnixSeconds(4_107_542_400),
                stale_ms: (request.access_token.expose_str() == Some("stale")).then_some(1200),
            }
            .into(),
            _ => error(ErrorCode::TOKEN_EXPIRED).into(),
        })
    })
}

fn login(cli: &Cli) -> Ran {
    cli.run_with(&["login", "kim", "--password-stdin"], "correct horse\n").done()
}

#[test]
fn login_keeps_the_tokens_and_does_not_show_them() {
    let server = server();
    let cli = Cli::of(&server.addr);
    let ran = login(&cli);
    assert!(
        !ran.stdout.contains("access-1") && !ran.stdout.contains("refresh-1"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("access token        kept"), "{}", ran.stdout);
    assert!(ran.stdout.contains("refresh expires in  30 days"), "{}", ran.stdout);
    let ran = cli
        .run_with(&["login", "kim", "--password-stdin", "--show-tokens"], "correct horse\n")
        .done();
    assert!(ran.stdout.contains("access-1") && ran.stdout.contains("refresh-1"), "{}", ran.stdout);
    let ran =
        cli.run_with(&["login", "kim", "--password-stdin", "--json"], "correct horse\n").done();
    let object = ran.object();
    assert_eq!(
        (&object["reply"], &object["access_token"]),
        (&"LoggedIn".into(), &"access-1".into())
    );
    assert_eq!(object["refresh_expires_in"], 2_592_000);
    assert!(!ran.stdout.contains("correct horse"));
}

#[cfg(unix)]
#[test]
fn the_state_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mode =
        |path: std::path::PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let server = server();
    let cli = Cli::of(&server.addr);
    std::fs::create_dir_all(cli.state_folder()).unwrap();
    std::fs::set_permissions(cli.state_folder(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for _ in 0..2 {
        login(&cli);
        assert_eq!((mode(cli.state_file()), mode(cli.state_folder())), (0o600, 0o700));
    }
    std::fs::set_permissions(cli.state_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    login(&cli);
    assert_eq!(mode(cli.state_file()), 0o600);
}

#[test]
fn the_folder_follows_the_environment() {
    let server = server();
    let home = tempfile::tempdir().unwrap();
    for (variable, folder) in [("XDG_STATE_HOME", "user-cli"), ("HOME", ".local/state/user-cli")] {
        let mut command = Cli::of(&server.addr).command(&["login", "kim", "--password-stdin"]);
        command.env_remove("USER_CLI_STATE_DIR").env(variable, home.path().join(variable));
        Ran::of(command, "p\n").done();
        assert_eq!(std::fs::read_dir(home.path().join(variable).join(folder)).unwrap().count(), 1);
    }
    let mut command = Cli::of(&server.addr).command(&["login", "kim", "--password-stdin"]);
    command.env_remove("USER_CLI_STATE_DIR");
    let ran = Ran::of(command, "p\n");
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.contains("warning") && ran.stdout.contains("not kept"), "{ran:?}");
}

#[test]
fn each_server_has_its_own_tokens() {
    let (one, two) = (server(), server());
    let cli = Cli::of(&one.addr);
    login(&cli);
    cli.run(&["verify"]).done();
    assert!(cli.run(&["verify", "--addr", &two.addr]).failed(2).stderr.contains(&two.addr));
}

#[test]
fn a_given_token_goes_before_the_stored_one() {
    let server = server();
    let cli = Cli::of(&server.addr);
    login(&cli);
    server.asked();
    let used = |ran: Ran| {
        ran.done();
        let Request::VerifyToken(sent) = server.request() else { panic!("a VerifyToken") };
        sent.access_token.expose_str().unwrap().to_owned()
    };
    assert_eq!(used(cli.run(&["verify"])), "access-1");
    assert_eq!(used(cli.run(&["verify", "--token", "given"])), "given");
    assert_eq!(used(cli.run_with(&["verify", "--token-stdin"], "piped\n")), "piped");
    let mut command = cli.command(&["verify"]);
    command.env("USER_CLI_TOKEN", "of the environment");
    assert_eq!(used(Ran::of(command, "")), "of the environment");
}

#[test]
fn a_good_token_is_told_with_its_times_and_a_stale_answer_says_so() {
    let server = server();
    let cli = Cli::of(&server.addr);
    let ran = cli.run(&["verify", "--token", "t"]).done();
    assert!(ran.stdout.starts_with("The token is good.\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("issued at   2023-11-14T22:13:20Z ("), "{}", ran.stdout);
    assert!(ran.stdout.contains("expires at  2100-03-01T00:00:00Z (in "), "{}", ran.stdout);
    let ran = cli.run(&["verify", "--token", "stale"]).done();
    assert!(ran.stdout.contains("stale       1.2 s"), "{}", ran.stdout);
    let object = cli.run(&["verify", "--token", "stale", "--json"]).done().object();
    assert_eq!((&object["valid"], &object["stale_ms"]), (&true.into(), &1200.into()));
}

#[test]
fn a_refresh_replaces_the_tokens() {
    let server = server();
    let cli = Cli::of(&server.addr);
    login(&cli);
    server.asked();
    cli.run(&["refresh"]).done();
    let Request::RefreshToken(sent) = server.request() else { panic!("a RefreshToken") };
    assert_eq!(sent.refresh_token.expose_str(), Some("refresh-1"));
    assert_eq!(cli.state()["session"]["refresh_token"], "refresh-2");
}

#[test]
fn an_expired_token_is_mended_by_a_refresh_where_one_is_stored() {
    let server = server();
    let cli = Cli::of(&server.addr);
    login(&cli);
    assert!(cli.run(&["get"]).failed(1).stderr.contains("run user-cli refresh"));
    assert!(cli.run(&["verify", "--token", "old"]).failed(1).stderr.contains("Log in again"));
}

#[test]
fn a_broken_state_is_named_and_not_shown() {
    let server = server();
    let cli = Cli::of(&server.addr);
    login(&cli);
    std::fs::write(cli.state_file(), "{\"session\": \"access-1\"}").unwrap();
    let ran = cli.run(&["verify"]).failed(2);
    assert!(ran.stderr.contains("state/") && !ran.stderr.contains("access-1"), "{}", ran.stderr);
}

#[test]
fn a_session_that_has_ended_is_forgotten_where_it_is_the_stored_one() {
    let server = Fake::start(|request| {
        Some(match request {
            Request::Login(_) => logged_in(1).into(),
            _ => error(ErrorCode::SESSION_REVOKED).into(),
        })
    });
    let cli = Cli::of(&server.addr);
    cli.run_with(&["login", "kim", "--password-stdin"], "correct horse\n").done();
    cli.run(&["verify", "--token", "of another session"]).failed(1);
    assert!(cli.remembers(), "it is not known to be the stored session that ended");
    cli.run(&["verify"]).failed(1);
    assert!(!cli.remembers());
}
