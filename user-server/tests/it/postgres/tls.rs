//! A remote database is authenticated by its certificate: `verify-full`, with a private CA.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use user_server::store::{PostgresOptions, PostgresStore};

use super::node;
use crate::support::{Postgres, SECRET, postgres, run_in};
use crate::tour;

/// Creates a CA, and a certificate for `localhost` only. Returns the path of the CA's certificate,
/// and the other certificate with its key.
fn certify(folder: &TempDir, name: &str) -> (String, [String; 2]) {
    let mut ca_params = CertificateParams::new([]).unwrap();
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = ca_params.self_signed(&key).unwrap().pem();
    let own = KeyPair::generate().unwrap();
    let names = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = names.signed_by(&own, &Issuer::new(ca_params, key)).unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, ca).unwrap();
    (path.to_str().unwrap().to_owned(), [certificate.pem(), own.serialize_pem()])
}

/// Returns the error of connecting to a URL, or `None` if the connection succeeds.
async fn connection_error(url: &str) -> Option<String> {
    let options = PostgresOptions::parse(url, 1, false).unwrap();
    PostgresStore::migrate(&options).await.err().map(|fault| fault.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_authenticated_by_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, [certificate, key]) = certify(&folder, "ca.pem");
    let (other_ca, _) = certify(&folder, "other.pem");
    let files = [("server.pem", certificate.as_str()), ("server.key", &key)];
    let tls = "-c ssl=on -c ssl_cert_file=$folder/server.pem -c ssl_key_file=$folder/server.key";
    let Some(server) = Postgres::with(tls, &files) else { return };
    let by_address = server.database();
    let database = by_address.rsplit('/').next().unwrap();
    let by_name = by_address.replace("127.0.0.1", "localhost");
    let full = |url: &str, ca: &str| format!("{url}?sslmode=verify-full&sslrootcert={ca}");

    assert_eq!(connection_error(&full(&by_name, &ca)).await, None);
    let wrong_name = connection_error(&full(&by_address, &ca)).await.unwrap();
    assert!(
        wrong_name.contains("NotValidForName") || wrong_name.contains("not valid for name"),
        "{wrong_name}"
    );
    let wrong_ca = connection_error(&full(&by_name, &other_ca)).await.unwrap();
    assert!(wrong_ca.contains("certificate"), "{wrong_ca}");
    let unknown = connection_error(&format!("{by_name}?sslmode=verify-full")).await.unwrap();
    assert!(unknown.contains("certificate"), "no public CA has issued it: {unknown}");

    let served = node(&full(&by_name, &ca), &[]).await;
    let all = "DO $$ BEGIN ASSERT (SELECT count(*) > 0 AND bool_and(ssl) FROM pg_stat_ssl
        JOIN pg_stat_activity USING (pid) WHERE application_name = 'user-server'); END $$";
    served.account(&served.client(), "grace").await;
    assert!(server.psql(database, all), "a connection without TLS");
    tour::run(served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_tls_is_rejected_if_tls_is_required() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let refused = connection_error(&format!("{url}?sslmode=verify-full")).await.unwrap();
    assert!(refused.to_lowercase().contains("tls"), "{refused}");
    let folder = tempfile::tempdir().unwrap();
    let secret = url.replace("tests@", "tests:hunter2@") + "?sslmode=verify-full";
    let settings =
        [("PostgreSQL", secret.as_str()), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", "mails")];
    let result = run_in(folder.path(), &["check"], &settings);
    assert_eq!(result.code, Some(1), "{result:?}");
    assert!(
        result.output.contains("WRONG  PostgreSQL") && !format!("{result:?}").contains("hunter2"),
        "{result:?}"
    );
}
