//! Tokens: where they are stored, when they are printed, and which one a command uses.

use user_proto::{ErrorCode, Reply, Request, TokenVerified, UnixSeconds};

use crate::cli::{Cli, Output};
use crate::fake_server::{FakeServer, SESSION, USER, error, logged_in, refreshed};

fn server() -> FakeServer {
    FakeServer::start(|request| {
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

fn login(cli: &Cli) -> Output {
    cli.run_with(&["login", "kim", "--password-stdin"], "correct horse\n").succeeded()
}

#[test]
fn login_stores_the_tokens_and_does_not_print_them() {
    let server = server();
    let cli = Cli::new(&server.addr);
    let output = login(&cli);
    assert!(
        !output.stdout.contains("access-1") && !output.stdout.contains("refresh-1"),
        "{}",
        output.stdout
    );
    assert!(output.stdout.contains("access token        stored"), "{}", output.stdout);
    assert!(output.stdout.contains("refresh expires in  30 days"), "{}", output.stdout);
    let output = cli
        .run_with(&["login", "kim", "--password-stdin", "--show-tokens"], "correct horse\n")
        .succeeded();
    assert!(
        output.stdout.contains("access-1") && output.stdout.contains("refresh-1"),
        "{}",
        output.stdout
    );
    let output = cli
        .run_with(&["login", "kim", "--password-stdin", "--json"], "correct horse\n")
        .succeeded();
    let object = output.object();
    assert_eq!(
        (&object["reply"], &object["access_token"]),
        (&"LoggedIn".into(), &"access-1".into())
    );
    assert_eq!(object["refresh_expires_in_ms"], 2_592_000_000_u64);
    assert!(!output.stdout.contains("correct horse"));
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_state() {
    use std::os::unix::fs::PermissionsExt;
    let mode =
        |path: std::path::PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let server = server();
    let cli = Cli::new(&server.addr);
    std::fs::create_dir_all(cli.state_dir()).unwrap();
    std::fs::set_permissions(cli.state_dir(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for _ in 0..2 {
        login(&cli);
        assert_eq!((mode(cli.state_file()), mode(cli.state_dir())), (0o600, 0o700));
    }
    let set_mode = |mode| {
        std::fs::set_permissions(cli.state_file(), PermissionsExt::from_mode(mode)).unwrap();
    };
    set_mode(0o644);
    let refused = cli.run_with(&["login", "kim", "--password-stdin"], "p\n").failed(2);
    assert!(refused.stderr.contains("chmod 600"), "{refused:?}");
    set_mode(0o600);
    login(&cli);
    assert_eq!(mode(cli.state_file()), 0o600);
}

#[test]
fn the_state_directory_follows_the_environment() {
    let server = server();
    let home = tempfile::tempdir().unwrap();
    for (variable, directory) in [("XDG_STATE_HOME", "user-cli"), ("HOME", ".local/state/user-cli")]
    {
        let mut command = Cli::new(&server.addr).command(&["login", "kim", "--password-stdin"]);
        command.env_remove("USER_CLI_STATE_DIR").env(variable, home.path().join(variable));
        Output::of(command, "p\n").succeeded();
        assert_eq!(
            std::fs::read_dir(home.path().join(variable).join(directory)).unwrap().count(),
            1
        );
    }
    let mut command = Cli::new(&server.addr).command(&["login", "kim", "--password-stdin"]);
    command.env_remove("USER_CLI_STATE_DIR");
    let output = Output::of(command, "p\n");
    assert_eq!(output.code, Some(2), "nobody has the tokens");
    assert!(
        output.stderr.contains("warning") && output.stdout.contains("not stored"),
        "{output:?}"
    );
}

#[test]
fn each_server_has_its_own_tokens() {
    let (one, two) = (server(), server());
    let cli = Cli::new(&one.addr);
    login(&cli);
    cli.run(&["verify"]).succeeded();
    assert!(cli.run(&["verify", "--addr", &two.addr]).failed(2).stderr.contains(&two.addr));
}

#[test]
fn a_token_from_the_options_or_environment_takes_precedence() {
    let server = server();
    let cli = Cli::new(&server.addr);
    login(&cli);
    server.take_requests();
    let used = |output: Output| {
        output.succeeded();
        let Request::VerifyToken(sent) = server.take_request() else { panic!("a VerifyToken") };
        sent.access_token.expose_str().unwrap().to_owned()
    };
    assert_eq!(used(cli.run(&["verify"])), "access-1");
    assert_eq!(used(cli.run(&["verify", "--token", "given"])), "given");
    assert_eq!(used(cli.run_with(&["verify", "--token-stdin"], "piped\n")), "piped");
    let mut command = cli.command(&["verify"]);
    command.env("USER_CLI_TOKEN", "from the environment");
    assert_eq!(used(Output::of(command, "")), "from the environment");
}

#[test]
fn a_valid_token_is_shown_with_its_times_and_staleness() {
    let server = server();
    let cli = Cli::new(&server.addr);
    let output = cli.run(&["verify", "--token", "t"]).succeeded();
    assert!(output.stdout.starts_with("The token is valid.\n"), "{}", output.stdout);
    assert!(output.stdout.contains("issued at   2023-11-14T22:13:20Z ("), "{}", output.stdout);
    assert!(output.stdout.contains("expires at  2100-03-01T00:00:00Z (in "), "{}", output.stdout);
    let output = cli.run(&["verify", "--token", "stale"]).succeeded();
    assert!(output.stdout.contains("stale       1.2 s"), "{}", output.stdout);
    let object = cli.run(&["verify", "--token", "stale", "--json"]).succeeded().object();
    assert_eq!((&object["valid"], &object["stale_ms"]), (&true.into(), &1200.into()));
}

#[test]
fn a_refresh_replaces_the_tokens() {
    let server = server();
    let cli = Cli::new(&server.addr);
    login(&cli);
    server.take_requests();
    cli.run(&["refresh"]).succeeded();
    let Request::RefreshToken(sent) = server.take_request() else { panic!("a RefreshToken") };
    assert_eq!(sent.refresh_token.expose_str(), Some("refresh-1"));
    assert_eq!(cli.state()["session"]["refresh_token"], "refresh-2");
}

#[test]
fn the_hint_for_an_expired_token_names_refresh_if_a_refresh_token_is_stored() {
    let server = server();
    let cli = Cli::new(&server.addr);
    login(&cli);
    assert!(cli.run(&["get"]).failed(1).stderr.contains("Run `user-cli refresh`"));
    assert!(cli.run(&["verify", "--token", "old"]).failed(1).stderr.contains("Log in again"));
}

#[test]
fn a_damaged_state_file_is_named_and_not_printed() {
    let server = server();
    let cli = Cli::new(&server.addr);
    login(&cli);
    std::fs::write(cli.state_file(), "{\"session\": \"access-1\"}").unwrap();
    let output = cli.run(&["verify"]).failed(2);
    assert!(
        output.stderr.contains("state/") && !output.stderr.contains("access-1"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_revoked_session_is_forgotten_if_it_is_the_stored_one() {
    let server = FakeServer::start(|request| {
        Some(match request {
            Request::Login(_) => logged_in(1).into(),
            _ => error(ErrorCode::SESSION_REVOKED).into(),
        })
    });
    let cli = Cli::new(&server.addr);
    cli.run_with(&["login", "kim", "--password-stdin"], "correct horse\n").succeeded();
    cli.run(&["verify", "--token", "of another session"]).failed(1);
    assert!(cli.has_state(), "the ended session may be another one");
    cli.run(&["verify"]).failed(1);
    assert!(!cli.has_state());
}
