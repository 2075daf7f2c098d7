//! The client of `user-proto` over TLS: long-lived connections, reconnecting, and errors of the
//! handshake.

use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use user_proto::Ping;
use user_proto::client::{Client, Config, Error, HandshakeError, Tls, TlsOptions};

use super::TlsServer;
use crate::support::{Authority, CertifiedKey, TEST_TIMEOUT, TestServer, free_port};

/// Deadline of a call.
const DEADLINE: Duration = Duration::from_secs(2);

/// Returns the configuration of a gateway, with a short deadline.
fn config(authority: &Authority, own: Option<&CertifiedKey>) -> Config {
    let options = TlsOptions {
        authorities: Some(authority.pem.as_bytes()),
        certificate: own.map(|own| own.certificate.as_bytes()),
        key: own.map(|own| own.key.as_bytes()),
        server_name: None,
    };
    Config { tls: Some(Tls::new(&options).unwrap()), deadline: Some(DEADLINE), ..Config::default() }
}

impl TlsServer {
    fn client(&self, authority: &Authority, own: Option<&CertifiedKey>) -> Client {
        Client::with_config(self.server.address.to_string(), config(authority, own))
    }
}

async fn handshake_error(client: &Client) -> HandshakeError {
    match client.call(Ping {}).await {
        Err(Error::Handshake(why)) => why,
        other => panic!("expected an error of the handshake: {other:?}"),
    }
}

#[tokio::test]
async fn a_connection_outlives_a_change_of_the_certificate() {
    let tls_server = TlsServer::start(None, &[]).await;
    let old_client = tls_server.client(&tls_server.authority, None);
    old_client.call(Ping {}).await.unwrap();
    let next = Authority::new();
    next.certify().settings(tls_server.folder.path());
    assert!(tls_server.server.service.reload_certificate());
    old_client.call(Ping {}).await.unwrap();
    assert_eq!(
        handshake_error(&tls_server.client(&tls_server.authority, None)).await,
        HandshakeError::UnknownAuthority
    );
    tls_server.client(&next, None).call(Ping {}).await.unwrap();
    old_client.close().await;
}

#[tokio::test]
async fn a_rejected_client_gets_the_reason_at_its_deadline() {
    let clients = Authority::new();
    let tls_server = TlsServer::start(Some(&clients), &[]).await;
    let began = Instant::now();
    assert_eq!(
        handshake_error(&tls_server.client(&tls_server.authority, None)).await,
        HandshakeError::CertificateRequired
    );
    assert!(began.elapsed() >= DEADLINE, "the server may learn of its CA before the deadline");
    let no_waiting = Config {
        wait_for_server: false,
        deadline: Some(TEST_TIMEOUT * 100),
        ..config(&tls_server.authority, None)
    };
    let no_waiting = Client::with_config(tls_server.server.address.to_string(), no_waiting);
    let at_once = tokio::time::timeout(TEST_TIMEOUT, handshake_error(&no_waiting)).await;
    assert_eq!(at_once.expect("it does not wait"), HandshakeError::CertificateRequired);
    let expired = tls_server.client(&tls_server.authority, Some(&clients.certify_until(2002)));
    assert_eq!(
        handshake_error(&expired).await,
        HandshakeError::CertificateRejected("certificate expired".to_owned())
    );
    tls_server.client(&tls_server.authority, Some(&clients.certify())).call(Ping {}).await.unwrap();
}

#[tokio::test]
async fn it_reconnects_to_the_next_server() {
    let (port, authority, keys) =
        (free_port().to_string(), Authority::new(), tempfile::tempdir().unwrap());
    let [certificate, key] = authority.certify().settings(keys.path());
    let settings = [
        ("TCP_PORT", port.as_str()),
        (certificate.0, certificate.1.as_str()),
        (key.0, key.1.as_str()),
    ];
    let server = TestServer::start_with(&settings).await;
    let config = Config { deadline: Some(TEST_TIMEOUT), ..config(&authority, None) };
    let client = Client::with_config(server.address.to_string(), config);
    client.call(Ping {}).await.unwrap();
    // The first server sends SHUTTING_DOWN over TLS and closes; a call in between waits for the
    // next server.
    let folder = server.stop().await;
    let calling = tokio::spawn({
        let client = client.clone();
        async move { client.call(Ping {}).await }
    });
    let server = TestServer::start_in(folder, &settings).await;
    calling.await.unwrap().unwrap();
    client.close().await;
    server.stop().await;
}

#[tokio::test]
async fn pings_keep_an_idle_connection_open() {
    let tls_server = TlsServer::start(None, &[("IDLE_TIMEOUT", "2")]).await;
    let frames = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = frames.clone();
    let tap = std::sync::Arc::new(move |_, _: &[u8]| {
        seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    });
    let config = Config {
        ping_after: Duration::from_millis(300),
        tap: Some(tap),
        ..config(&tls_server.authority, None)
    };
    let client = Client::with_config(tls_server.server.address.to_string(), config);
    client.call(Ping {}).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    client.call(Ping {}).await.unwrap();
    assert!(frames.load(std::sync::atomic::Ordering::SeqCst) >= 8, "pings were sent in between");
}

#[tokio::test]
async fn a_server_of_another_protocol_is_recognised() {
    let (authority, own) = (Authority::new(), Authority::new());
    let certified = authority.certify();
    let certificate = CertificateDer::from_pem_slice(certified.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).unwrap();
    let server =
        ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
    let (acceptor, listener) =
        (TlsAcceptor::from(std::sync::Arc::new(server)), TcpListener::bind("127.0.0.1:0"));
    let listener = listener.await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.push(acceptor.accept(stream).await);
        }
    });
    let client = |authority| {
        Client::with_config(&address, Config { wait_for_server: false, ..config(authority, None) })
    };
    assert_eq!(handshake_error(&client(&authority)).await, HandshakeError::AlpnMismatch);
    assert_eq!(handshake_error(&client(&own)).await, HandshakeError::UnknownAuthority);
}

#[tokio::test]
async fn a_connection_closed_during_the_handshake_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = Config { wait_for_server: false, ..config(&Authority::new(), None) };
    let client = Client::with_config(listener.local_addr().unwrap().to_string(), config);
    let calling = tokio::spawn(async move { client.call(Ping {}).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    // Everything that was sent is read, so that closing the connection does not reset it.
    stream.read_buf(&mut Vec::with_capacity(65_536)).await.unwrap();
    drop(stream);
    let Err(Error::Connect(error)) = calling.await.unwrap() else {
        panic!("expected a connect error")
    };
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(error.to_string(), "the server closed the connection during the TLS handshake");
}

#[tokio::test]
async fn a_stalled_handshake_ends_with_the_connect_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connect_within = Duration::from_millis(200);
    let config = Config {
        connect_timeout: connect_within,
        wait_for_server: false,
        ..config(&Authority::new(), None)
    };
    let client = Client::with_config(silent.local_addr().unwrap().to_string(), config);
    let began = Instant::now();
    let Err(Error::Connect(error)) = client.call(Ping {}).await else {
        panic!("expected a connect error")
    };
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(10));
}
