//! Load generator: a closed loop with a fixed number of calls in flight per connection, measured
//! over a window of time.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use prost::Message;
use tokio::net::TcpStream;

use crate::Failure;
use crate::messages::{PATH, TOKEN, TokenVerified, VerifyToken};

/// Length of the prefix of a gRPC message: its compression flag and its length.
const PREFIX: usize = 5;

pub struct Plan {
    pub addr: SocketAddr,
    pub connections: usize,
    pub depth: usize,
    pub warm_up: Duration,
    pub duration: Duration,
    /// Process id of the server, for its CPU time.
    pub server: u32,
}

#[derive(Clone, Copy)]
struct Window {
    from: Instant,
    until: Instant,
}

/// Runs the plan once and returns the results as JSON.
pub async fn run(plan: Plan) -> Result<String, Failure> {
    let mut senders = Vec::new();
    for _ in 0..plan.connections {
        let stream = TcpStream::connect(plan.addr).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = h2::client::handshake(stream).await?;
        tokio::spawn(connection);
        senders.push(sender);
    }
    let from = Instant::now() + plan.warm_up;
    let window = Window { from, until: from + plan.duration };
    let frame = request_frame()?;
    let calls: Vec<_> = senders
        .iter()
        .flat_map(|sender| std::iter::repeat_n(sender, plan.depth))
        .map(|sender| {
            tokio::spawn(call_repeatedly(sender.clone(), plan.addr, frame.clone(), window))
        })
        .collect();
    let server = plan.server.to_string();
    tokio::time::sleep_until(window.from.into()).await;
    let before = (cpu("self")?, cpu(&server)?);
    tokio::time::sleep_until(window.until.into()).await;
    let spent = (cpu("self")? - before.0, cpu(&server)? - before.1);
    let mut nanos = Vec::new();
    for call in calls {
        nanos.extend(call.await??);
    }
    nanos.sort_unstable();
    summary(&nanos, plan.duration.as_secs_f64(), spent)
}

/// Repeats the call until the end of the window. Returns the latencies of the calls that ended
/// within the window, in nanoseconds.
async fn call_repeatedly(
    mut sender: SendRequest<Bytes>,
    addr: SocketAddr,
    frame: Bytes,
    window: Window,
) -> Result<Vec<u64>, Failure> {
    let request = http::Request::post(format!("http://{addr}{PATH}"))
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .body(())?;
    let mut nanos = Vec::new();
    loop {
        let start = Instant::now();
        if start >= window.until {
            return Ok(nanos);
        }
        sender = sender.ready().await?;
        let (reply, mut body) = sender.send_request(request.clone(), false)?;
        body.send_data(frame.clone(), true)?;
        read_reply(reply.await?.into_body()).await?;
        let now = Instant::now();
        if now >= window.from && now < window.until {
            nanos.push(u64::try_from((now - start).as_nanos())?);
        }
    }
}

/// Reads a reply; fails if it is incomplete or not successful.
async fn read_reply(mut body: h2::RecvStream) -> Result<(), Failure> {
    let mut received = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        received.extend_from_slice(&part);
    }
    let trailers = body.trailers().await?.ok_or("reply without a status")?;
    if trailers.get("grpc-status").is_none_or(|status| status != "0") {
        return Err(format!("request failed: {trailers:?}").into());
    }
    let reply = TokenVerified::decode(received.get(PREFIX..).ok_or("reply without a message")?)?;
    if reply.session_id.len() == 16 { Ok(()) } else { Err("reply without a session".into()) }
}

fn request_frame() -> Result<Bytes, Failure> {
    let request = VerifyToken { access_token: "t".repeat(TOKEN) };
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(request.encoded_len())?);
    request.encode(&mut bytes)?;
    Ok(bytes.freeze())
}

/// Returns the CPU time of a process in seconds, as accounted by Linux.
fn cpu(process: &str) -> Result<f64, Failure> {
    let mut sum = Duration::ZERO;
    for task in Path::new("/proc").join(process).join("task").read_dir()? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        sum += Duration::from_nanos(text.split_whitespace().next().unwrap_or_default().parse()?);
    }
    Ok(sum.as_secs_f64())
}

#[allow(clippy::cast_precision_loss, reason = "counts and nanoseconds here are far from 2^53")]
fn summary(nanos: &[u64], seconds: f64, (client, server): (f64, f64)) -> Result<String, Failure> {
    let last = nanos.len().checked_sub(1).ok_or("no replies")?;
    let at = |part: usize| nanos.get(last * part / 1000).map_or(0.0, |nanos| *nanos as f64 / 1e6);
    let replies = nanos.len() as f64;
    Ok(format!(
        "{{\"per_second\":{:.1},\"p50_ms\":{:.4},\"p90_ms\":{:.4},\"p99_ms\":{:.4},\
         \"p999_ms\":{:.4},\"cpu_ms_per_reply\":{:.6},\
         \"client_cores\":{:.2},\"server_cores\":{:.2}}}",
        replies / seconds,
        at(500),
        at(900),
        at(990),
        at(999),
        server * 1e3 / replies,
        client / seconds,
        server / seconds,
    ))
}
