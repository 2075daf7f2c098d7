//! Properties of a connection over arbitrary bytes. The fuzz target `session` and the test that
//! replays its corpus call the same function, so that a finding of the fuzzer becomes a regression
//! test. Depends on no other test module, because the fuzz crate includes this file.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::Runtime;
use tokio_util::task::TaskTracker;
use user_proto::frame::{self, Frame, FrameError};
use user_proto::{ErrorCode, Reply, Request};
use user_server::cache::LocalCache;
use user_server::config::Config;
use user_server::domain::{Clock, Store, SystemClock};
use user_server::handler::{Handler, Peer};
use user_server::metrics::Metrics;
use user_server::service::{CachePorts, ServiceCore};
use user_server::store::SqliteStore;
use user_server::tcp::{
    ConnectionContext, ConnectionLimits, RefusalLimiter, RequestLimiter, RequestLimits, Shutdown,
    UnnamedRequests, request_labels, serve,
};

/// Longer than any connection can need for an input of the fuzzer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The services on a temporary database, without a socket.
pub struct ConnectionOracle {
    handler: Arc<Handler>,
    limits: ConnectionLimits,
    requests: RequestLimits,
    metrics: Arc<Metrics>,
    runtime: Runtime,
    _folder: TempDir,
}

impl ConnectionOracle {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        // One hash at a time, and further ones are rejected: an input of logins would take minutes
        // otherwise.
        let settings = |name: &str| match name {
            "DATA_DIR" => Some(path.clone()),
            "MAX_HASHING" | "HASH_THREADS" => Some("1".to_owned()),
            "MAX_IN_FLIGHT" => Some("4".to_owned()),
            _ => None,
        };
        let config = Config::read(&settings, false).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let metrics = Arc::new(Metrics::new(request_labels(), SystemClock.now()));
        let handler = runtime.block_on(async {
            let store = SqliteStore::open(&folder.path().join("users.db")).await.unwrap();
            let (store, clock): (Arc<dyn Store>, Arc<dyn Clock>) =
                (Arc::new(store), Arc::new(SystemClock));
            let cache: Arc<LocalCache> =
                Arc::new(LocalCache::new(64, config.tokens.access_life, metrics.cache.clone()));
            let keys = Arc::new(config.keys().unwrap());
            ServiceCore::assemble(
                &config,
                &clock,
                &keys,
                &store,
                &CachePorts::single_node(cache),
                &metrics,
            )
            .unwrap()
            .handler
        });
        Self {
            handler,
            limits: config.limits,
            requests: config.requests,
            metrics,
            runtime,
            _folder: folder,
        }
    }

    /// Serves a connection that sends `data`. Every complete frame must get one reply with its id,
    /// up to the one that closes the connection; each reply must be a valid message; and the
    /// connection must end with its input. The first bytes of `data` select the sizes of chunks and
    /// of the buffer.
    ///
    /// # Panics
    /// If one of these conditions does not hold.
    pub fn check(&self, data: &[u8]) {
        let Some((&[first, second, buffer], stream)) = data.split_first_chunk() else { return };
        let cuts = [usize::from(first) + 1, (usize::from(second) << 3) + 1];
        let output =
            self.runtime.block_on(self.dialogue(stream, cuts, usize::from(buffer) * 16 + 1));
        check_replies(stream, &output);
    }

    /// Returns the bytes that the server sends to a client which sends `stream` in chunks of
    /// alternating sizes and reads all the time.
    async fn dialogue(&self, stream: &[u8], cuts: [usize; 2], buffer: usize) -> Vec<u8> {
        let (client, server) = duplex(buffer);
        let (mut reader, mut writer) = tokio::io::split(client);
        let tasks = TaskTracker::new();
        let peer = Peer { ip: Ipv4Addr::LOCALHOST.into(), trusted: true };
        let context = Arc::new(ConnectionContext {
            handler: self.handler.clone(),
            limits: self.limits,
            requests: Arc::new(RequestLimiter::new(self.requests)),
            refusals: RefusalLimiter::default(),
            unnamed: UnnamedRequests::default(),
            shutdown: Shutdown::default(),
            tasks: tasks.clone(),
            metrics: self.metrics.clone(),
        });
        let serving = serve(server, context, peer, tokio::time::Instant::now(), ());
        let sending = async {
            let mut remaining = stream;
            for cut in cuts.into_iter().cycle() {
                let (chunk, later) = remaining.split_at(cut.min(remaining.len()));
                // The server may have closed the connection after an error and no longer read.
                if writer.write_all(chunk).await.is_err() || later.is_empty() {
                    break;
                }
                remaining = later;
                tokio::task::yield_now().await;
            }
            let _ = writer.shutdown().await;
        };
        let receiving = async {
            let mut output = Vec::new();
            reader.read_to_end(&mut output).await.unwrap();
            output
        };
        let all = async { tokio::join!(serving, sending, receiving) };
        let ((), (), output) =
            tokio::time::timeout(TIMEOUT, all).await.expect("the connection ends with its input");
        assert!(tasks.is_empty(), "a request outlives its connection");
        output
    }
}

/// Returns the complete frames of a stream, and the error that follows them.
fn frames(mut stream: &[u8]) -> (Vec<Frame<'_>>, Option<FrameError>) {
    let mut frames = Vec::new();
    loop {
        match frame::split(stream) {
            Ok(Some((found, size))) => {
                frames.push(found);
                stream = &stream[size..];
            }
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}

fn check_replies(input: &[u8], output: &[u8]) {
    let (mut requests, fault) = frames(input);
    let (written, broken) = frames(output);
    let whole: usize = written.iter().map(|frame| frame.body.len() + 9).sum();
    assert!(broken.is_none() && whole == output.len(), "the output consists of complete frames");
    let mut replies: Vec<(u32, Reply<'_>)> = written
        .iter()
        .map(|frame| (frame.id, Reply::decode(frame.kind, frame.body).unwrap()))
        .collect();

    // Only the last message of a connection has id 0.
    let last = replies.pop_if(|(id, _)| *id == 0).map(|(_, reply)| match reply {
        Reply::ErrorReply(error) => error.code,
        other => panic!("{other:?} with id 0"),
    });
    match last {
        Some(ErrorCode::MALFORMED) => {
            let wrong = requests.get(replies.len()).expect("a frame that was refused").id;
            requests.truncate(replies.len());
            assert!(
                wrong == 0 || requests.iter().any(|frame| frame.id == wrong),
                "{wrong} is a valid id"
            );
        }
        other => assert_eq!(other, fault.map(FrameError::code)),
    }
    assert!(requests.iter().all(|frame| frame.id != 0), "id 0 was served");
    assert_eq!(
        count(replies.iter().map(|(id, _)| *id)),
        count(requests.iter().map(|frame| frame.id))
    );
    for (id, reply) in &replies {
        let mut of_id = requests.iter().filter(|frame| frame.id == *id);
        let (Some(frame), None) = (of_id.next(), of_id.next()) else { continue };
        check_reply(frame, reply);
    }
}

fn count(ids: impl Iterator<Item = u32>) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    for id in ids {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

/// Panics unless the reply to a frame has its type or is an error. A malformed body must get the
/// error of the decoder.
fn check_reply(frame: &Frame<'_>, reply: &Reply<'_>) {
    match (Request::decode(frame.kind, frame.body), reply) {
        (Err(error), Reply::ErrorReply(sent)) => {
            assert_eq!(
                (sent.code, sent.field.as_deref()),
                (error.code(), error.field().as_deref()),
                "{frame:?}"
            );
        }
        (Ok(_), Reply::ErrorReply(error)) => {
            let wrong = [
                ErrorCode::UNKNOWN_TYPE,
                ErrorCode::MALFORMED,
                ErrorCode::INTERNAL,
                ErrorCode::UNAVAILABLE,
            ];
            assert!(!wrong.contains(&error.code), "{frame:?}: {error:?}");
        }
        (Ok(_), reply) => assert_eq!(reply.row().0, frame.kind | 0x80, "{frame:?}"),
        (Err(error), reply) => panic!("{frame:?} is {error}, and got {reply:?}"),
    }
}
