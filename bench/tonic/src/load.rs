//! The client: connections with so many calls each under way, in a closed loop, and what came of a
//! window of time.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use prost::Message;
use tokio::net::TcpStream;

use crate::Failure;
use crate::messages::{PATH, TOKEN, TokenVerified, VerifyToken};

/// A message's flag and length, before each.
const PREFIX: usize = 5;

pub struct Plan {
    pub addr: SocketAddr,
    pub connections: usize,
    pub depth: usize,
    pub warm_up: Duration,
    pub lasts: Duration,
    /// The process of which is told what it spent.
    pub server: u32,
}

#[derive(Clone, Copy)]
struct Window {
    from: Instant,
    until: Instant,
}

/// One round, as JSON.
pub async fn round(plan: Plan) -> Result<String, Failure> {
    let mut senders = Vec::new();
    for _ in 0..plan.connections {
        let stream = TcpStream::connect(plan.addr).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = h2::client::handshake(stream).await?;
        tokio::spawn(connection);
        senders.push(sender);
    }
    let from = Instant::now() + plan.warm_up;
    let window = Window { from, until: from + plan.lasts };
    let question = question()?;
    let calls: Vec<_> = senders
        .iter()
        .flat_map(|sender| std::iter::repeat_n(sender, plan.depth))
        .map(|sender| tokio::spawn(ask(sender.clone(), plan.addr, question.clone(), window)))
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
    told(&nanos, plan.lasts.as_secs_f64(), spent)
}

/// Asks again when an answer came, until the window is over; the nanoseconds of each call that
/// ended in it.
async fn ask(
    mut sender: SendRequest<Bytes>,
    addr: SocketAddr,
    question: Bytes,
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
        let (answer, mut body) = sender.send_request(request.clone(), false)?;
        body.send_data(question.clone(), true)?;
        hear(answer.await?.into_body()).await?;
        let now = Instant::now();
        if now >= window.from && now < window.until {
            nanos.push(u64::try_from((now - start).as_nanos())?);
        }
    }
}

/// The answer is whole and good, or the round fails.
async fn hear(mut body: h2::RecvStream) -> Result<(), Failure> {
    let mut came = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        came.extend_from_slice(&part);
    }
    let trailers = body.trailers().await?.ok_or("an answer without a status")?;
    if trailers.get("grpc-status").is_none_or(|status| status != "0") {
        return Err(format!("refused: {trailers:?}").into());
    }
    let answer = TokenVerified::decode(came.get(PREFIX..).ok_or("an answer without a message")?)?;
    if answer.session_id.len() == 16 { Ok(()) } else { Err("an answer without its session".into()) }
}

fn question() -> Result<Bytes, Failure> {
    let question = VerifyToken { access_token: "t".repeat(TOKEN) };
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(question.encoded_len())?);
    question.encode(&mut bytes)?;
    Ok(bytes.freeze())
}

/// Seconds that a process was on a core, from Linux's books.
fn cpu(process: &str) -> Result<f64, Failure> {
    let mut sum = Duration::ZERO;
    for task in Path::new("/proc").join(process).join("task").read_dir()? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        sum += Duration::from_nanos(text.split_whitespace().next().unwrap_or_default().parse()?);
    }
    Ok(sum.as_secs_f64())
}

#[allow(clippy::cast_precision_loss, reason = "counts and nanoseconds here are far from 2^53")]
fn told(nanos: &[u64], seconds: f64, (client, server): (f64, f64)) -> Result<String, Failure> {
    let last = nanos.len().checked_sub(1).ok_or("nothing was answered")?;
    let at =
        |part: usize| nanos.get(last * part / 1000).map_or(0.0, |nanos| *nanos as f64 / 1000.0);
    let replies = nanos.len() as f64;
    Ok(format!(
        "{{\"per_second\":{:.1},\"p50_us\":{:.1},\"p90_us\":{:.1},\"p99_us\":{:.1},\"p999_us\":{:.1},\
         \"cpu_us_a_reply\":{:.3},\"client_cores\":{:.2},\"server_cores\":{:.2}}}",
        replies / seconds,
        at(500),
        at(900),
        at(990),
        at(999),
        server * 1e6 / replies,
        client / seconds,
        server / seconds,
    ))
}
