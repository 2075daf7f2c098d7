//! Email to a real SMTP server, aiosmtpd, with certificates made by the test.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use user_proto::VerifyEmail;
use user_server::domain::{Mailer, SendError};
use user_server::mail::TlsMode;

use super::{SENDER, email, mailer};
use crate::support::{EmailFolder, TestServer};

/// A running aiosmtpd, which accepts only the user `ada` with one password.
pub struct Smtpd {
    child: Child,
    pub port: u16,
    folder: TempDir,
}

impl Drop for Smtpd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Smtpd {
    /// Starts the server in a mode of `smtpd.py`. Returns `None`, after a message, if aiosmtpd is
    /// not installed.
    pub fn start(mode: &str) -> Option<Self> {
        let Some(python) = python() else {
            // Written directly to standard error: other output of a test that passes is not shown.
            std::io::stderr().write_all(b"left out: smtp (aiosmtpd is missing)\n").unwrap();
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        certify(&folder);
        std::fs::create_dir(path("mails")).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/smtp/smtpd.py");
        let mut child = Command::new(python)
            .args([script, mode])
            .args([path("mails"), path("smtp.pem"), path("smtp.key")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Some(Self { child, port: port.trim().parse().unwrap(), folder })
    }

    pub fn ca(&self) -> String {
        self.folder.path().join("ca.pem").to_str().unwrap().to_owned()
    }

    fn emails(&self) -> EmailFolder {
        EmailFolder(self.folder.path().join("mails"))
    }
}

/// Returns a Python that has aiosmtpd: Debian's packages are visible only to Debian's Python.
fn python() -> Option<&'static str> {
    ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let mut command = Command::new(python);
        command.args(["-c", "import aiosmtpd.smtp"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

/// Creates a CA and a certificate for this machine.
fn certify(folder: &TempDir) {
    let mut ca_params = CertificateParams::new([]).unwrap();
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = ca_params.self_signed(&key).unwrap();
    let issuer = Issuer::new(ca_params, key);
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let own = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&own, &issuer).unwrap();
    for (name, text) in
        [("ca.pem", ca.pem()), ("smtp.pem", certificate.pem()), ("smtp.key", own.serialize_pem())]
    {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
}

/// Registers with email over a server in this mode, and enters the received code.
async fn register_by(mode: &str, facts: [&str; 2]) {
    let Some(smtpd) = Smtpd::start(mode) else { return };
    let (port, ca) = (smtpd.port.to_string(), smtpd.ca());
    let mut settings = vec![
        ("SMTP_HOST", "localhost"),
        ("SMTP_PORT", &port),
        ("SMTP_TLS", mode),
        ("MAIL_FROM", SENDER),
    ];
    if mode != "none" {
        settings.extend([
            ("SMTP_CA", ca.as_str()),
            ("SMTP_USER", "ada"),
            ("SMTP_PASSWORD", "engine"),
        ]);
    }
    let server = TestServer::start_with(&settings).await;
    let client = server.client();
    let registered = server.register(&client, "Ada", "ada@example.org").await;
    let emails = smtpd.emails();
    let code = emails.code("ada@example.org", 1).await;
    let received = &emails.all()[0];
    for fact in facts {
        assert!(received.body.contains(fact), "{fact}: {}", received.body);
    }
    assert!(received.body.contains(&format!("From: {SENDER}")), "{}", received.body);
    let verification_id = registered.verification_id;
    client.call(VerifyEmail::new(verification_id, code.as_str().into())).await.unwrap();
    client.close().await;
    let folder = server.stop().await;
    assert!(!folder.path().join("mails").exists(), "an email folder that is not used");
}

#[tokio::test]
async fn a_code_arrives_over_starttls_with_a_login() {
    register_by("starttls", ["X-Login: ada\n", "X-Tls: True\n"]).await;
}

#[tokio::test]
async fn a_code_arrives_over_implicit_tls_with_a_login() {
    register_by("implicit", ["X-Login: ada\n", "X-Tls: True\n"]).await;
}

#[tokio::test]
async fn a_code_arrives_on_this_machine_without_tls() {
    register_by("none", ["X-Login: \n", "X-Tls: False\n"]).await;
}

async fn send_error(smtpd: &Smtpd, mode: TlsMode, ca: Option<&str>, password: &str) -> String {
    let mailer = mailer(smtpd.port, mode, ca, Some(("ada", password)));
    let Err(SendError::Service(error)) = mailer.send(&email("bob@example.org")).await else {
        panic!("it was sent")
    };
    assert!(smtpd.emails().all().is_empty());
    error
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_ca_are_reported_with_a_hint() {
    let Some(smtpd) = Smtpd::start("starttls") else { return };
    let ca = smtpd.ca();
    let error = send_error(&smtpd, TlsMode::StartTls, Some(&ca), "difference").await;
    assert!(
        error.contains("AUTH: refused with 535")
            && error.contains("check SMTP_USER and SMTP_PASSWORD"),
        "{error}"
    );
    assert!(!error.contains("difference") && !error.contains("bob"), "{error}");
    let error = send_error(&smtpd, TlsMode::StartTls, None, "engine").await;
    assert!(error.contains("certificate") && error.contains("SMTP_CA"), "{error}");
}

#[tokio::test]
async fn an_answer_injected_before_tls_is_rejected() {
    let Some(smtpd) = Smtpd::start("injecting") else { return };
    let ca = smtpd.ca();
    let error = send_error(&smtpd, TlsMode::StartTls, Some(&ca), "engine").await;
    assert!(error.contains("STARTTLS"), "{error}");
}
