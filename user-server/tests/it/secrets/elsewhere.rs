//! The same on ways that fewer take: over TLS with a secret that the data folder keeps, and with a
//! mail server that refuses the login.

use super::places::{Place, copy, database_file, embedded};
use super::search::{Secrets, finds};
use super::story::{Door, in_trouble, live};
use super::{ISSUER, judge, judge_memory};
use crate::http;
use crate::smtp::{SENDER, Smtpd};
use crate::support::{Authority, Process, run_in};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_written_stored_or_kept_over_tls() {
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
    let kept = std::fs::read_to_string(process.data().join("jwt-secret")).unwrap();
    let kept = kept.trim_end();
    let mut secrets = Secrets::default();
    secrets.note_own("the secret of the data folder", kept);
    secrets.note_own("the key of the certificate", own.key.lines().nth(1).unwrap());
    let mails = process.emails();
    let door = Door { process: &process, mails: &mails, tls: Some(&authority), key: kept };
    let said = live(&door, &mut secrets).await;
    judge_memory(&secrets, &process);
    let mut places = embedded(&process, &settings, said).await;
    places.push(database_file(&process.data().join("users.db")).await);
    judge(&secrets, &places);
    // A copy holds the secret of the data folder, and is told to be kept as that; of users it holds
    // no more than the rest.
    let copy = copy(&process, &settings);
    assert!(finds(kept, &copy.bytes), "it could not be put back");
    judge(&secrets.of_users(), &[copy]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_password_of_a_mail_server_that_refuses_it_is_not_told() {
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
    let mut said = in_trouble(&process, &mut secrets).await;
    let retried = |metrics: &http::Exposition| {
        metrics.value("user_server_mails_total", &[("result", "retried")]) > 0.0
    };
    http::until(process.monitor(), "the mail server refuses the login", retried).await;
    let check =
        || tokio::task::block_in_place(|| run_in(process.location(), &["check"], &settings));
    let refused = check();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    drop(smtpd);
    said += &format!("{refused:?} {:?}", check());
    said += &in_trouble(&process, &mut secrets).await;
    judge_memory(&secrets, &process);
    let told = http::get(process.monitor(), "/metrics").await.body
        + &http::get(process.monitor(), "/readyz").await.body;
    judge(
        &secrets,
        &[
            Place::text("standard output", process.output(), "user-server"),
            Place::text("the log", process.log(), "AUTH"),
            Place::text("health and metrics", told, "user_server_mails_total"),
            Place::text("what clients and operators are told", said, "INVALID_CREDENTIALS"),
        ],
    );
}
