//! Connections that come, ask once and go.

use std::sync::PoisonError;
use std::time::Instant;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use user_proto::client::Tls;
use user_proto::{Ping, encode, frame};

use super::engine::{self, Drive, Plan, Share, Start};
use super::link::Books;
use super::mix::Op;
use super::tally::Verdict;

/// So many at once, each again and again.
pub(super) struct Coming<'a> {
    pub(super) plan: &'a Plan,
    pub(super) addr: &'a str,
    pub(super) tls: Option<&'a Tls>,
}

impl Drive for Coming<'_> {
    fn drive(&self, share: Share, ready: &mut dyn FnMut() -> Start) -> Result<(), String> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        // Whether anybody is there is known before the others wait for it.
        runtime.block_on(engine::connect(self.addr, self.tls))?;
        let Start { window, live, .. } = ready();
        let books = Books { tally: share.tally, live, window };
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for number in share.numbers {
                tasks.spawn(again(
                    self.addr.to_owned(),
                    self.tls.cloned(),
                    self.plan.quota(number),
                    books.clone(),
                ));
            }
            while let Some(ended) = tasks.join_next().await {
                ended.map_err(|error| format!("a defect of user-cli: {error}"))??;
            }
            Ok(())
        })
    }
}

async fn again(addr: String, tls: Option<Tls>, quota: u64, books: Books) -> Result<(), String> {
    for _ in 0..quota {
        let start = Instant::now();
        if books.window.is_over(start) {
            break;
        }
        ping(&addr, tls.as_ref()).await?;
        let now = Instant::now();
        let mut tally = books.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.reply(Op::Connect, Verdict::Good, start, now, &books.window);
        books.live.add(1);
    }
    Ok(())
}

/// Connects, asks, hears the answer, and ends.
async fn ping(addr: &str, tls: Option<&Tls>) -> Result<(), String> {
    let lost = |error: std::io::Error| format!("a connection was lost: {error}");
    let mut stream = engine::connect(addr, tls).await?;
    let mut bytes = BytesMut::new();
    // A ping has no fields, so it fits.
    let _ = encode(1, &Ping {}, &mut bytes);
    stream.write_all(&bytes).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    bytes.clear();
    while frame::split(&bytes).map_err(|error| format!("that is no frame: {error}"))?.is_none() {
        if stream.read_buf(&mut bytes).await.map_err(lost)? == 0 {
            return Err("the server has closed a connection".to_owned());
        }
    }
    Ok(())
}
