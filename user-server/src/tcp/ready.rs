//! A readiness check from outside of the server's process: a Ping over loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use user_proto::{Common, Ping, Reply, Request, frame};

use crate::tls::{TlsFiles, connect_to_own};

/// Maximum duration of the check.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Id of the request.
const ID: u32 = 1;

/// Sends a Ping to the server that listens on `listen` on this machine, and waits for its answer.
///
/// # Errors
/// Says what is wrong: no server, no answer, or another answer.
pub async fn ping(listen: SocketAddr, tls: Option<&TlsFiles>) -> Result<(), String> {
    let address = reachable(listen);
    let check = async {
        let connected = TcpStream::connect(address).await;
        let stream = connected.map_err(|error| format!("cannot connect to {address}: {error}"))?;
        match tls {
            Some(files) => exchange(connect_to_own(files, stream).await?).await,
            None => exchange(stream).await,
        }
    };
    let timed_out = |_| format!("no answer from {address} within {} s", TIMEOUT.as_secs());
    tokio::time::timeout(TIMEOUT, check).await.map_err(timed_out)?
}

/// Returns the loopback address at which a listener can be reached from this machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> Result<(), String> {
    let lost = |error: std::io::Error| format!("the connection was lost: {error}");
    let mut bytes = BytesMut::new();
    Request::from(Ping {})
        .encode(ID, &Common::default(), &mut bytes)
        .map_err(|error| error.to_string())?;
    stream.write_all(&bytes).await.map_err(lost)?;
    let mut received = Vec::new();
    loop {
        if stream.read_buf(&mut received).await.map_err(lost)? == 0 {
            return Err("the connection was closed without an answer".to_owned());
        }
        let Some((reply, _)) = frame::split(&received).map_err(|_| "the answer is not a frame")?
        else {
            continue;
        };
        // A connection that is dropped without an end of TLS would count as lost.
        let _ = stream.shutdown().await;
        return match Reply::decode(reply.kind, reply.body) {
            Ok(Reply::Pong(_)) if reply.id == ID => Ok(()),
            Ok(Reply::ErrorReply(error)) => Err(format!("the server answered: {}", error.message)),
            _ => Err("the answer is not a Pong".to_owned()),
        };
    }
}
