//! Certificates that an operator creates first, and why clients refuse them.

use std::path::Path;
use std::process::Command;

use crate::support::{RunOutput, left_out, run_in};

/// Creates `cert.pem` and `key.pem` with openssl. Returns false if it is not installed.
fn openssl(folder: &Path, more: &[&str]) -> bool {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]);
    command.args(["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"]).args(more);
    let created = command.current_dir(folder).output();
    let created = created.is_ok_and(|output| output.status.success());
    if !created {
        left_out("certificates of openssl (openssl is missing)");
    }
    created
}

fn run(folder: &Path, command: &[&str]) -> RunOutput {
    run_in(folder, command, &[("TLS_CERT", "cert.pem"), ("TLS_KEY", "key.pem"), ("TCP_PORT", "0")])
}

#[test]
fn the_certificate_that_everybody_creates_first_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let san = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
    let client = ["-addext", "extendedKeyUsage=clientAuth"];
    let cases: [(Vec<&str>, &str); 4] = [
        (vec![], "the certificate of an authority (CA:TRUE)"),
        (san.to_vec(), "the certificate of an authority (CA:TRUE)"),
        (leaf.to_vec(), "it has no subjectAltName"),
        ([&san[..], &leaf, &client].concat(), "does not include serverAuth"),
    ];
    for (options, reason) in cases {
        if !openssl(folder.path(), &options) {
            return;
        }
        for command in [&[][..], &["check"]] {
            let refused = run(folder.path(), command);
            assert_eq!(refused.code, Some(64), "{refused:?}");
            let error = &refused.error;
            assert!(
                error.contains("\"cert.pem\" for TLS_CERT") && error.contains(reason),
                "{error}"
            );
            assert!(error.contains("hint: Set TLS_CERT") && error.contains("dev-cert"), "{error}");
        }
    }
    assert!(openssl(folder.path(), &[&san[..], &leaf].concat()));
    let check = run(folder.path(), &["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(check.output.contains("matches its key and is valid for 29 more days"), "{check:?}");
    std::fs::write(
        folder.path().join("cert.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let broken = run(folder.path(), &["check"]);
    assert!(broken.error.contains("cannot be parsed"), "{broken:?}");
}
