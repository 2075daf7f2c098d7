//! Mistakes of operators: what is mistyped, missing or not a user-server is named.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use user_proto::{ErrorCode, ErrorReply, Request, SessionEnded};

use crate::cli::{Cli, Output};
use crate::fake_server::{FakeServer, error, pong};
use crate::live_server::LiveServer;

#[test]
fn ids_and_addresses_are_explained() {
    let cli = Cli::offline();
    for arguments in [
        &["end-session", "not-an-id"][..],
        &["verify-email", "--verification-id", "1"],
        &["ping", "--idempotency-key", "x"],
    ] {
        let output = cli.run(arguments).failed(2);
        assert!(output.stderr.contains("not a UUID"), "{}", output.stderr);
    }
    let output = cli.run(&["top", "--once", "--metrics", "127.0.0.1:1"]).failed(2);
    assert!(output.stderr.contains("cannot read http://127.0.0.1:1/metrics"), "{}", output.stderr);
    let output = cli.run(&["dev-cert", "certs", "--name", "bad name"]).failed(2);
    assert!(output.stderr.contains("expected a host name"), "{}", output.stderr);
    let output = cli.run(&["decode", "-"]).failed(2);
    assert!(output.stderr.contains("stdin is empty"), "{}", output.stderr);
    let output = cli.run(&["ping", "--profile", "\u{1b}[31m"]).failed(2);
    assert!(!output.stderr.contains('\u{1b}'), "{}", output.stderr);
    let output = cli.run(&["\u{1b}[31m"]).failed(2);
    assert!(!output.stderr.contains('\u{1b}'), "{}", output.stderr);
}

#[test]
fn a_file_is_named_with_the_setting_that_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "[profiles.prod]\naddr = \"127.0.0.1:1\"\nca = \"none.pem\"\n")
        .unwrap();
    let run = |arguments: &[&str], variable: &str| {
        let mut command = Cli::offline().command(arguments);
        command.env("USER_CLI_CONFIG", &config).env("USER_CLI_CA", variable);
        Output::of(command, "").failed(2).stderr
    };
    let profile = run(&["ping", "--profile", "prod"], "");
    assert!(profile.starts_with("error: ca of the profile `prod` in "), "{profile}");
    let variable = run(&["ping"], "/none.pem");
    assert!(variable.starts_with("error: $USER_CLI_CA: cannot read /none.pem"), "{variable}");
    let option = run(&["ping", "--profile", "prod", "--ca", "/other.pem"], "");
    assert!(option.starts_with("error: --ca: cannot read /other.pem"), "{option}");
}

/// Starts a server that sends these bytes: at once, or when it has read something. Returns its
/// address.
fn other_server(bytes: &'static [u8], at_once: bool) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                if !at_once {
                    let _ = stream.read(&mut [0; 64]);
                }
                let _ = stream.write_all(bytes);
                // Stays open, so that it is the bytes that end the command.
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    addr
}

#[test]
fn another_protocol_on_the_port_is_recognised_at_once() {
    for (bytes, at_once, protocol) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], false, "HTTP"),
        (b"220 mx.example.org ESMTP\r\n", true, "SMTP or FTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", true, "SSH"),
        (b"-ERR unknown command\r\n", false, "Redis"),
        (b"E\0\0\0\x5aSFATAL\0", false, "PostgreSQL"),
    ] {
        let cli = Cli::new(other_server(bytes, at_once));
        let register = ["register", "kim", "kim@example.org", "--password-stdin"];
        for arguments in [&["ping"][..], &register] {
            let began = std::time::Instant::now();
            let output = cli.run_with(arguments, "tides rise at nine\n").failed(2);
            let expected = format!("this is not a user-server (it answers like {protocol})");
            assert!(output.stderr.contains(&expected), "{output:?}");
            assert!(!output.stderr.contains("unknown"), "{output:?}");
            assert!(began.elapsed().as_secs() < 5, "{:?}: {output:?}", began.elapsed());
            let json = [arguments, &["--json"]].concat();
            let error = cli.run_with(&json, "tides rise at nine\n").failed(2).error();
            assert_eq!(error["kind"], "not_a_service", "{error}");
            assert_eq!(error["outcome_unknown"], false, "{error}");
        }
    }
    // A server that closes the connection without an answer, as PostgreSQL does.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let cli = Cli::new(listener.local_addr().unwrap().to_string());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().read(&mut [0; 64]);
        }
    });
    let began = std::time::Instant::now();
    let output = cli.run(&["ping"]).failed(2);
    assert!(output.stderr.contains("connection was lost"), "{output:?}");
    assert!(output.stderr.contains("another program"), "{output:?}");
    assert!(began.elapsed().as_secs() < 5, "{:?}: {output:?}", began.elapsed());
    // A protocol that is not known here.
    let cli = Cli::new(other_server(b"\x4a\0\0\0\x0a8.0.33\0", true));
    let output = cli.run(&["ping"]).failed(2);
    assert!(output.stderr.contains("this is not a user-server: "), "{output:?}");
    let live = LiveServer::start();
    let metrics = format!("http://{}", live.address);
    let output = Cli::offline().run(&["top", "--once", "--metrics", &metrics]).failed(2);
    assert!(output.stderr.contains("is this the port of the service?"), "{output:?}");
}

#[test]
fn a_port_on_which_nothing_answers_may_belong_to_another_program() {
    let cli = Cli::new(other_server(b"", false));
    let output = cli.run(&["ping", "--timeout", "1s"]).failed(2);
    assert!(output.stderr.contains("nothing was answered within the deadline"), "{output:?}");
    assert!(output.stderr.contains("another program"), "{output:?}");
    let output = cli.run(&["get", "--token", "t", "--timeout", "1s"]).failed(2);
    assert!(output.stderr.contains("user-cli ping"), "{output:?}");
}

#[test]
fn an_outcome_is_unknown_only_after_a_change() {
    let server = FakeServer::refusing(ErrorCode::UNAVAILABLE);
    let output = Cli::new(&server.addr).run(&["get", "--token", "t"]).failed(1);
    assert!(!output.stderr.contains("unknown whether"), "{output:?}");
    assert!(output.stderr.contains("user-server check"), "{output:?}");
    let lost = FakeServer::start(|_| None);
    let output = Cli::new(&lost.addr).run(&["ping"]).failed(2);
    assert!(!output.stderr.contains("unknown whether"), "{output:?}");
}

#[test]
fn a_session_that_does_not_exist_is_an_error() {
    let server = FakeServer::start(|request| {
        Some(match request {
            Request::EndSession(_) => SessionEnded { sessions_ended: 0 }.into(),
            _ => error(ErrorCode::INTERNAL).into(),
        })
    });
    let id = "f3ea5f62-924c-447c-ab4e-261a4b2dd125";
    let cli = Cli::new(&server.addr);
    let output = cli.run(&["end-session", id, "--token", "t"]).failed(1);
    assert!(output.stderr.contains(&format!("no open session {id}")), "{output:?}");
    let json = cli.run(&["end-session", id, "--token", "t", "--json"]).failed(1);
    assert_eq!(json.error()["kind"], "not_found");
}

#[test]
fn a_wrong_current_password_is_called_so() {
    let server = FakeServer::start(|_| {
        Some(
            ErrorReply {
                code: ErrorCode::INVALID_CREDENTIALS,
                message: "the current password is wrong".into(),
                retry_after_ms: None,
                field: Some("current_password".into()),
            }
            .into(),
        )
    });
    let arguments = ["delete", "--token", "t", "--password-stdin"];
    let output = Cli::new(&server.addr).run_with(&arguments, "p\n").failed(1);
    assert!(output.stderr.contains("the current password is wrong"), "{output:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn tokens_that_others_can_read_or_that_cannot_be_stored_are_reported() {
    use std::os::unix::fs::PermissionsExt;
    let live = LiveServer::start();
    let cli = Cli::new(live.address.as_str());
    let password = "tides rise at nine\n";
    cli.run_with(&["register", "kim", "kim@example.org", "--password-stdin"], password).succeeded();
    let code = live.code("kim@example.org", "");
    cli.run(&["verify-email", "--code", &code]).succeeded();
    let file = cli.state_file();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let output = cli.run(&["get"]).failed(2);
    assert!(output.stderr.contains(&format!("chmod 600 {}", file.display())), "{output:?}");
    std::fs::remove_file(&file).unwrap();

    // Nobody can create a folder there.
    let folder = "/proc/user-cli";
    let login = |more: &[&str]| {
        let mut command = cli.command(&[&["login", "kim", "--password-stdin"], more].concat());
        command.env("USER_CLI_STATE_DIR", folder);
        Output::of(command, password)
    };
    let lost = login(&[]);
    assert_eq!(lost.code, Some(2), "{lost:?}");
    let named = lost.stderr.contains("warning: cannot store") && lost.stderr.contains(folder);
    assert!(named, "{lost:?}");
    assert_eq!(login(&["--show-tokens"]).code, Some(0), "somebody has the tokens");
}

/// Runs a command on a terminal with this input. Returns what the terminal shows, or `None` without
/// the program `script`.
fn on_a_terminal(cli: &Cli, command: &str, input: &[u8]) -> Option<String> {
    let mut script = Command::new("script");
    let program = format!("{} {command}; echo \"code $?\"", env!("CARGO_BIN_EXE_user-cli"));
    script.args(["-qec", &program, "/dev/null"]);
    script.env_clear().envs(cli.command(&[]).get_envs().filter_map(|(k, v)| Some((k, v?))));
    script.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let spawned = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        let left_out = b"left out: prompts on a terminal (script is missing)\n";
        std::io::stderr().write_all(left_out).unwrap();
        return None;
    };
    std::thread::sleep(std::time::Duration::from_millis(700));
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(input);
    let _ = stdin.flush();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_is_sent_if_nothing_is_typed() {
    let server = FakeServer::replying(pong());
    let cli = Cli::new(&server.addr);
    let id = "f3ea5f62-924c-447c-ab4e-261a4b2dd125";
    let verify = format!("verify-email --verification-id {id}");
    for (command, input, name) in [
        ("login kim", &b"\n"[..], "password"),
        ("login kim", b"\x04", "password"),
        ("delete --token t", b"\n", "current password"),
        (verify.as_str(), b"\n", "code"),
        (verify.as_str(), b"\x04", "code"),
    ] {
        let Some(shown) = on_a_terminal(&cli, command, input) else { return };
        assert!(shown.contains(&format!("no {name} was entered")), "{command}: {shown}");
        assert!(shown.contains("code 2"), "{command}: {shown}");
    }
    assert!(server.take_requests().is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn arguments_are_checked_before_a_password_is_asked_for() {
    let server = FakeServer::replying(pong());
    let cli = Cli::new(&server.addr);
    let id = "f3ea5f62-924c-447c-ab4e-261a4b2dd125";
    let confirm = format!("reset-password confirm --code 123456 --verification-id {id}");
    for (command, expected) in [
        ("register kim notanemail", "an address such as name@example.com"),
        ("register kim@example.com kim@example.com", "3 to 32 characters"),
        ("update --token t --email notanemail", "an address such as name@example.com"),
        ("update --token t --username k --new-password", "3 to 32 characters"),
        (confirm.as_str(), "ten letters and digits"),
    ] {
        let Some(shown) = on_a_terminal(&cli, command, b"tides rise at nine\n") else { return };
        assert!(shown.contains(expected), "{command}: {shown}");
        for prompt in ["Password: ", "New password: ", "Current password: "] {
            assert!(!shown.contains(prompt), "{command}: {shown}");
        }
        assert!(shown.contains("code 2"), "{command}: {shown}");
    }
    let output = cli.run(&["reset-password", "request", "notanemail"]).failed(2);
    assert!(output.stderr.contains("such as name@example.com"), "{output:?}");
    assert!(server.take_requests().is_empty());
}
