//! Load of short connections: each one is opened, carries one ping, and is closed.

use std::time::Instant;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use user_proto::client::Tls;
use user_proto::{Ping, encode, frame};

use super::connection::Recorder;
use super::counters::Outcome;
use super::engine::{self, Load, Plan, Share, Start};
use super::interrupt::Interrupt;
use super::mix::Op;

/// Load of concurrent connections, each of which carries one ping and is then replaced by a new
/// one.
pub(crate) struct ShortConnections<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) addr: &'a str,
    pub(crate) tls: Option<&'a Tls>,
}

impl Load for ShortConnections<'_> {
    fn run(&self, share: Share, wait_for_start: &mut dyn FnMut() -> Start) -> Result<(), String> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        // Fails before the other threads wait, if the server cannot be reached.
        runtime.block_on(engine::connect(self.addr, self.tls))?;
        let Start { window, replies, .. } = wait_for_start();
        let recorder = Recorder { counters: share.counters, replies, window };
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for number in share.numbers {
                tasks.spawn(repeat(
                    self.addr.to_owned(),
                    self.tls.cloned(),
                    self.plan.quota(number),
                    recorder.clone(),
                    self.plan.interrupt.clone(),
                ));
            }
            while let Some(result) = tasks.join_next().await {
                result.map_err(|error| format!("internal error: {error}"))??;
            }
            Ok(())
        })
    }
}

async fn repeat(
    addr: String,
    tls: Option<Tls>,
    mut quota: u64,
    recorder: Recorder,
    interrupt: Interrupt,
) -> Result<(), String> {
    while quota > 0 {
        let start = Instant::now();
        // The connections of the warm-up are not measured.
        quota -= u64::from(start >= recorder.window.from);
        if recorder.window.is_over(start) {
            break;
        }
        tokio::select! {
            result = ping(&addr, tls.as_ref()) => result?,
            () = interrupt.wait() => break,
        }
        let now = Instant::now();
        recorder.counters().record_reply(Op::Connect, Outcome::Ok, start, now, &recorder.window);
        recorder.replies.add(1);
    }
    Ok(())
}

/// Opens a connection, sends a ping, waits for the reply, and closes the connection.
async fn ping(addr: &str, tls: Option<&Tls>) -> Result<(), String> {
    let lost = |error: std::io::Error| format!("a connection was lost: {error}");
    let mut stream = engine::connect(addr, tls).await?;
    let mut bytes = BytesMut::new();
    // Cannot fail: a ping has no fields.
    let _ = encode(1, &Ping {}, &mut bytes);
    stream.write_all(&bytes).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    bytes.clear();
    while frame::split(&bytes)
        .map_err(|error| format!("received an invalid frame: {error}"))?
        .is_none()
    {
        if stream.read_buf(&mut bytes).await.map_err(lost)? == 0 {
            return Err("the server closed a connection".to_owned());
        }
    }
    Ok(())
}
