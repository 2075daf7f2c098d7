//! A person's whole life with the service: the real program against a live server, with codes from
//! real mail files.

use std::path::Path;

use crate::cli::{Cli, Ran};
use crate::live::Live;

const FIRST: &str = "tides rise at nine";
const SECOND: &str = "and fall again by three";
const THIRD: &str = "the moon forgot its keys";

/// An operator at a terminal, who remembers all that was printed and everything that should not
/// have been.
struct Operator {
    cli: Cli,
    printed: String,
    secrets: Vec<String>,
}

impl Operator {
    fn at(live: &Live) -> Self {
        let secrets = [FIRST, SECOND, THIRD].map(str::to_owned).to_vec();
        Self { cli: Cli::of(live.address.as_str()), printed: String::new(), secrets }
    }

    fn run(&mut self, arguments: &[&str], stdin: &[&str]) -> Ran {
        let ran = self
            .cli
            .run_with(arguments, &stdin.iter().map(|line| format!("{line}\n")).collect::<String>());
        self.printed += &format!("$ {}\n{}{}", arguments[0], ran.stdout, ran.stderr);
        if self.cli.remembers() {
            let session = &self.cli.state()["session"];
            let tokens = ["access_token", "refresh_token"]
                .map(|token| session[token].as_str().map(str::to_owned));
            self.secrets.extend(tokens.into_iter().flatten());
        }
        ran
    }

    /// It was done, and this is part of what it said.
    fn done(&mut self, arguments: &[&str], stdin: &[&str], said: &str) {
        let ran = self.run(arguments, stdin).done();
        assert!(ran.stdout.contains(said), "{arguments:?} is to say {said:?}: {ran:?}");
    }

    /// The server said no, with this code and this mend.
    fn refused(&mut self, arguments: &[&str], stdin: &[&str], code: &str, mend: &str) {
        let ran = self.run(arguments, stdin).failed(1);
        let (what, how) = ran.stderr.split_once("mend: ").unwrap();
        assert!(
            what.contains(code) && how.contains(mend),
            "{arguments:?} is to be {code}, {mend:?}: {ran:?}"
        );
    }

    /// The code of a mail. The person who typed it knows it, and nobody who looks at the screen
    /// later should.
    fn code(&mut self, live: &Live, to: &str, subject: &str) -> String {
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
            assert_eq!(mode(&self.cli.state_folder()), 0o700);
        }
    }
}

/// Every command that asks the server, once where it is right and once where it is not.
fn tour(live: &Live, person: &mut Operator) {
    person.done(&["ping"], &[], "answers.");
    let ran = person.run(&["get"], &[]).failed(2);
    assert!(
        ran.stderr.contains("no token is stored") && ran.stderr.contains("user-cli login"),
        "{ran:?}"
    );

    register(live, person);
    sessions(person);
    updates(live, person);
    reset(live, person);

    person.refused(
        &["delete", "--password-stdin"],
        &["wrong"],
        "INVALID_CREDENTIALS",
        "Check the current password",
    );
    person.done(&["delete", "--password-stdin"], &[THIRD], "Deleted.");
    person.refused(
        &["login", "kim2", "--password-stdin"],
        &[THIRD],
        "INVALID_CREDENTIALS",
        "login and the password",
    );
}

fn register(live: &Live, person: &mut Operator) {
    let register = ["register", "kim", "kim@example.com", "--password-stdin"];
    person.refused(&register, &["short"], "INVALID_PASSWORD", "Choose 8 to 128");
    person.refused(
        &["register", "a b", register[2], register[3]],
        &[FIRST],
        "INVALID_USERNAME",
        "Choose 3 to 32",
    );
    person.refused(
        &["register", "kim", "nobody", register[3]],
        &[FIRST],
        "INVALID_EMAIL",
        "Give an address",
    );
    person.done(&register, &[FIRST], "next: user-cli verify-email --code <CODE>");
    person.state_is_private();
    person.refused(&["resend-code"], &[], "RATE_LIMITED", "Wait that long");

    let code = person.code(live, "kim@example.com", "registration");
    let wrong = if code == "000000" { "000001" } else { "000000" };
    person.refused(&["verify-email", "--code", wrong], &[], "INVALID_CODE", "newest mail");
    person.done(&["verify-email", "--code", &code], &[], "you are logged in");
    person.state_is_private();
}

fn sessions(person: &mut Operator) {
    person.done(&["verify"], &[], "The token is good.");
    person.done(&["refresh"], &[], "Refreshed.");
    person.done(&["verify"], &[], "valid       yes");
    person.done(&["get"], &[], "username    kim\nemail       kim@example.com\n");
    assert_eq!(person.run(&["get", "--json"], &[]).done().object()["username"], "kim");
    person.refused(
        &["login", "kim", "--password-stdin"],
        &["wrong"],
        "INVALID_CREDENTIALS",
        "login and the password",
    );
    person.refused(&["verify", "--token-stdin"], &["junk"], "INVALID_TOKEN", "Log in again");
    person.done(&["logout"], &[], "sessions ended  1");
    assert!(!person.cli.remembers(), "there is nothing left to remember");
    person.done(&["login", "KIM@example.com", "--password-stdin"], &[FIRST], "Logged in.");
}

fn updates(live: &Live, person: &mut Operator) {
    person.done(&["update", "--username", "kim2"], &[], "username  kim2\n");
    let to_org = ["update", "--email", "kim@example.org", "--password-stdin"];
    person.refused(&to_org, &["wrong"], "INVALID_CREDENTIALS", "Check the current password");
    person.done(&to_org, &[FIRST], "until then the old address counts");
    let code = person.code(live, "kim@example.org", "new e-mail address");
    person.done(&["confirm-email", "--code", &code], &[], "email     kim@example.org\n");
    let password = ["update", "--new-password", "--password-stdin"];
    person.done(&password, &[FIRST, SECOND], "Every other session of the account has ended.");
    person.done(&["verify"], &[], "The token is good.");
}

fn reset(live: &Live, person: &mut Operator) {
    person.done(
        &["reset-password", "request", "kim@example.org"],
        &[],
        "next: user-cli reset-password confirm",
    );
    let code = person.code(live, "kim@example.org", "password");
    let confirm = ["reset-password", "confirm", "--code", &code, "--password-stdin"];
    person.refused(&confirm, &["short"], "INVALID_PASSWORD", "Choose 8 to 128");
    person.done(&confirm, &[THIRD], "every session of the account has ended");
    person.refused(&["verify"], &[], "SESSION_REVOKED", "user-cli login");
    assert!(!person.cli.remembers(), "tokens of a session that has ended are not kept");

    for _ in 0..2 {
        person.done(&["login", "kim2", "--password-stdin"], &[THIRD], "Logged in.");
    }
    person.done(&["logout", "--all"], &[], "sessions ended  2");
    person.done(&["login", "kim2", "--password-stdin"], &[THIRD], "Logged in.");
}

#[test]
fn a_person_takes_the_whole_tour() {
    let mut live = Live::start();
    let mut person = Operator::at(&live);
    tour(&live, &mut person);
    assert!(!person.cli.remembers(), "nothing is kept of an account that was deleted");

    person.done(&["send", "000000057f00000001"], &[], "0xff Pong");
    assert_eq!(person.run(&["send", "00000003"], &[]).code, Some(1));
    live.stop();
    let ran = person.run(&["ping"], &[]).failed(2);
    assert!(
        ran.stderr.contains("can not connect") && ran.stderr.contains("Start user-server"),
        "{ran:?}"
    );
}

#[test]
fn no_secret_is_printed_that_nobody_asked_for() {
    let live = Live::start();
    let mut person = Operator::at(&live);
    tour(&live, &mut person);
    assert!(person.secrets.len() > 10, "the tour brought tokens and codes");
    for secret in &person.secrets {
        assert!(
            !person.printed.contains(secret.as_str()),
            "{secret} is printed:\n{}",
            person.printed
        );
    }

    // Where they are asked for they are printed, so the search above can find them.
    person.done(
        &["register", "kim", "kim@example.net", "--password-stdin"],
        &[FIRST],
        "Registered.",
    );
    let code = person.code(&live, "kim@example.net", "registration");
    let shown = person.run(&["verify-email", "--code", &code, "--show-tokens"], &[]).done().stdout;
    let token = person.cli.state()["session"]["access_token"].as_str().unwrap().to_owned();
    assert!(shown.contains(&token), "{shown}");
    let frames = person.run(&["verify", "--verbose"], &[]).stderr;
    let hex: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(frames.contains(&hex), "{frames}");
}

#[test]
fn a_key_makes_a_command_repeatable() {
    let live = Live::start();
    let cli = Cli::of(live.address.as_str());
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
    let first = register("kim").done();
    assert_eq!(first.stdout, register("kim").done().stdout, "one registration");
    let other = register("lovelace");
    assert!(
        other.stderr.contains("IDEMPOTENCY_CONFLICT")
            && other.stderr.contains("new idempotency key"),
        "{other:?}"
    );
    let wrong = cli.run(&["ping", "--idempotency-key", "1234"]);
    assert!(wrong.stderr.contains("--idempotency-key"), "{wrong:?}");
}
