//! TLS as clients of every kind meet it: who is let in, who is not, and what a new certificate
//! changes.

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

pub const OURS: &[&str] = &["user/1"];

/// A server with a certificate of an authority, and maybe one for its clients.
struct Guarded {
    authority: Authority,
    folder: TempDir,
    server: TestServer,
}

impl Guarded {
    async fn start(clients: Option<&Authority>, more: &[(&str, &str)]) -> Self {
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

    fn trusting(&self, own: Option<&CertifiedKey>) -> Arc<ClientConfig> {
        self.authority.client_config(own, OURS)
    }

    async fn dial(&self, config: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
        dial(self.server.address, config).await
    }
}

/// Connects and pings: in TLS 1.3 a client learns only by its first reply whether its certificate
/// was accepted.
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

fn why(result: std::io::Result<TlsStream<TcpStream>>) -> String {
    result.expect_err("it was let in").to_string()
}

#[tokio::test]
async fn a_client_that_trusts_the_server_gets_in_and_another_does_not() {
    let guarded = Guarded::start(None, &[]).await;
    guarded.dial(guarded.trusting(None)).await.unwrap();
    guarded.dial(guarded.authority.client_config(None, &[])).await.unwrap();
    guarded.dial(guarded.authority.client_config(None, &["h2", "user/1"])).await.unwrap();
    let told = why(guarded.dial(guarded.authority.client_config(None, &["h2"])).await);
    assert!(told.contains("NoApplicationProtocol"), "{told}");
    let told = why(guarded.dial(Authority::new().client_config(None, OURS)).await);
    assert!(told.contains("UnknownIssuer") || told.contains("BadSignature"), "{told}");
}

#[tokio::test]
async fn with_an_authority_for_clients_only_theirs_get_in() {
    let clients = Authority::new();
    let settings = [("TRUSTED_PEERS", "192.0.2.1"), ("MAX_CONNECTIONS_PER_PEER", "2")];
    let guarded = Guarded::start(Some(&clients), &settings).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        // Who has proved itself has no limit of its own.
        held.push(guarded.dial(guarded.trusting(Some(&clients.certify()))).await.unwrap());
    }
    let none = why(guarded.dial(guarded.trusting(None)).await);
    assert!(none.contains("CertificateRequired"), "{none}");
    let over = why(guarded.dial(guarded.trusting(Some(&clients.certify_until(2002)))).await);
    assert!(over.contains("Expired"), "{over}");
    let strange = why(guarded.dial(guarded.trusting(Some(&Authority::new().certify()))).await);
    assert!(strange.contains("UnknownCA") || strange.contains("DecryptError"), "{strange}");
    for stream in &mut held {
        ping(stream).await.unwrap();
    }
}

#[tokio::test]
async fn who_speaks_without_tls_is_told_so() {
    let guarded = Guarded::start(None, &[]).await;
    let mut plain = Wire::connect(guarded.server.address).await;
    plain.request(1, Ping {}).await;
    let error = plain.expect_close_with(ErrorCode::FRAME_TOO_LONG).await;
    assert!(error.message.contains("TLS"), "{error:?}");
    // And the other way round.
    let server = TestServer::start().await;
    let told = why(dial(server.address, guarded.trusting(None)).await);
    assert!(told.contains("InvalidContentType"), "{told}");
}

#[tokio::test]
async fn tls_of_before_is_refused() {
    let guarded = Guarded::start(None, &[]).await;
    // A hello of TLS 1.2: no extension says that its sender knows a later one.
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0xC0, 0x2F, 1, 0, 0, 0]].concat();
    let length = u8::try_from(body.len()).unwrap();
    let mut stream = TcpStream::connect(guarded.server.address).await.unwrap();
    stream
        .write_all(&[&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat())
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ =
        tokio::time::timeout(TEST_TIMEOUT, stream.read_to_end(&mut answer)).await.expect("an end");
    assert_eq!(answer.first(), Some(&0x15), "an alert: {answer:?}");
}

#[tokio::test]
async fn a_handshake_that_stalls_ends_in_time_and_harms_nobody() {
    let guarded =
        Guarded::start(None, &[("FIRST_FRAME_TIMEOUT", "1"), ("MAX_CONNECTIONS_PER_PEER", "1000")])
            .await;
    let mut stalled = Vec::new();
    for bytes in [&b""[..], &[0x16], &[0x16, 3, 1, 2, 0, 1]].into_iter().cycle().take(300) {
        let mut stream = TcpStream::connect(guarded.server.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stalled.push(stream);
    }
    guarded.dial(guarded.trusting(None)).await.unwrap();
    for mut stream in stalled {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(TEST_TIMEOUT, stream.read_to_end(&mut rest))
            .await
            .expect("an end");
    }
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_a_bad_one_is_not() {
    let guarded = Guarded::start(None, &[]).await;
    let mut before = guarded.dial(guarded.trusting(None)).await.unwrap();

    let next = Authority::new();
    std::fs::write(guarded.folder.path().join("server.pem"), "no certificate").unwrap();
    assert!(guarded.server.service.reload_certificate());
    guarded.dial(guarded.trusting(None)).await.unwrap();
    next.certify_until(2002).settings(guarded.folder.path());
    guarded.server.service.reload_certificate();
    guarded.dial(guarded.trusting(None)).await.unwrap();

    // This one is found without a word.
    next.certify().settings(guarded.folder.path());
    let began = Instant::now();
    while dial(guarded.server.address, next.client_config(None, OURS)).await.is_err() {
        assert!(began.elapsed() < TEST_TIMEOUT, "it was not taken up");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    ping(&mut before).await.unwrap();
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_with_its_variable() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, place) = (Authority::new(), folder.path());
    let settings = authority.certify().settings(place);
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let told = |settings: &[(&str, &str)]| run_in(place, &["check"], settings);
    let said = told(&settings);
    assert!(said.code == Some(0) && said.output.contains("is valid for"), "{said:?}");
    let said = told(&settings[..1]);
    assert!(said.code == Some(64) && said.error.contains("TLS_KEY is not set"), "{said:?}");
    let other = authority.certify();
    std::fs::write(place.join("server.key"), &other.key).unwrap();
    let said = told(&settings);
    assert!(
        said.code == Some(64)
            && said.error.contains("for TLS_KEY: the key does not match the certificate"),
        "{said:?}"
    );
    assert!(!said.error.contains(other.key.lines().nth(1).unwrap()), "{said:?}");
    authority.certify_until(2002).settings(place);
    let said = told(&settings);
    assert!(said.code == Some(1) && said.output.contains("WRONG  certificate"), "{said:?}");
}
