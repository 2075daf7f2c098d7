//! TLS with clients of every kind: accepted and rejected ones, and reloading of certificates.

mod client;
mod process;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use user_proto::{Common, ErrorCode, Ping, Reply, frame};

use crate::support::{
    Authority, CertifiedKey, TEST_TIMEOUT, TestServer, Wire, request_frame, run_in,
};

pub const ALPN: &[&str] = &["user/1"];

/// A server with a certificate, and optionally with a CA for client certificates.
pub struct TlsServer {
    pub authority: Authority,
    folder: TempDir,
    server: TestServer,
}

impl TlsServer {
    pub async fn start(clients: Option<&Authority>, more: &[(&str, &str)]) -> Self {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        let [certificate, key] = authority.certify().settings(folder.path());
        let client_ca = folder.path().join("clients.pem");
        let client_ca = client_ca.to_str().unwrap();
        let mut settings = vec![(certificate.0, certificate.1.as_str()), (key.0, key.1.as_str())];
        if let Some(clients) = clients {
            std::fs::write(client_ca, &clients.pem).unwrap();
            settings.push(("TLS_CLIENT_CA", client_ca));
        }
        settings.extend(more);
        Self { authority, folder, server: TestServer::start_with(&settings).await }
    }

    fn client_config(&self, own: Option<&CertifiedKey>) -> Arc<ClientConfig> {
        self.authority.client_config(own, ALPN)
    }

    pub async fn dial(&self, config: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
        dial(self.server.address, config).await
    }
}

/// Connects and pings: in TLS 1.3, a client learns only from the first reply whether its
/// certificate was accepted.
pub async fn dial(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    let mut stream =
        TlsConnector::from(config).connect(ServerName::try_from("127.0.0.1").unwrap(), tcp).await?;
    ping(&mut stream).await?;
    Ok(stream)
}

async fn ping(stream: &mut TlsStream<TcpStream>) -> std::io::Result<()> {
    stream.write_all(&request_frame(1, Ping {}, &Common::default())).await?;
    stream.flush().await?;
    let mut input = Vec::new();
    loop {
        if let Some((found, _)) = frame::split(&input).unwrap() {
            assert!(
                matches!(Reply::decode(found.kind, found.body), Ok(Reply::Pong(_))),
                "{found:?}"
            );
            return Ok(());
        }
        if tokio::time::timeout(TEST_TIMEOUT, stream.read_buf(&mut input))
            .await
            .expect("an answer")?
            == 0
        {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

fn error_text(result: std::io::Result<TlsStream<TcpStream>>) -> String {
    result.expect_err("it was accepted").to_string()
}

#[tokio::test]
async fn a_client_that_trusts_the_ca_connects_and_another_does_not() {
    let tls_server = TlsServer::start(None, &[]).await;
    tls_server.dial(tls_server.client_config(None)).await.unwrap();
    tls_server.dial(tls_server.authority.client_config(None, &[])).await.unwrap();
    tls_server.dial(tls_server.authority.client_config(None, &["h2", "user/1"])).await.unwrap();
    let error =
        error_text(tls_server.dial(tls_server.authority.client_config(None, &["h2"])).await);
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    let error = error_text(tls_server.dial(Authority::new().client_config(None, ALPN)).await);
    assert!(error.contains("UnknownIssuer") || error.contains("BadSignature"), "{error}");
}

#[tokio::test]
async fn with_a_client_ca_only_its_clients_connect() {
    let clients = Authority::new();
    let settings = [("TRUSTED_PEERS", "192.0.2.1"), ("MAX_CONNECTIONS_PER_PEER", "2")];
    let tls_server = TlsServer::start(Some(&clients), &settings).await;
    let mut open = Vec::new();
    for _ in 0..5 {
        // Authenticated clients are exempt from the limit per peer.
        open.push(
            tls_server.dial(tls_server.client_config(Some(&clients.certify()))).await.unwrap(),
        );
    }
    let none = error_text(tls_server.dial(tls_server.client_config(None)).await);
    assert!(none.contains("CertificateRequired"), "{none}");
    let expired = error_text(
        tls_server.dial(tls_server.client_config(Some(&clients.certify_until(2002)))).await,
    );
    assert!(expired.contains("Expired"), "{expired}");
    let unknown_ca = error_text(
        tls_server.dial(tls_server.client_config(Some(&Authority::new().certify()))).await,
    );
    assert!(
        unknown_ca.contains("UnknownCA") || unknown_ca.contains("DecryptError"),
        "{unknown_ca}"
    );
    for stream in &mut open {
        ping(stream).await.unwrap();
    }
}

#[tokio::test]
async fn a_plaintext_client_gets_an_error_that_names_tls() {
    let tls_server = TlsServer::start(None, &[]).await;
    let mut plain = Wire::connect(tls_server.server.address).await;
    plain.request(1, Ping {}).await;
    let error = plain.expect_close_with(ErrorCode::FRAME_TOO_LONG).await;
    assert!(error.message.contains("TLS"), "{error:?}");
    // A TLS client of a plaintext server fails too.
    let server = TestServer::start().await;
    let error = error_text(dial(server.address, tls_server.client_config(None)).await);
    assert!(error.contains("InvalidContentType"), "{error}");
}

#[tokio::test]
async fn an_older_version_of_tls_is_rejected() {
    let tls_server = TlsServer::start(None, &[]).await;
    // A ClientHello of TLS 1.2: no extension offers a later version.
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0xC0, 0x2F, 1, 0, 0, 0]].concat();
    let length = u8::try_from(body.len()).unwrap();
    let mut stream = TcpStream::connect(tls_server.server.address).await.unwrap();
    stream
        .write_all(&[&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat())
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(TEST_TIMEOUT, stream.read_to_end(&mut answer))
        .await
        .expect("the connection ends");
    assert_eq!(answer.first(), Some(&0x15), "an alert: {answer:?}");
}

#[tokio::test]
async fn a_stalled_handshake_times_out_and_others_are_served() {
    let tls_server = TlsServer::start(
        None,
        &[("FIRST_FRAME_TIMEOUT", "1"), ("MAX_CONNECTIONS_PER_PEER", "1000")],
    )
    .await;
    let mut stalled = Vec::new();
    for bytes in [&b""[..], &[0x16], &[0x16, 3, 1, 2, 0, 1]].into_iter().cycle().take(300) {
        let mut stream = TcpStream::connect(tls_server.server.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stalled.push(stream);
    }
    tls_server.dial(tls_server.client_config(None)).await.unwrap();
    for mut stream in stalled {
        let mut remaining = Vec::new();
        let _ = tokio::time::timeout(TEST_TIMEOUT, stream.read_to_end(&mut remaining))
            .await
            .expect("the connection ends");
    }
}

#[tokio::test]
async fn a_new_certificate_is_loaded_and_an_invalid_one_is_not() {
    let tls_server = TlsServer::start(None, &[]).await;
    let mut before = tls_server.dial(tls_server.client_config(None)).await.unwrap();

    let next = Authority::new();
    std::fs::write(tls_server.folder.path().join("server.pem"), "no certificate").unwrap();
    assert!(tls_server.server.service.reload_certificate());
    tls_server.dial(tls_server.client_config(None)).await.unwrap();
    next.certify_until(2002).settings(tls_server.folder.path());
    tls_server.server.service.reload_certificate();
    tls_server.dial(tls_server.client_config(None)).await.unwrap();

    // This one is detected without an explicit reload.
    next.certify().settings(tls_server.folder.path());
    let began = Instant::now();
    while dial(tls_server.server.address, next.client_config(None, ALPN)).await.is_err() {
        assert!(began.elapsed() < TEST_TIMEOUT, "it was not loaded");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    ping(&mut before).await.unwrap();
}

#[test]
fn an_error_of_a_certificate_names_its_variable() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, path) = (Authority::new(), folder.path());
    let settings = authority.certify().settings(path);
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let check = |settings: &[(&str, &str)]| run_in(path, &["check"], settings);
    let result = check(&settings);
    assert!(result.code == Some(0) && result.output.contains("is valid for"), "{result:?}");
    let result = check(&settings[..1]);
    assert!(result.code == Some(64) && result.error.contains("TLS_KEY is not set"), "{result:?}");
    let other = authority.certify();
    std::fs::write(path.join("server.key"), &other.key).unwrap();
    let result = check(&settings);
    assert!(
        result.code == Some(64)
            && result.error.contains("for TLS_KEY: the key does not match the certificate"),
        "{result:?}"
    );
    assert!(!result.error.contains(other.key.lines().nth(1).unwrap()), "{result:?}");
    authority.certify_until(2002).settings(path);
    let result = check(&settings);
    assert!(result.code == Some(1) && result.output.contains("WRONG  certificate"), "{result:?}");
}
