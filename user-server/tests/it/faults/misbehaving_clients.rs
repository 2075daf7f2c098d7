//! Clients that flood, stall and send garbage affect only their own connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use user_proto::{Common, Register, VerifyToken};

use super::gateway_load;
use crate::support::{CallStats, PASSWORD, Process, request_frame};

const ALONE: &str = "alone";
/// Kinds of misbehaviour, each with its number of concurrent clients.
const BEHAVIOURS: [(&str, usize); 4] = [
    ("with 4 that send without reading", 4),
    ("with 64 that stall within a frame", 64),
    ("with 16 that send garbage", 16),
    ("with 16 that disconnect during a request", 16),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misbehaving_clients_affect_only_themselves() {
    run(Duration::from_millis(800)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; docs/FAULTS.md has the command and the figures"]
async fn long_misbehaving_clients_affect_only_themselves() {
    println!("{}", run(Duration::from_secs(10)).await);
}

async fn run(span: Duration) -> String {
    let process = Process::start(&[]);
    let regular = process.account(&process.client(), "regular").await;
    let stats = Arc::new(CallStats::default());
    stats.phase(ALONE);
    let gateway = gateway_load(&process.address.to_string(), &regular, &stats);
    tokio::time::sleep(span).await;
    for (behaviour, (name, count)) in BEHAVIOURS.into_iter().enumerate() {
        stats.phase(name);
        let mut misbehaving = JoinSet::new();
        for _ in 0..count {
            misbehaving.spawn(misbehave(process.address, behaviour));
        }
        tokio::time::sleep(span).await;
        misbehaving.shutdown().await;
    }
    drop(gateway);
    stats.assert_only(&["OK"]);
    stats.table("A gateway alongside misbehaving clients")
}

/// Opens connections one after the other and misbehaves on each, forever.
async fn misbehave(address: SocketAddr, behaviour: usize) {
    let check =
        request_frame(1, VerifyToken { access_token: "no token".into() }, &Common::default());
    let register = Register {
        username: "mallory".into(),
        email: "mallory@example.net".into(),
        password: PASSWORD.into(),
    };
    let register = request_frame(1, register, &Common::default());
    loop {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        match behaviour {
            0 => {
                let flood = check.repeat(64);
                while stream.write_all(&flood).await.is_ok() {}
            }
            1 => {
                let _ = stream.write_all(&check[..check.len() / 2]).await;
                let _ = stream.read(&mut [0; 64]).await;
            }
            2 => {
                let garbage: Vec<u8> =
                    (0..4).flat_map(|_| *uuid::Uuid::new_v4().as_bytes()).collect();
                let _ = stream.write_all(&garbage).await;
                let _ = stream.read(&mut [0; 64]).await;
            }
            _ => {
                let _ = stream.write_all(&register).await;
                // The client disconnects while its hash runs or is about to run.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}
