//! The connection to Redis, and the breaker before it. A call never connects and never waits longer
//! than its patience: without a connection it fails at once. Whoever keeps the connection
//! reconnects and proves it in the background, so no request pays for a probe.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, PushInfo, PushKind, RedisError,
    RedisResult, Value,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::RedisServer;
use crate::metrics::{Breaker, CacheFailure, CacheMetrics};

/// Between two looks at whether a connection that nobody uses still lives.
const PULSE: Duration = Duration::from_secs(1);
/// Before the first try to connect again, and the longest wait between two.
const PAUSE: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];
/// A connection that held for so long was a good one.
const STEADY: Duration = Duration::from_secs(10);

/// How long Redis is waited for.
#[derive(Debug, Clone, Copy)]
pub struct RedisTimeouts {
    /// For an answer, by a request.
    pub call: Duration,
    /// For a connection that has proved itself, by nobody.
    pub connect: Duration,
}

impl Default for RedisTimeouts {
    fn default() -> Self {
        Self { call: Duration::from_millis(100), connect: Duration::from_secs(1) }
    }
}

/// The connection, where there is one.
pub(super) struct Link {
    server: RedisServer,
    channels: Vec<String>,
    patience: RedisTimeouts,
    metrics: Arc<CacheMetrics>,
    live: RwLock<Option<Live>>,
    lost: Notify,
    wakeup: Arc<Notify>,
}

/// A connection, and which one it is: an answer that comes late must not end its successor.
#[derive(Clone)]
struct Live {
    connection: Connection,
    number: u64,
}

#[derive(Clone)]
enum Connection {
    Single(MultiplexedConnection),
    #[cfg(feature = "redis-cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl Link {
    pub(super) fn new(
        server: RedisServer,
        channels: Vec<String>,
        patience: RedisTimeouts,
        metrics: Arc<CacheMetrics>,
    ) -> Self {
        metrics.set_breaker(Breaker::HalfOpen);
        let (live, lost, wakeup) = (RwLock::new(None), Notify::new(), Arc::new(Notify::new()));
        Self { server, channels, patience, metrics, live, lost, wakeup }
    }

    /// Waits until a node has said that the log has grown, or may have unheard.
    pub(super) async fn notified(&self) {
        self.wakeup.notified().await;
    }

    /// What Redis answers; none where it does not within the patience. A command that timed out may
    /// still run later, so only those are sent that do no harm then.
    pub(super) async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(Live { mut connection, number }) = live else {
            self.metrics.fail(CacheFailure::Open);
            return None;
        };
        let began = Instant::now();
        let answer = tokio::time::timeout(self.patience.call, connection.ask(command)).await;
        self.metrics.took.observe(began.elapsed().as_secs_f64());
        match answer {
            Ok(Ok(value)) => Some(value),
            Ok(Err(error)) => {
                self.metrics.fail(CacheFailure::Error);
                if is_broken(&error) {
                    self.lose(number, &error);
                } else {
                    tracing::debug!(%error, "the cache refused a call");
                }
                None
            }
            Err(_) => {
                self.metrics.fail(CacheFailure::Timeout);
                self.lose(number, &"no answer in time");
                None
            }
        }
    }

    /// Opens the breaker: this connection is used no more.
    fn lose(&self, number: u64, why: &dyn std::fmt::Display) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if live.as_ref().is_some_and(|live| live.number == number) {
            *live = None;
            self.metrics.set_breaker(Breaker::Open);
            tracing::warn!(server = %self.server.location(), %why, "the cache is lost; the service goes on without it");
            self.lost.notify_one();
        }
    }

    /// Keeps a connection for as long as it is polled.
    pub(super) async fn keep(self: Arc<Self>) {
        let [mut pause, longest] = PAUSE;
        let mut failing = false;
        for number in 0_u64.. {
            self.metrics.set_breaker(Breaker::HalfOpen);
            match self.connect(number).await {
                Ok(connection) => {
                    tracing::info!(server = %self.server.location(), "the cache answers");
                    failing = false;
                    let since = Instant::now();
                    self.hold(Live { connection, number }).await;
                    if since.elapsed() >= STEADY {
                        pause = PAUSE[0];
                    }
                }
                Err(why) if !failing => {
                    failing = true;
                    tracing::warn!(server = %self.server.location(), %why, "the cache can not be reached");
                }
                Err(_) => {}
            }
            self.metrics.set_breaker(Breaker::Open);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Lets a connection be used until it is lost.
    async fn hold(&self, live: Live) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Some(live);
        self.metrics.set_breaker(Breaker::Closed);
        // Nobody listened before, so what was said is lost; the same holds when the connection is.
        self.wakeup.notify_one();
        while tokio::time::timeout(PULSE, self.lost.notified()).await.is_err() {
            let _: Option<String> = self.call(&redis::cmd("PING")).await;
        }
        self.wakeup.notify_one();
    }

    /// A connection that listens and has answered.
    async fn connect(self: &Arc<Self>, number: u64) -> Result<Connection, String> {
        let prove = async {
            let mut connection = self.open(number).await?;
            connection.subscribe(&self.channels).await?;
            connection.ask::<String>(&redis::cmd("PING")).await?;
            RedisResult::Ok(connection)
        };
        match tokio::time::timeout(self.patience.connect, prove).await {
            Ok(connected) => connected.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {:?}", self.patience.connect)),
        }
    }

    async fn open(self: &Arc<Self>, number: u64) -> RedisResult<Connection> {
        let link = Arc::downgrade(self);
        let single = self.server.nodes.len() == 1;
        let heard = move |push: PushInfo| {
            let Some(link) = link.upgrade() else { return Err(()) };
            match push.kind {
                PushKind::Message => link.wakeup.notify_one(),
                // A cluster's connection heals itself, and subscribes again.
                PushKind::Disconnection if single => {
                    link.lose(number, &"the connection was closed")
                }
                PushKind::Disconnection => link.wakeup.notify_one(),
                _ => {}
            }
            Ok(())
        };
        #[cfg(feature = "redis-cluster")]
        if !single {
            let builder = redis::cluster::ClusterClient::builder(self.server.nodes.clone())
                .connection_timeout(self.patience.connect)
                .response_timeout(self.patience.call)
                .retries(1)
                .use_protocol(redis::ProtocolVersion::RESP3)
                .tcp_settings(redis::io::tcp::TcpSettings::default().set_nodelay(true))
                .push_sender(heard);
            let builder = match &self.server.authorities {
                Some(authorities) => builder.certs(authorities.clone()),
                None => builder,
            };
            return builder.build()?.get_async_connection().await.map(Connection::Cluster);
        }
        let node = self
            .server
            .nodes
            .first()
            .cloned()
            .ok_or((redis::ErrorKind::InvalidClientConfig, "no server"))?;
        let client = match &self.server.authorities {
            Some(authorities) => Client::build_with_tls(node, authorities.clone())?,
            None => Client::open(node)?,
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.patience.connect))
            .set_response_timeout(Some(self.patience.connect))
            .set_push_sender(heard);
        client.get_multiplexed_async_connection_with_config(&config).await.map(Connection::Single)
    }

    /// Proves what the service will do, on a connection of its own; the server's version.
    pub(super) async fn probe(self: &Arc<Self>) -> Result<String, String> {
        let mut connection = self.connect(0).await?;
        let prove = async {
            let info: Value = connection.ask(redis::cmd("INFO").arg("server")).await?;
            let name = format!("user-server:check:{}", uuid::Uuid::new_v4());
            let _: Option<String> =
                connection.ask(&super::set_new(&name, b"?", self.patience.connect)).await?;
            let _: i64 =
                connection.ask(&super::exchange(&name, b"?", b"!", self.patience.connect)).await?;
            let _: Vec<Option<Vec<u8>>> = connection.ask(redis::cmd("MGET").arg(&name)).await?;
            let _: i64 = connection.ask(redis::cmd("DEL").arg(&name)).await?;
            let channel = self.channels.first().map(String::as_str).unwrap_or_default();
            let _: i64 = connection.ask(redis::cmd("PUBLISH").arg(channel).arg("")).await?;
            RedisResult::Ok(version(&info).unwrap_or_default())
        };
        match tokio::time::timeout(self.patience.connect, prove).await {
            Ok(proved) => proved.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {:?}", self.patience.connect)),
        }
    }
}

impl Connection {
    async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Single(connection) => command.query_async(connection).await,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    async fn subscribe(&mut self, channels: &[String]) -> RedisResult<()> {
        match self {
            Self::Single(connection) => connection.subscribe(channels).await,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(connection) => connection.subscribe(channels).await,
        }
    }
}

/// The version in what a server says of itself; of a cluster, that of one of its nodes.
fn version(info: &Value) -> Option<String> {
    let text = match info {
        Value::Map(nodes) => return nodes.iter().find_map(|(_, info)| version(info)),
        Value::VerbatimString { text, .. } => text.as_str().into(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes),
        _ => return None,
    };
    text.lines().find_map(|line| line.strip_prefix("redis_version:")).map(str::to_owned)
}

/// Whether another connection may do better: this one is gone, or its server has become one that
/// does not write.
fn is_broken(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(error.code(), Some("READONLY" | "LOADING"))
}
