//! A load balancer in front of a database that has no server behind it: it accepts a connection and
//! closes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use user_proto::{ErrorCode, GetUser, Login, VerifyToken};

use super::settings;
use crate::postgres::node;
use crate::support::{PASSWORD, TEST_TIMEOUT, postgres, run_in};

/// Forwards connections to a port until it has no server any more.
async fn balancer(to: u16) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let empty = Arc::new(AtomicBool::new(false));
    let no_server = empty.clone();
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (mut client, _) = accepted.unwrap();
                    if !no_server.load(Ordering::SeqCst) {
                        connections.spawn(async move {
                            let mut server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                        });
                    }
                }
                () = tokio::time::sleep(Duration::from_millis(20)) => {
                    if no_server.load(Ordering::SeqCst) {
                        connections.abort_all();
                    }
                }
            }
        }
    });
    (port, empty)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_accepted_and_closed_is_unavailable_and_never_internal() {
    let Some(server) = postgres() else { return };
    let direct = server.database();
    let (before, database) = direct.rsplit_once('/').unwrap();
    let port: u16 = before.rsplit(':').next().unwrap().parse().unwrap();
    let (balanced, empty) = balancer(port).await;
    let url = format!("postgresql://tests@127.0.0.1:{balanced}/{database}");
    let node = node(&url, &[]).await;
    let client = node.client();
    let ada = node.account(&client, "ada").await;
    empty.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(100)).await;
    for _ in 0..10 {
        let token = ada.session.access_token.clone();
        let get = client.call(GetUser { access_token: token.clone() }).await.unwrap_err();
        let login = client.call(Login::new("ada".into(), PASSWORD.into())).await.unwrap_err();
        for error in [get, login] {
            assert_eq!(error.code(), Some(ErrorCode::UNAVAILABLE), "{error}");
        }
        client.call(VerifyToken { access_token: token }).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    for command in [&[][..], &["check"]] {
        let run = tokio::task::spawn_blocking({
            let (folder, url) = (folder.path().to_owned(), url.clone());
            move || run_in(&folder, command, &settings(&url))
        });
        let run = run.await.unwrap();
        assert_eq!(run.code, Some(1), "{run:?}");
        let shown = format!("{}{}", run.output, run.error);
        assert!(!shown.contains("internal"), "{shown}");
    }
    empty.store(false, Ordering::SeqCst);
    let began = Instant::now();
    while client.call(Login::new("ada".into(), PASSWORD.into())).await.is_err() {
        assert!(began.elapsed() < TEST_TIMEOUT, "the service does not recover");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    node.stop().await;
}
