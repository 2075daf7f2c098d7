//! The same search over TLS with a generated secret, and with a mail server that rejects the login.

use super::artifacts::{Artifact, backup, common_artifacts, database_columns};
use super::scenario::{Target, run, run_during_outage};
use super::search::{Secrets, finds};
use super::{ISSUER, assert_no_secrets, assert_no_secrets_in_memory};
use crate::http;
use crate::smtp::{SENDER, Smtpd};
use crate::support::{Authority, Process, run_in};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_written_stored_or_held_in_memory_over_tls() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let own = authority.certify();
    let [certificate, key] = own.settings(folder.path());
    let settings = [
        ("LOG", "trace"),
        ("JWT_ISSUER", ISSUER),
        ("METRICS_ADDR", "127.0.0.1:0"),
        (certificate.0, certificate.1.as_str()),
        (key.0, key.1.as_str()),
    ];
    let process = Process::start(&settings);
    let jwt_secret = std::fs::read_to_string(process.data().join("jwt-secret")).unwrap();
    let jwt_secret = jwt_secret.trim_end();
    let mut secrets = Secrets::default();
    secrets.add_own("the secret of the data folder", jwt_secret);
    secrets.add_own("the key of the certificate", own.key.lines().nth(1).unwrap());
    let emails = process.emails();
    let target =
        Target { process: &process, emails: &emails, tls: Some(&authority), key: jwt_secret };
    let errors = run(&target, &mut secrets).await;
    assert_no_secrets_in_memory(&secrets, &process);
    let mut artifacts = common_artifacts(&process, &settings, errors).await;
    artifacts.push(database_columns(&process.data().join("users.db")).await);
    assert_no_secrets(&secrets, &artifacts);
    // A backup contains the secret of the data folder, and the command asks to guard it
    // accordingly. Of users, it contains no more than the database.
    let backup = backup(&process, &settings);
    assert!(finds(jwt_secret, &backup.bytes), "the backup could not be restored");
    assert_no_secrets(&secrets.of_users(), &[backup]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_password_of_a_mail_server_that_rejects_it_is_not_shown() {
    let Some(smtpd) = Smtpd::start("starttls") else { return };
    let mut secrets = Secrets::default();
    let (key, of_smtp) =
        (secrets.make("JWTSECRETKEY", 48), secrets.make("the password of the mail server", 16));
    let (port, ca) = (smtpd.port.to_string(), smtpd.ca());
    let settings = [
        ("LOG", "trace"),
        ("JWTSECRETKEY", key.as_str()),
        ("JWT_ISSUER", ISSUER),
        ("METRICS_ADDR", "127.0.0.1:0"),
        ("SMTP_HOST", "localhost"),
        ("SMTP_PORT", &port),
        ("SMTP_TLS", "starttls"),
        ("SMTP_CA", &ca),
        ("SMTP_USER", "ada"),
        ("SMTP_PASSWORD", &of_smtp),
        ("MAIL_FROM", SENDER),
    ];
    let process = Process::start(&settings);
    let mut errors = run_during_outage(&process, &mut secrets).await;
    let retried = |metrics: &http::Exposition| {
        metrics.value("user_server_mails_total", &[("result", "retried")]) > 0.0
    };
    http::wait_until(process.monitor(), "the mail server rejects the login", retried).await;
    let check =
        || tokio::task::block_in_place(|| run_in(process.location(), &["check"], &settings));
    let refused = check();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    drop(smtpd);
    errors += &format!("{refused:?} {:?}", check());
    errors += &run_during_outage(&process, &mut secrets).await;
    assert_no_secrets_in_memory(&secrets, &process);
    let body = http::get(process.monitor(), "/metrics").await.body
        + &http::get(process.monitor(), "/readyz").await.body;
    assert_no_secrets(
        &secrets,
        &[
            Artifact::text("standard output", process.output(), "user-server"),
            Artifact::text("the log", process.log(), "AUTH"),
            Artifact::text("health and metrics", body, "user_server_mails_total"),
            Artifact::text("the errors of clients and commands", errors, "INVALID_CREDENTIALS"),
        ],
    );
}
