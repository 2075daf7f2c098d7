//! Profiles, and the source of the server's address.

use std::path::Path;

use crate::authority::Authority;
use crate::cli::{Cli, Output};
use crate::fake_server::{FakeServer, pong};
use crate::live_server::LiveServer;

/// Writes a configuration file that only its owner can change.
fn write(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
    set_mode(file, 0o600);
}

fn set_mode(file: &Path, mode: u32) {
    #[cfg(unix)]
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// Runs a command with a configuration file.
fn run(cli: &Cli, config: &Path, arguments: &[&str]) -> Output {
    let mut command = cli.command(arguments);
    command.env("USER_CLI_CONFIG", config);
    Output::of(command, "")
}

#[test]
fn a_profile_sets_the_address_and_the_tls_files() {
    let (files, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let ca = authority.write(&files.path().join("ca.pem"));
    let [certificate, key] = authority.certify(&files.path().join("server"));
    authority.certify(&files.path().join("me"));
    let live = LiveServer::start_with(&[
        ("TLS_CERT", certificate),
        ("TLS_KEY", key),
        ("TLS_CLIENT_CA", ca),
    ]);
    let config = files.path().join("config.toml");
    let (address, metrics) = (&live.address, &live.metrics);
    let text = format!(
        "[profiles.prod]\naddr = \"{address}\"\nca = \"ca.pem\"\ncert = \"me.pem\"\n\
         key = \"me.key\"\nmetrics = \"{metrics}\"\n\n[profiles.other]\naddr = \"127.0.0.1:1\"\n"
    );
    write(&config, &text);
    // The address in the environment is another one; the profile replaces it.
    let cli = Cli::offline();
    let shown = run(&cli, &config, &["ping", "--profile", "prod"]).succeeded().stdout;
    assert!(shown.starts_with(&format!("{address} is responding.")), "{shown}");
    let top = ["--profile", "prod", "top", "--once", "--interval", "50ms"];
    run(&cli, &config, &top).succeeded();

    let mut command = cli.command(&["ping"]);
    command.env("USER_CLI_CONFIG", &config).env("USER_CLI_PROFILE", "prod");
    Output::of(command, "").succeeded();

    // An option overrides one setting of the profile.
    let output = run(&cli, &config, &["ping", "--profile", "other", "--addr", "127.0.0.1:2"]);
    assert!(output.failed(2).stderr.starts_with("error: 127.0.0.1:2 (from --addr): cannot"));
}

#[test]
fn a_failure_names_the_source_of_the_address() {
    let files = tempfile::tempdir().unwrap();
    let config = files.path().join("config.toml");
    write(&config, "[profiles.prod]\naddr = \"127.0.0.1:1\"\n");
    let cli = Cli::offline();
    let file = config.display();
    for (arguments, source) in [
        (&["ping"][..], "from $USER_CLI_ADDR".to_owned()),
        (&["ping", "--addr", "127.0.0.1:1"], "from --addr".to_owned()),
        (&["ping", "--profile", "prod"], format!("from the profile `prod` in {file}")),
    ] {
        let output = run(&cli, &config, arguments).failed(2);
        let expected = format!("error: 127.0.0.1:1 ({source}): cannot connect: ");
        assert!(output.stderr.starts_with(&expected), "{expected}: {}", output.stderr);
        let json = run(&cli, &config, &[arguments, &["--json"]].concat()).failed(2).error();
        assert_eq!((&json["addr"], &json["addr_source"]), (&"127.0.0.1:1".into(), &source.into()));
    }
    let send = run(&cli, &config, &["send", "000000057f00000001", "--profile", "prod"]).failed(2);
    assert!(send.stderr.contains("from the profile `prod`"), "{}", send.stderr);
    let bench = run(&cli, &config, &["bench", "ping", "--profile", "prod"]).failed(2);
    assert!(bench.stderr.contains("from the profile `prod`"), "{}", bench.stderr);
    let mut command = cli.command(&["ping"]);
    command.env_remove("USER_CLI_ADDR").env("USER_CLI_TLS", "1");
    let output = Output::of(command, "").failed(2);
    assert!(output.stderr.contains("127.0.0.1:3001 (the default address)"), "{}", output.stderr);
}

#[test]
fn invalid_profiles_and_variables_are_reported() {
    let files = tempfile::tempdir().unwrap();
    let config = files.path().join("config.toml");
    let cli = Cli::offline();
    let fails = |arguments: &[&str], message: &str, hint: &str| {
        let output = run(&cli, &config, arguments).failed(2);
        let (error, hints) = output.stderr.split_once("hint: ").unwrap();
        assert!(error.contains(message) && hints.contains(hint), "{message}: {}", output.stderr);
    };
    let prod = ["verify", "--profile", "prod"];
    fails(&prod, "cannot read", "[profiles.prod]");
    write(&config, "[profiles.dev]\naddr = \"a:1\"\n");
    fails(&prod, "has no profile `prod`", "The file contains `dev`.");
    write(&config, "[profiles.prod]\naddr = \"a:1\"\nadress = \"b\"\n");
    fails(&prod, "line 3: unknown field `adress`", "Correct the file");
    write(&config, "[profiles.prod]\naddr = \"a:port\"\n");
    fails(&prod, "invalid value \"a:port\" for addr", "Correct the address");
    write(&config, "[profiles.prod]\naddr = \"127.0.0.1:1\"\n");
    fails(&["top", "--profile", "prod"], "has no metrics", "--metrics");
    for mode in [0o620, 0o602] {
        set_mode(&config, mode);
        fails(&prod, "other users can change", "chmod go-w");
    }
    let mut command = cli.command(&["ping"]);
    command.env("USER_CLI_ADDR", "host:port");
    let output = Output::of(command, "").failed(2);
    assert!(
        output.stderr.contains("invalid value \"host:port\" for $USER_CLI_ADDR: expected host"),
        "{}",
        output.stderr
    );
}

#[test]
fn secrets_are_sent_in_plaintext_only_to_loopback_or_on_request() {
    // An address of documentation: nothing listens there, and the refusal comes before any attempt.
    let cli = Cli::new("192.0.2.1:3001");
    let login_frame = "000000110200000001000361626300057365637265";
    for arguments in [
        &["register", "kim", "kim@example.com", "--password-stdin"][..],
        &["verify-email", "--code", "123456"],
        &["confirm-email", "--code", "123456", "--token", "t"],
        &["login", "kim", "--password-stdin"],
        &["verify", "--token", "t"],
        &["refresh", "--token", "t"],
        &["logout", "--token", "t"],
        &["sessions", "--token", "t"],
        &["end-session", "00000000-0000-0000-0000-000000000001", "--token", "t"],
        &["get", "--token", "t"],
        &["update", "--username", "kim2", "--token", "t"],
        &["delete", "--password-stdin", "--token", "t"],
        &["reset-password", "confirm", "--code", "7KQ4M-2XW9D", "--password-stdin"],
        &["send", login_frame],
        &["bench", "login", "--accounts", "/nowhere"],
    ] {
        // Nothing is read from stdin, so nobody types a password in vain.
        let output = cli.run(arguments).failed(2);
        assert!(
            output.stderr.contains("without TLS") && output.stderr.contains("--allow-plaintext"),
            "{arguments:?}: {}",
            output.stderr
        );
    }
    let quick = ["--timeout", "50ms"];
    for arguments in [
        &["verify", "--token", "t", "--allow-plaintext"][..],
        &["ping"],
        &["resend-code", "--verification-id", "00000000-0000-0000-0000-000000000001"],
        &["reset-password", "request", "kim@example.com"],
        &["send", "000000057f00000001"],
    ] {
        let output = cli.run(&[arguments, &quick].concat()).failed(2);
        assert!(!output.stderr.contains("without TLS"), "{arguments:?}: {}", output.stderr);
    }
    // Loopback needs no permission.
    let server = FakeServer::replying(pong());
    let output = Cli::new(&server.addr).run(&["verify", "--token", "t"]);
    assert!(output.stderr.contains("invalid reply"), "{output:?}");
}
