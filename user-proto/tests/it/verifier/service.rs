//! A service with a behaviour that a test controls.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, broadcast};
use user_proto::client::{Config, PoolConfig};
use user_proto::verifier::{Verifier, VerifierConfig};
use user_proto::{
    Common, ErrorCode, ErrorReply, Keys, Pong, Reply, Request, RevocationRow, Revocations,
    TokenVerified, UnixMillis, UnixSeconds, frame,
};
use uuid::Uuid;

use super::signer::{LIFE, Signer, jwks, unix_ms};

/// What a service does and what it was asked.
pub(super) struct Script {
    pub(super) jwks: String,
    pub(super) access_life: u32,
    pub(super) refresh_after: u32,
    /// Difference of the service's clock from that of this machine, in milliseconds.
    pub(super) clock_ms: i64,
    /// Name of the run, which is part of the cursor.
    pub(super) run: String,
    pub(super) log: Vec<RevocationRow<'static>>,
    /// Number of rows in one answer.
    pub(super) page: usize,
    pub(super) stale_ms: u32,
    /// Answers nothing.
    pub(super) hangs: bool,
    /// Delay of every request before it is executed, and of every reply after that.
    pub(super) delay: (Duration, Duration),
    /// Error of GetKeys and WatchRevocations.
    pub(super) follow_error: Option<ErrorCode>,
    /// Answers nothing to GetKeys.
    pub(super) hides_keys: bool,
    /// Error of VerifyToken; `None` accepts every token.
    pub(super) verify_error: Option<ErrorCode>,
    /// Time after which an error asks to try again.
    pub(super) retry_after_ms: Option<u32>,
    /// Reply to VerifyToken, if it is not an error.
    pub(super) verified: TokenVerified,
    pub(super) keys_asked: usize,
    pub(super) watches: usize,
    /// Number of watches with the empty cursor or one of another run.
    pub(super) full_answers: usize,
    pub(super) verify_asked: usize,
    /// Common tags of the last VerifyToken.
    pub(super) asked_with: Common<'static>,
}

pub(super) struct Service {
    pub(super) addr: String,
    script: Arc<Mutex<Script>>,
    changed: Arc<Notify>,
    stop: broadcast::Sender<bool>,
}

impl Service {
    pub(super) async fn start(signers: &[Signer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let script = Arc::new(Mutex::new(Script {
            jwks: jwks(signers),
            access_life: LIFE.try_into().unwrap(),
            refresh_after: 300,
            clock_ms: 0,
            run: addr.clone(),
            log: Vec::new(),
            page: 1000,
            stale_ms: 0,
            hangs: false,
            delay: (Duration::ZERO, Duration::ZERO),
            follow_error: None,
            hides_keys: false,
            verify_error: Some(ErrorCode::UNAVAILABLE),
            retry_after_ms: None,
            verified: TokenVerified {
                user_id: Uuid::from_u128(1),
                session_id: Uuid::from_u128(2),
                issued_at: UnixSeconds(3),
                expires_at: UnixSeconds(4),
                stale_ms: None,
            },
            keys_asked: 0,
            watches: 0,
            full_answers: 0,
            verify_asked: 0,
            asked_with: Common::default(),
        }));
        let service = Self {
            addr,
            script,
            changed: Arc::new(Notify::new()),
            stop: broadcast::Sender::new(1),
        };
        tokio::spawn(serve(
            listener,
            Arc::clone(&service.script),
            Arc::clone(&service.changed),
            service.stop.clone(),
        ));
        service
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// Adds a row to the revocations, and answers the waiting watches.
    pub(super) fn push(&self, kind: u8, id: &[u8], before: u64) {
        let id = id.to_vec().into();
        self.script().log.push(RevocationRow { kind, id, before: UnixSeconds(before) });
        self.changed.notify_waiters();
    }

    /// Closes every connection and the listener.
    pub(super) fn stop(&self) {
        let _ = self.stop.send(true);
    }

    /// Closes every connection, as a restart does.
    pub(super) fn disconnect(&self) {
        let _ = self.stop.send(false);
    }

    pub(super) fn verifier(&self) -> Verifier {
        verifier(&[self], VerifierConfig::default())
    }

    /// Returns a verifier that has received everything.
    pub(super) async fn ready(&self) -> Verifier {
        let verifier = self.verifier();
        assert!(verifier.wait_until_complete(Duration::from_secs(5)).await);
        verifier
    }

    /// Revokes something, and waits until the verifier has received it.
    pub(super) async fn revoke(&self, verifier: &Verifier, kind: u8, id: &[u8], before: u64) {
        self.push(kind, id, before);
        self.next_watch(verifier).await;
    }

    /// Waits until the verifier has applied an answer that was written after this call.
    pub(super) async fn next_watch(&self, _: &Verifier) {
        // The second watch is sent after the answer to the first was applied.
        let watches = self.script().watches;
        until(|| self.script().watches >= watches + 2).await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(super) fn verifier(services: &[&Service], config: VerifierConfig) -> Verifier {
    let addrs: Vec<_> = services.iter().map(|service| service.addr.clone()).collect();
    let client = Config { initial_backoff: Duration::from_millis(10), ..Config::default() };
    let pool = PoolConfig { client, ..PoolConfig::default() };
    Verifier::connect(&addrs, pool, config).unwrap()
}

pub(super) async fn until(condition: impl Fn() -> bool) {
    for _ in 0..3000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the condition was not met within 15 s");
}

async fn serve(
    listener: TcpListener,
    script: Arc<Mutex<Script>>,
    changed: Arc<Notify>,
    stop: broadcast::Sender<bool>,
) {
    let mut stopped = stop.subscribe();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                let (script, changed) = (Arc::clone(&script), Arc::clone(&changed));
                let mut stopped = stop.subscribe();
                tokio::spawn(async move {
                    tokio::select! {
                        () = connection(stream, script, changed) => {}
                        _ = stopped.recv() => {}
                    }
                });
            }
            all = stopped.recv() => if all.unwrap_or(true) {
                return;
            },
        }
    }
}

async fn connection(stream: TcpStream, script: Arc<Mutex<Script>>, changed: Arc<Notify>) {
    stream.set_nodelay(true).unwrap();
    let (mut reader, writer) = stream.into_split();
    let writer = Arc::new(tokio::sync::Mutex::new(writer));
    let mut input = BytesMut::new();
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        while let Some((found, size)) = frame::split(&input).unwrap() {
            let (request, common) = Request::decode(found.kind, found.body).unwrap();
            if let Request::VerifyToken(_) = request {
                script.lock().unwrap().asked_with = common.into_owned();
            }
            let (id, request) = (found.id, request.into_owned());
            let _ = input.split_to(size);
            let (script, changed) = (Arc::clone(&script), Arc::clone(&changed));
            tasks.spawn(handle(id, request, script, changed, Arc::clone(&writer)));
        }
        if reader.read_buf(&mut input).await.unwrap_or_default() == 0 {
            return;
        }
    }
}

async fn handle(
    id: u32,
    request: Request<'static>,
    script: Arc<Mutex<Script>>,
    changed: Arc<Notify>,
    writer: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
) {
    let delay = script.lock().unwrap().delay;
    tokio::time::sleep(delay.0).await;
    if script.lock().unwrap().hangs {
        return;
    }
    let reply = match request {
        Request::Ping(_) => {
            Pong { max_in_flight: None, idle_timeout: None, max_hashing: None }.into()
        }
        Request::WatchRevocations(request) => {
            {
                let mut script = script.lock().unwrap();
                script.watches += 1;
                let is_known = request.cursor.starts_with(format!("{}/", script.run).as_bytes());
                script.full_answers += usize::from(!is_known);
            }
            let wait = Duration::from_millis(request.wait_ms.into());
            let deadline = tokio::time::Instant::now() + wait;
            loop {
                let wakeup = changed.notified();
                let (reply, has_entries) = revocations(&script.lock().unwrap(), &request.cursor);
                if has_entries || tokio::time::Instant::now() >= deadline {
                    break reply;
                }
                let _ = tokio::time::timeout_at(deadline, wakeup).await;
            }
        }
        Request::GetKeys(_) if script.lock().unwrap().hides_keys => return,
        request => answer(&mut script.lock().unwrap(), &request),
    };
    tokio::time::sleep(delay.1).await;
    if script.lock().unwrap().hangs {
        return;
    }
    let mut out = BytesMut::new();
    reply.encode(id, &mut out).unwrap();
    let _ = writer.lock().await.write_all(&out).await;
}

/// Returns the answer to a watch with this cursor, and `true` if it is not to be delayed.
fn revocations(script: &Script, cursor: &[u8]) -> (Reply<'static>, bool) {
    if let Some(code) = script.follow_error {
        return (error(code), true);
    }
    let cursor = String::from_utf8_lossy(cursor);
    let known = cursor.rsplit_once('/').filter(|(run, _)| *run == script.run);
    let from: usize = known.map_or(0, |(_, position)| position.parse().unwrap());
    let entries: Vec<_> = script.log.iter().skip(from).take(script.page).cloned().collect();
    let position = from + entries.len();
    // A page without rows is answered at once, although more rows follow.
    let is_final = known.is_none() || !entries.is_empty() || script.page == 0;
    let reply = Revocations {
        cursor: format!("{}/{position}", script.run).into_bytes().into(),
        stale_ms: script.stale_ms,
        more: u8::from(position < script.log.len()),
        now_ms: now(script),
        entries,
    };
    (reply.into(), is_final)
}

fn answer(script: &mut Script, request: &Request<'_>) -> Reply<'static> {
    match request {
        Request::GetKeys(_) => {
            script.keys_asked += 1;
            match script.follow_error {
                Some(code) => error(code),
                None => Keys {
                    jwks: script.jwks.clone().into(),
                    access_life: script.access_life,
                    refresh_after: script.refresh_after,
                    now_ms: Some(now(script)),
                }
                .into(),
            }
        }
        Request::VerifyToken(_) => {
            script.verify_asked += 1;
            match script.verify_error {
                Some(code) => ErrorReply {
                    code,
                    message: "no".into(),
                    retry_after_ms: script.retry_after_ms,
                    field: None,
                }
                .into(),
                None => script.verified.clone().into(),
            }
        }
        request => panic!("{request:?}"),
    }
}

fn now(script: &Script) -> UnixMillis {
    UnixMillis(unix_ms().checked_add_signed(script.clock_ms).unwrap())
}

fn error(code: ErrorCode) -> Reply<'static> {
    ErrorReply { code, message: "no".into(), retry_after_ms: None, field: None }.into()
}
