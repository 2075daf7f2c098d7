//! Connections over TLS, and the errors if one side does not trust the other.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::authority::Authority;
use crate::cli::{Cli, Output};
use crate::fake_server::{FakeServer, pong};
use crate::live_server::LiveServer;

const PING: &str = "000000057f00000001";

/// A server with TLS, and the files of its clients.
struct TlsServer {
    files: TempDir,
    live: LiveServer,
    cli: Cli,
    ca: String,
}

impl TlsServer {
    /// Starts a server with a new certificate. With `clients`, it requires a client certificate of
    /// that authority.
    fn start(clients: Option<&Authority>) -> Self {
        let (files, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let ca = authority.write(&files.path().join("ca.pem"));
        let [certificate, key] = authority.certify(&files.path().join("server"));
        let mut settings = vec![("TLS_CERT", certificate), ("TLS_KEY", key)];
        if let Some(clients) = clients {
            settings.push(("TLS_CLIENT_CA", clients.write(&files.path().join("clients.pem"))));
        }
        let live = LiveServer::start_with(&settings);
        let cli = Cli::new(live.address.as_str());
        Self { files, live, cli, ca }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }
}

/// Asserts exit code 2, with this text in the message and this text in the hint.
fn assert_error(output: Output, message: &str, hint: &str) {
    let output = output.failed(2);
    let (error, hints) = output.stderr.split_once("hint: ").unwrap();
    assert!(
        error.contains(message) && hints.contains(hint),
        "expected {message:?}, {hint:?}: {}",
        output.stderr
    );
}

#[test]
fn commands_work_with_a_client_certificate() {
    let clients = Authority::new();
    let server = TlsServer::start(Some(&clients));
    let [cert, key] = clients.certify(&server.file("me"));
    let tls = ["--ca", &server.ca, "--cert", &cert, "--key", &key];
    let run = |arguments: &[&str], stdin: &str| {
        server.cli.run_with(&[arguments, &tls].concat(), stdin).succeeded()
    };
    run(&["register", "kim", "kim@example.com", "--password-stdin"], "tides rise at nine\n");
    let code = server.live.code("kim@example.com", "");
    run(&["verify-email", "--code", &code], "");
    // The TLS options may come from the environment; the state file depends only on the address.
    let mut command = server.cli.command(&["verify", "--json"]);
    command.env("USER_CLI_CA", &server.ca).env("USER_CLI_CERT", &cert).env("USER_CLI_KEY", &key);
    assert_eq!(Output::of(command, "").succeeded().object()["reply"], "TokenVerified");
    let file = server.cli.state_file();
    assert_eq!(
        file.file_name().unwrap().to_str().unwrap(),
        format!("{}.json", server.live.address.replace(':', "%3a"))
    );
    // A token that was received over TLS is never sent in plain text.
    assert_error(server.cli.run(&["verify"]), "was received over TLS", "--ca");
    // A client with a certificate is a trusted peer.
    run(&["get", "--client-address", "192.0.2.7"], "");
    run(&["refresh"], "");
    run(&["send", PING], "");
    run(&["logout"], "");
    assert!(!server.cli.has_state());
}

/// A refusal is no failure of the network, and the metrics of the server do not count it as one.
#[test]
fn the_connection_is_closed_after_a_refusal() {
    let server = TlsServer::start(None);
    let login = ["login", "nobody", "--password-stdin", "--ca", &server.ca];
    server.cli.run_with(&login, "tides rise at nine\n").failed(1);
    let closed = |reason: &str| {
        let sample = format!("closed_total{{reason=\"{reason}\"}} ");
        let metrics = server.live.read_metrics();
        let value = metrics.lines().find_map(|line| line.split_once(&sample)).unwrap().1;
        value.parse::<u32>().unwrap()
    };
    let start = std::time::Instant::now();
    while closed("client") + closed("lost") == 0 && start.elapsed().as_secs() < 10 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!((closed("client"), closed("lost")), (1, 0));
}

#[test]
fn an_untrusted_server_is_reported() {
    let server = TlsServer::start(None);
    let (cli, ca) = (&server.cli, server.ca.as_str());
    cli.run(&["ping", "--ca", ca]).succeeded();
    cli.run(&["ping", "--ca", ca, "--server-name", "localhost"]).succeeded();
    let other = Authority::new().write(&server.file("other.pem"));
    for command in [&["ping"][..], &["send", PING]] {
        let run = |options: &[&str]| cli.run(&[command, options].concat());
        assert_error(run(&["--ca", &other]), "not issued by a trusted authority", "--ca");
        assert_error(run(&["--tls"]), "not issued by a trusted authority", "--ca");
        assert_error(
            run(&["--ca", ca, "--server-name", "example.org"]),
            "for another name",
            "--server-name",
        );
    }
    let error = cli.run(&["ping", "--ca", &other, "--json"]).failed(2).error();
    assert_eq!((&error["kind"], &error["outcome_unknown"]), (&"tls".into(), &false.into()));

    // One side uses TLS, the other does not.
    let plain = cli.run(&["ping"]).failed(1);
    assert!(
        plain.stderr.contains("this port requires TLS 1.3")
            && plain.stderr.contains("hint: The server requires TLS")
    );
    let without_tls = LiveServer::start();
    assert_error(
        Cli::new(&without_tls.address).run(&["ping", "--ca", ca]),
        "does not use TLS",
        "Remove --tls and --ca",
    );
    let fake_server = FakeServer::replying(pong());
    assert_error(
        Cli::new(&fake_server.addr).run(&["ping", "--tls"]),
        "does not use TLS",
        "Remove --tls and --ca",
    );
}

#[test]
fn a_rejected_client_certificate_is_reported_at_once() {
    let clients = Authority::new();
    let server = TlsServer::start(Some(&clients));
    let [cert, key] = clients.certify_until(&server.file("old"), 2002);
    let [foreign, foreign_key] = Authority::new().certify(&server.file("strange"));
    let required = "requires a client certificate";
    for (options, message) in [
        (&[][..], required),
        (
            &["--cert", &cert, "--key", &key],
            "rejected the client certificate (certificate expired)",
        ),
        (&["--cert", &foreign, "--key", &foreign_key], "rejected the client certificate"),
    ] {
        let all = [&["ping", "--ca", server.ca.as_str()], options].concat();
        assert_error(server.cli.run(&all), message, "TLS_CLIENT_CA");
    }
    // The login was certainly not executed, so its outcome is not unknown.
    let login = ["login", "kim", "--password-stdin", "--ca", &server.ca];
    let output = server.cli.run_with(&login, "p\n").failed(2);
    assert!(
        output.stderr.contains(required) && !output.stderr.contains("unknown"),
        "{}",
        output.stderr
    );
    let sent = server.cli.run(&["send", PING, "--ca", &server.ca]).failed(2);
    assert!(sent.stderr.contains(required), "{}", sent.stderr);
}

#[test]
fn invalid_options_are_reported_before_any_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = authority.write(&folder.path().join("ca.pem"));
    let [cert, key] = authority.certify(&folder.path().join("me"));
    let [_, other_key] = authority.certify(&folder.path().join("other"));
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "nothing").unwrap();
    let (empty, missing) = (empty.to_str().unwrap(), "/nowhere/at/all");
    let cli = Cli::offline();
    for (options, message, hint) in [
        (&["--cert", &cert, "--key", &key][..], "--cert has no effect without TLS", "--ca FILE"),
        (&["--server-name", "localhost"], "--server-name has no effect without TLS", "--tls"),
        (&["--ca", &ca, "--cert", &cert], "--cert requires --key", "private key"),
        (&["--tls", "--key", &key], "--key requires --cert", "certificate"),
        (&["--ca", missing], "--ca: cannot read /nowhere/at/all", "PEM"),
        (&["--ca", empty], "expected a certificate in PEM format", "authority"),
        (&["--ca", &ca, "--cert", empty, "--key", &key], "--cert: ", "your client certificate"),
        (
            &["--ca", &ca, "--cert", &cert, "--key", empty],
            "expected an unencrypted private key",
            "not encrypted",
        ),
        (
            &["--ca", &ca, "--cert", &cert, "--key", &other_key],
            "the key does not match the certificate",
            "--cert",
        ),
        (&["--ca", &ca, "--server-name", "a b"], "is not a valid server name", "name"),
    ] {
        let output =
            cli.run_with(&[&["login", "kim", "--password-stdin"], options].concat(), "p\n");
        assert!(!output.stderr.contains(secret_of(Path::new(&other_key)).as_str()), "{output:?}");
        assert_error(output, message, hint);
    }
    // Commands without a connection ignore them.
    let mut command = cli.command(&["decode", PING]);
    command.env("USER_CLI_CA", missing).env("USER_CLI_CERT", missing);
    Output::of(command, "").succeeded();
}

/// Returns a line of the key.
fn secret_of(key: &Path) -> String {
    std::fs::read_to_string(key).unwrap().lines().nth(1).unwrap().to_owned()
}

#[test]
fn a_load_test_over_tls_succeeds() {
    let clients = Authority::new();
    let server = TlsServer::start(Some(&clients));
    let [cert, key] = clients.certify(&server.file("me"));
    let mail_dir = server.live.data_dir.path().join("mails");
    let tls = ["--ca", &server.ca, "--cert", &cert, "--key", &key];
    let load = ["--connections", "3", "--duration", "1s", "--warm-up", "50ms", "--json"];
    let accounts = ["--mail-dir", mail_dir.to_str().unwrap(), "--users", "1", "--tokens", "5"];
    for (scenario, depth) in [("verify", &["--depth", "64"][..]), ("connect", &[])] {
        let arguments = [&["bench", scenario][..], depth, &load, &accounts, &tls].concat();
        let report = server.cli.run(&arguments).succeeded().object();
        let kind = &report["server"]["median"][scenario];
        assert!(kind["replies"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(
            (&kind["refused"], &kind["unanswered"]),
            (&serde_json::json!({}), &0.into()),
            "{report}"
        );
    }
    let output = server.cli.run(&["bench", "ping", "--tls"]).failed(2);
    assert!(output.stderr.contains("not issued by a trusted authority"), "{}", output.stderr);
}
