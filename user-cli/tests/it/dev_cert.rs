//! Certificates for a trial, used by a real server and a real client, and checked by OpenSSL.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::cli::Cli;
use crate::live_server::LiveServer;

fn path(directory: &Path, name: &str) -> String {
    directory.join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_server_and_a_client_accept_each_other_with_trial_certificates() {
    let files = tempfile::tempdir().unwrap();
    let directory = files.path().join("certs");
    let cli = Cli::offline();
    let target = directory.to_str().unwrap();
    let output = cli.run(&["dev-cert", target, "--name", "users.internal"]).succeeded();
    assert!(output.stdout.contains("TLS_CERT=") && output.stdout.contains("--ca "), "{output:?}");
    let file = |name| path(&directory, name);
    let live = LiveServer::start_with(&[
        ("TLS_CERT", file("server.pem")),
        ("TLS_KEY", file("server.key")),
        ("TLS_CLIENT_CA", file("ca.pem")),
    ]);
    let cli = Cli::new(live.address.as_str());
    let tls =
        ["--ca", &file("ca.pem"), "--cert", &file("client.pem"), "--key", &file("client.key")];
    for more in [&[][..], &["--server-name", "localhost"], &["--server-name", "users.internal"]] {
        cli.run(&[&["ping"], &tls[..], more].concat()).succeeded();
    }
    let other = [&["ping"], &tls[..], &["--server-name", "example.org"]].concat();
    let output = cli.run(&other).failed(2);
    assert!(
        output.stderr.contains("users.internal")
            && output.stderr.contains("expected example.org, found localhost"),
        "{}",
        output.stderr
    );
    // The certificate of a server does not identify a client.
    let swapped = [
        "ping",
        "--ca",
        &file("ca.pem"),
        "--cert",
        &file("server.pem"),
        "--key",
        &file("server.key"),
    ];
    let output = cli.run(&swapped).failed(2);
    assert!(output.stderr.contains("rejected the client certificate"), "{}", output.stderr);
    assert!(!output.stderr.contains('"') && !output.stderr.contains("::"), "{}", output.stderr);

    openssl_accepts(&directory);
}

/// Checks the certificates with OpenSSL's strict rules.
fn openssl_accepts(directory: &Path) {
    for (purpose, certificate) in [("sslserver", "server.pem"), ("sslclient", "client.pem")] {
        let ca = path(directory, "ca.pem");
        let verified = Command::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", purpose, "-CAfile", &ca])
            .arg(path(directory, certificate))
            .output();
        let Ok(verified) = verified else {
            std::io::stderr()
                .write_all(b"left out: trial certificates in OpenSSL (openssl is missing)\n")
                .unwrap();
            return;
        };
        assert!(verified.status.success(), "{verified:?}");
    }
}

#[test]
fn private_keys_are_private_and_nothing_is_replaced() {
    let files = tempfile::tempdir().unwrap();
    let target = files.path().to_str().unwrap();
    let cli = Cli::offline();
    let created = cli.run(&["dev-cert", target, "--days", "1", "--json"]).succeeded().object();
    assert!(created["expires_at"].as_str().unwrap().ends_with('Z'), "{created}");
    for name in ["server_key", "client_key"] {
        let key = created[name].as_str().unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(std::fs::read_to_string(key).unwrap().contains("PRIVATE KEY"));
    }
    // The authority cannot issue anything else: its key is not kept.
    assert_eq!(std::fs::read_dir(files.path()).unwrap().count(), 5);
    let before = std::fs::read(files.path().join("server.key")).unwrap();
    let again = cli.run(&["dev-cert", target]).failed(2);
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
    assert_eq!(std::fs::read(files.path().join("server.key")).unwrap(), before);
    let invalid = cli.run(&["dev-cert", target, "--client-name", "ü"]).failed(2);
    assert!(invalid.stderr.contains("expected a host name"), "{}", invalid.stderr);
}
