//! Clients that flood, stall and send garbage: their own connections pay.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use user_proto::{Common, Register, VerifyToken};

use super::watch;
use crate::support::{CallStats, PASSWORD, Process, request_frame};

const ALONE: &str = "alone";
/// How they are bad, and how many at once.
const MANNERS: [(&str, usize); 4] = [
    ("with 4 that send without reading", 4),
    ("with 64 that stall within a frame", 64),
    ("with 16 that send garbage", 16),
    ("with 16 that disconnect during a request", 16),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_bad_pays_alone() {
    endure(Duration::from_millis(800)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; docs/FAULTS.md has the command and the figures"]
async fn long_whoever_is_bad_pays_alone() {
    println!("{}", endure(Duration::from_secs(10)).await);
}

async fn endure(span: Duration) -> String {
    let process = Process::start(&[]);
    let regular = process.account(&process.client(), "regular").await;
    let stats = Arc::new(CallStats::default());
    stats.phase(ALONE);
    let watching = watch(&process.address.to_string(), &regular, &stats);
    tokio::time::sleep(span).await;
    for (manner, (name, crowd)) in MANNERS.into_iter().enumerate() {
        stats.phase(name);
        let mut bad = JoinSet::new();
        for _ in 0..crowd {
            bad.spawn(misbehave(process.address, manner));
        }
        tokio::time::sleep(span).await;
        bad.shutdown().await;
    }
    drop(watching);
    stats.assert_only(&["OK"]);
    stats.table("A gateway alongside misbehaving clients")
}

/// One after the other, connections of one bad manner, for ever.
async fn misbehave(address: SocketAddr, manner: usize) {
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
        match manner {
            0 => {
                let flood = check.repeat(64);
                while stream.write_all(&flood).await.is_ok() {}
            }
            1 => {
                let _ = stream.write_all(&check[..check.len() / 2]).await;
                let _ = stream.read(&mut [0; 64]).await;
            }
            2 => {
                let noise: Vec<u8> =
                    (0..4).flat_map(|_| *uuid::Uuid::new_v4().as_bytes()).collect();
                let _ = stream.write_all(&noise).await;
                let _ = stream.read(&mut [0; 64]).await;
            }
            _ => {
                let _ = stream.write_all(&register).await;
                // The hash is under way, or about to be, when its caller goes.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}
