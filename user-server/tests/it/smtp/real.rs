//! Mails to a real SMTP server, aiosmtpd, with certificates made here.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use user_proto::VerifyEmail;
use user_server::domain::{Mailer, SendError};
use user_server::mail::TlsMode;

use super::{SENDER, mail, mailer};
use crate::support::{EmailFolder, TestServer};

/// The server, which lets nobody in but `ada`, by one password.
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
    /// `None`, said aloud, where there is no aiosmtpd.
    pub fn start(mode: &str) -> Option<Self> {
        let Some(python) = python() else {
            // Straight to standard error: what a test prints otherwise is kept back when it passes.
            std::io::stderr().write_all(b"left out: smtp (aiosmtpd is missing)\n").unwrap();
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        certify(&folder);
        std::fs::create_dir(at("mails")).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/smtp/smtpd.py");
        let mut child = Command::new(python)
            .args([script, mode])
            .args([at("mails"), at("smtp.pem"), at("smtp.key")])
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

    fn mails(&self) -> EmailFolder {
        EmailFolder(self.folder.path().join("mails"))
    }
}

/// A Python that has it: Debian's packages are seen by Debian's Python only.
fn python() -> Option<&'static str> {
    ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let mut command = Command::new(python);
        command.args(["-c", "import aiosmtpd.smtp"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

/// An authority, and a certificate of its for this machine.
fn certify(folder: &TempDir) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let own = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&own, &issuer).unwrap();
    for (name, text) in
        [("ca.pem", ca.pem()), ("smtp.pem", certificate.pem()), ("smtp.key", own.serialize_pem())]
    {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
}

/// Registers with mails going to a server of this mode, and enters the code that came.
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
    let mails = smtpd.mails();
    let code = mails.code("ada@example.org", 1).await;
    let came = &mails.all()[0];
    for fact in facts {
        assert!(came.body.contains(fact), "{fact}: {}", came.body);
    }
    assert!(came.body.contains(&format!("From: {SENDER}")), "{}", came.body);
    let verification_id = registered.verification_id;
    client.call(VerifyEmail::new(verification_id, code.as_str().into())).await.unwrap();
    client.close().await;
    let folder = server.stop().await;
    assert!(!folder.path().join("mails").exists(), "a folder for mails that go elsewhere");
}

#[tokio::test]
async fn a_code_comes_by_starttls_after_a_login() {
    register_by("starttls", ["X-Login: ada\n", "X-Tls: True\n"]).await;
}

#[tokio::test]
async fn a_code_comes_by_implicit_tls_after_a_login() {
    register_by("implicit", ["X-Login: ada\n", "X-Tls: True\n"]).await;
}

#[tokio::test]
async fn a_code_comes_within_this_machine_without_tls() {
    register_by("none", ["X-Login: \n", "X-Tls: False\n"]).await;
}

async fn refused(smtpd: &Smtpd, mode: TlsMode, ca: Option<&str>, password: &str) -> String {
    let mailer = mailer(smtpd.port, mode, ca, Some(("ada", password)));
    let Err(SendError::Temporary(why)) = mailer.send(&mail("bob@example.org")).await else {
        panic!("it was sent")
    };
    assert!(smtpd.mails().all().is_empty());
    why
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_authority_are_reported_to_the_operator() {
    let Some(smtpd) = Smtpd::start("starttls") else { return };
    let ca = smtpd.ca();
    let why = refused(&smtpd, TlsMode::StartTls, Some(&ca), "difference").await;
    assert!(
        why.contains("AUTH: refused with 535") && why.contains("check SMTP_USER and SMTP_PASSWORD"),
        "{why}"
    );
    assert!(!why.contains("difference") && !why.contains("bob"), "{why}");
    let why = refused(&smtpd, TlsMode::StartTls, None, "engine").await;
    assert!(why.contains("certificate") && why.contains("SMTP_CA"), "{why}");
}

#[tokio::test]
async fn an_answer_slipped_in_before_tls_is_not_taken_for_the_servers() {
    let Some(smtpd) = Smtpd::start("injecting") else { return };
    let ca = smtpd.ca();
    let why = refused(&smtpd, TlsMode::StartTls, Some(&ca), "engine").await;
    assert!(why.contains("STARTTLS"), "{why}");
}
