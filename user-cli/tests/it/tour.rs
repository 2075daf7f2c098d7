//! The life of an account, from registration to deletion: the real program against a real server,
//! with codes from the email files.

use std::path::Path;

use crate::cli::{Cli, Output};
use crate::live_server::LiveServer;

const FIRST: &str = "tides rise at nine";
const SECOND: &str = "and fall again by three";
const THIRD: &str = "the moon forgot its keys";

/// A user of the program, with everything that was printed and everything that must not be printed.
struct User {
    cli: Cli,
    printed: String,
    secrets: Vec<String>,
}

impl User {
    fn new(live: &LiveServer) -> Self {
        let secrets = [FIRST, SECOND, THIRD].map(str::to_owned).to_vec();
        Self { cli: Cli::new(live.address.as_str()), printed: String::new(), secrets }
    }

    fn run(&mut self, arguments: &[&str], stdin: &[&str]) -> Output {
        let output = self
            .cli
            .run_with(arguments, &stdin.iter().map(|line| format!("{line}\n")).collect::<String>());
        self.printed += &format!("$ {}\n{}{}", arguments[0], output.stdout, output.stderr);
        if self.cli.has_state() {
            let session = &self.cli.state()["session"];
            let tokens = ["access_token", "refresh_token"]
                .map(|token| session[token].as_str().map(str::to_owned));
            self.secrets.extend(tokens.into_iter().flatten());
        }
        output
    }

    /// Asserts that the command succeeds and prints this text.
    fn succeeds(&mut self, arguments: &[&str], stdin: &[&str], text: &str) {
        let output = self.run(arguments, stdin).succeeded();
        assert!(output.stdout.contains(text), "{arguments:?}, expected {text:?}: {output:?}");
    }

    /// Asserts that the server refuses the command with this code, and that the hint contains this
    /// text.
    fn is_refused(&mut self, arguments: &[&str], stdin: &[&str], code: &str, hint: &str) {
        let output = self.run(arguments, stdin).failed(1);
        let (error, hints) = output.stderr.split_once("hint: ").unwrap();
        assert!(
            error.contains(code) && hints.contains(hint),
            "{arguments:?}, expected {code}, {hint:?}: {output:?}"
        );
    }

    /// Returns the code of an email. From then on, it must not be printed.
    fn code(&mut self, live: &LiveServer, to: &str, subject: &str) -> String {
        let code = live.code(to, subject);
        self.secrets.push(code.clone());
        code
    }

    fn state_is_private(&self) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&self.cli.state_file()), 0o600);
            assert_eq!(mode(&self.cli.state_dir()), 0o700);
        }
    }
}

/// Runs every command of an account, most of them once with and once without success.
fn tour(live: &LiveServer, user: &mut User) {
    user.succeeds(&["ping"], &[], "is responding.");
    let output = user.run(&["get"], &[]).failed(2);
    assert!(
        output.stderr.contains("no token is stored") && output.stderr.contains("user-cli login"),
        "{output:?}"
    );

    register(live, user);
    sessions(user);
    updates(live, user);
    reset(live, user);

    user.is_refused(
        &["delete", "--password-stdin"],
        &["wrong"],
        "INVALID_CREDENTIALS",
        "Check the current password",
    );
    user.succeeds(&["delete", "--password-stdin"], &[THIRD], "Deleted.");
    user.is_refused(
        &["login", "kim2", "--password-stdin"],
        &[THIRD],
        "INVALID_CREDENTIALS",
        "login and the password",
    );
}

fn register(live: &LiveServer, user: &mut User) {
    let register = ["register", "kim", "kim@example.com", "--password-stdin"];
    user.is_refused(&register, &["short"], "INVALID_PASSWORD", "Choose 8 to 128");
    user.is_refused(
        // With a Cyrillic letter.
        &["register", "k\u{456}m", register[2], register[3]],
        &[FIRST],
        "INVALID_USERNAME",
        "Choose 3 to 32",
    );
    user.is_refused(
        &["register", "kim", "kim@a_b.example", register[3]],
        &[FIRST],
        "INVALID_EMAIL",
        "Use an address",
    );
    user.succeeds(&register, &[FIRST], "next: user-cli verify-email --code <CODE>");
    user.state_is_private();
    user.is_refused(&["resend-code"], &[], "RATE_LIMITED", "Wait for the time shown");

    let code = user.code(live, "kim@example.com", "registration");
    let wrong = if code == "000000" { "000001" } else { "000000" };
    user.is_refused(&["verify-email", "--code", wrong], &[], "INVALID_CODE", "newest email");
    // As it is copied from a file with CRLF.
    let copied = format!(" {code}\r");
    user.succeeds(&["verify-email", "--code", &copied], &[], "you are logged in");
    user.state_is_private();
}

fn sessions(user: &mut User) {
    user.succeeds(&["verify"], &[], "The token is valid.");
    user.succeeds(&["refresh"], &[], "Refreshed.");
    user.succeeds(&["verify"], &[], "valid       yes");
    user.succeeds(&["get"], &[], "username    kim\nemail       kim@example.com\n");
    assert_eq!(user.run(&["get", "--json"], &[]).succeeded().object()["username"], "kim");
    user.is_refused(
        &["login", "kim", "--password-stdin"],
        &["wrong"],
        "INVALID_CREDENTIALS",
        "login and the password",
    );
    user.is_refused(&["verify", "--token-stdin"], &["junk"], "INVALID_TOKEN", "Log in again");
    user.succeeds(&["logout"], &[], "sessions ended  1");
    assert!(!user.cli.has_state(), "no state is left");
    let login =
        ["login", "KIM@example.com", "--password-stdin", "--device", "Kim's \u{1b}[31mphone"];
    user.succeeds(&login, &[FIRST], "Logged in.");
    user.succeeds(&["login", "kim", "--password-stdin"], &[FIRST], "Logged in.");
    let too_long = ["login", "kim", "--password-stdin", "--device", &"d".repeat(129)];
    user.is_refused(&too_long, &[FIRST], "INVALID_VALUE (0205, device)", "Pass a shorter value");

    let listed = user.run(&["sessions"], &[]).succeeded().stdout;
    assert!(listed.starts_with("2 open sessions:\nsession id "), "{listed}");
    assert!(listed.contains("Kim's \u{fffd}[31mphone") && !listed.contains('\u{1b}'), "{listed}");
    let reply = user.run(&["sessions", "--json"], &[]).succeeded().object();
    let [newest, other] = reply["sessions"].as_array().unwrap().as_slice() else {
        panic!("{reply:?}")
    };
    assert_eq!((&newest["current"], &other["current"]), (&true.into(), &serde_json::Value::Null));
    let id = |session: &serde_json::Value| session["session_id"].as_str().unwrap().to_owned();
    user.succeeds(&["end-session", &id(other)], &[], "The session has ended.");
    let again = user.run(&["end-session", &id(other)], &[]).failed(1);
    assert!(again.stderr.contains("the account has no open session"), "{again:?}");
    user.succeeds(&["sessions"], &[], "1 open session:");
    let output = user.run(&["end-session", "nonsense"], &[]).failed(2);
    assert!(output.stderr.contains("invalid value 'nonsense'"), "{output:?}");
    user.succeeds(&["end-session", &id(newest)], &[], "The session has ended.");
    assert!(!user.cli.has_state(), "the tokens of the ended session are deleted");
    user.succeeds(&["login", "kim", "--password-stdin"], &[FIRST], "Logged in.");
}

fn updates(live: &LiveServer, user: &mut User) {
    user.succeeds(&["update", "--username", "kim2"], &[], "username  kim2\n");
    let to_org = ["update", "--email", "kim@example.org", "--password-stdin"];
    user.is_refused(&to_org, &["wrong"], "INVALID_CREDENTIALS", "Check the current password");
    user.succeeds(&to_org, &[FIRST], "the old address stays in use");
    let code = user.code(live, "kim@example.org", "new email address");
    user.succeeds(&["confirm-email", "--code", &code], &[], "email     kim@example.org\n");
    let password = ["update", "--new-password", "--password-stdin"];
    user.succeeds(&password, &[FIRST, SECOND], "All other sessions of the account have ended.");
    user.succeeds(&["verify"], &[], "The token is valid.");
}

fn reset(live: &LiveServer, user: &mut User) {
    user.succeeds(
        &["reset-password", "request", "kim@example.org"],
        &[],
        "next: user-cli reset-password confirm",
    );
    let code = user.code(live, "kim@example.org", "password");
    let confirm = ["reset-password", "confirm", "--code", &code, "--password-stdin"];
    user.is_refused(&confirm, &["short"], "INVALID_PASSWORD", "Choose 8 to 128");
    user.succeeds(&confirm, &[THIRD], "All sessions of the account have ended");
    user.is_refused(&["verify"], &[], "SESSION_REVOKED", "user-cli login");
    assert!(!user.cli.has_state(), "the tokens of an ended session are deleted");

    for _ in 0..2 {
        user.succeeds(&["login", "kim2", "--password-stdin"], &[THIRD], "Logged in.");
    }
    user.succeeds(&["logout", "--all"], &[], "sessions ended  2");
    user.succeeds(&["login", "kim2", "--password-stdin"], &[THIRD], "Logged in.");
}

#[test]
fn an_account_is_registered_used_and_deleted() {
    let mut live = LiveServer::start();
    let mut user = User::new(&live);
    tour(&live, &mut user);
    assert!(!user.cli.has_state(), "no state is left of a deleted account");

    user.succeeds(&["send", "000000057f00000001"], &[], "0xff Pong");
    assert_eq!(user.run(&["send", "00000003"], &[]).code, Some(1));
    live.stop();
    let output = user.run(&["ping"], &[]).failed(2);
    assert!(
        output.stderr.contains("cannot connect")
            && output.stderr.contains("Check that the server is running"),
        "{output:?}"
    );
}

#[test]
fn secrets_are_printed_only_on_request() {
    let live = LiveServer::start();
    let mut user = User::new(&live);
    tour(&live, &mut user);
    assert!(user.secrets.len() > 10, "too few tokens and codes");
    for secret in &user.secrets {
        assert!(!user.printed.contains(secret.as_str()), "{secret} is printed:\n{}", user.printed);
    }

    // On request they are printed, so the search above can find them.
    user.succeeds(
        &["register", "kim", "kim@example.net", "--password-stdin"],
        &[FIRST],
        "Registered.",
    );
    let code = user.code(&live, "kim@example.net", "registration");
    let shown =
        user.run(&["verify-email", "--code", &code, "--show-tokens"], &[]).succeeded().stdout;
    let token = user.cli.state()["session"]["access_token"].as_str().unwrap().to_owned();
    assert!(shown.contains(&token), "{shown}");
    let frames = user.run(&["verify", "--verbose"], &[]).stderr;
    let hex: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(frames.contains(&hex), "{frames}");
}

#[test]
fn an_idempotency_key_makes_a_command_repeatable() {
    let live = LiveServer::start();
    let cli = Cli::new(live.address.as_str());
    let key = "0190a6c8-9d2e-7b3f-8a41-5c6d7e8f9012";
    let register = |name: &str| {
        let arguments = [
            "register",
            name,
            "kim@example.com",
            "--password-stdin",
            "--json",
            "--idempotency-key",
            key,
        ];
        cli.run_with(&arguments, &format!("{FIRST}\n"))
    };
    let first = register("kim").succeeded();
    assert_eq!(first.stdout, register("kim").succeeded().stdout, "one registration");
    let other = register("lovelace");
    assert!(
        other.stderr.contains("IDEMPOTENCY_CONFLICT")
            && other.stderr.contains("new idempotency key"),
        "{other:?}"
    );
    let wrong = cli.run(&["ping", "--idempotency-key", "1234"]);
    assert!(wrong.stderr.contains("--idempotency-key"), "{wrong:?}");
}
