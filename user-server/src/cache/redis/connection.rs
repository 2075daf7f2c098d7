//! The connection to Redis, with a circuit breaker. A command never waits longer than its timeout,
//! and fails immediately if there is no connection. A background task reconnects and tests the
//! connection, so no request waits for that.

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

/// Interval between two `PING` commands that test the connection.
const PING_INTERVAL: Duration = Duration::from_secs(1);
/// Pause before the first attempt to reconnect, and maximum pause between two attempts.
const RECONNECT_PAUSE: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];
/// Lifetime of a connection after which the pause before reconnecting is reset to the shortest.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// Timeouts of Redis commands and connections.
#[derive(Debug, Clone, Copy)]
pub struct RedisTimeouts {
    /// Maximum time to wait for the reply to a command.
    pub call: Duration,
    /// Maximum time to establish and test a connection.
    pub connect: Duration,
}

impl Default for RedisTimeouts {
    fn default() -> Self {
        Self { call: Duration::from_millis(100), connect: Duration::from_secs(1) }
    }
}

/// Connection to Redis, re-established whenever it is lost.
pub(super) struct ManagedConnection {
    server: RedisServer,
    channels: Vec<String>,
    timeouts: RedisTimeouts,
    metrics: Arc<CacheMetrics>,
    open: RwLock<Option<LiveConnection>>,
    lost: Notify,
    wakeup: Arc<Notify>,
}

/// Open connection with a sequence number, so that a late failure of one connection does not close
/// its successor.
#[derive(Clone)]
struct LiveConnection {
    transport: RedisTransport,
    number: u64,
}

#[derive(Clone)]
enum RedisTransport {
    Single(MultiplexedConnection),
    #[cfg(feature = "redis-cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl ManagedConnection {
    pub(super) fn new(
        server: RedisServer,
        channels: Vec<String>,
        timeouts: RedisTimeouts,
        metrics: Arc<CacheMetrics>,
    ) -> Self {
        metrics.set_breaker(Breaker::HalfOpen);
        let (open, lost, wakeup) = (RwLock::new(None), Notify::new(), Arc::new(Notify::new()));
        Self { server, channels, timeouts, metrics, open, lost, wakeup }
    }

    /// Waits for a notification by any node, or until a notification may have been missed.
    pub(super) async fn notified(&self) {
        self.wakeup.notified().await;
    }

    /// Runs a Redis command. Returns `None` if it fails, times out, or there is no connection. A
    /// command that timed out may still be executed later, so it must be harmless then.
    pub(super) async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(LiveConnection { mut transport, number }) = open else {
            self.metrics.fail(CacheFailure::Open);
            return None;
        };
        let began = Instant::now();
        let answer = tokio::time::timeout(self.timeouts.call, transport.query(command)).await;
        self.metrics.duration.observe(began.elapsed().as_secs_f64());
        match answer {
            Ok(Ok(value)) => Some(value),
            Ok(Err(error)) => {
                self.metrics.fail(CacheFailure::Error);
                if is_broken(&error) {
                    self.close(number, &error);
                } else {
                    tracing::debug!(%error, "Redis refused a command");
                }
                None
            }
            Err(_) => {
                self.metrics.fail(CacheFailure::Timeout);
                self.close(number, &"no answer in time");
                None
            }
        }
    }

    /// Closes the connection with the sequence number `number`, if it is still open, and opens the
    /// circuit breaker. `why` is logged.
    fn close(&self, number: u64, why: &dyn std::fmt::Display) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|open| open.number == number) {
            *open = None;
            self.metrics.set_breaker(Breaker::Open);
            tracing::warn!(
                server = %self.server.location(),
                %why,
                "lost the connection to Redis; continuing without the cache"
            );
            self.lost.notify_one();
        }
    }

    /// Connects, and reconnects whenever the connection is lost, forever.
    pub(super) async fn run(self: Arc<Self>) {
        let [mut pause, longest] = RECONNECT_PAUSE;
        let mut failing = false;
        for number in 0_u64.. {
            self.metrics.set_breaker(Breaker::HalfOpen);
            match self.connect(number).await {
                Ok(transport) => {
                    tracing::info!(server = %self.server.location(), "connected to Redis");
                    failing = false;
                    let since = Instant::now();
                    self.serve(LiveConnection { transport, number }).await;
                    if since.elapsed() >= STABLE_AFTER {
                        pause = RECONNECT_PAUSE[0];
                    }
                }
                Err(why) if !failing => {
                    failing = true;
                    tracing::warn!(
                        server = %self.server.location(),
                        %why,
                        "cannot connect to Redis"
                    );
                }
                Err(_) => {}
            }
            self.metrics.set_breaker(Breaker::Open);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Makes a connection available for commands, and tests it periodically, until it is lost.
    async fn serve(&self, connection: LiveConnection) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = Some(connection);
        self.metrics.set_breaker(Breaker::Closed);
        // Notifications that were published while there was no subscription are lost, so readers
        // are notified now, and again when the connection is lost.
        self.wakeup.notify_one();
        while tokio::time::timeout(PING_INTERVAL, self.lost.notified()).await.is_err() {
            let _: Option<String> = self.call(&redis::cmd("PING")).await;
        }
        self.wakeup.notify_one();
    }

    /// Opens a connection, subscribes to the wakeup channels, and tests the connection. Fails with
    /// a description of the error.
    async fn connect(self: &Arc<Self>, number: u64) -> Result<RedisTransport, String> {
        let connect = async {
            let mut transport = self.open_transport(number).await?;
            transport.subscribe(&self.channels).await?;
            transport.query::<String>(&redis::cmd("PING")).await?;
            RedisResult::Ok(transport)
        };
        match tokio::time::timeout(self.timeouts.connect, connect).await {
            Ok(connected) => connected.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {:?}", self.timeouts.connect)),
        }
    }

    async fn open_transport(self: &Arc<Self>, number: u64) -> RedisResult<RedisTransport> {
        let managed = Arc::downgrade(self);
        let single = self.server.nodes.len() == 1;
        let on_push = move |push: PushInfo| {
            let Some(managed) = managed.upgrade() else { return Err(()) };
            match push.kind {
                PushKind::Message => managed.wakeup.notify_one(),
                // A cluster connection reconnects and subscribes by itself.
                PushKind::Disconnection if single => {
                    managed.close(number, &"the connection was closed")
                }
                PushKind::Disconnection => managed.wakeup.notify_one(),
                _ => {}
            }
            Ok(())
        };
        #[cfg(feature = "redis-cluster")]
        if !single {
            let builder = redis::cluster::ClusterClient::builder(self.server.nodes.clone())
                .connection_timeout(self.timeouts.connect)
                .response_timeout(self.timeouts.call)
                .retries(1)
                .use_protocol(redis::ProtocolVersion::RESP3)
                .tcp_settings(redis::io::tcp::TcpSettings::default().set_nodelay(true))
                .push_sender(on_push);
            let builder = match &self.server.authorities {
                Some(authorities) => builder.certs(authorities.clone()),
                None => builder,
            };
            return builder.build()?.get_async_connection().await.map(RedisTransport::Cluster);
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
            .set_connection_timeout(Some(self.timeouts.connect))
            .set_response_timeout(Some(self.timeouts.connect))
            .set_push_sender(on_push);
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map(RedisTransport::Single)
    }

    /// Runs every command that the service needs, on a new connection. Returns the version of the
    /// Redis server, or a description of the error.
    pub(super) async fn probe(self: &Arc<Self>) -> Result<String, String> {
        let mut transport = self.connect(0).await?;
        let probe = async {
            let info: Value = transport.query(redis::cmd("INFO").arg("server")).await?;
            let key = format!("user-server:check:{}", uuid::Uuid::new_v4());
            let _: Option<String> =
                transport.query(&super::set_new(&key, b"?", self.timeouts.connect)).await?;
            let _: i64 =
                transport.query(&super::exchange(&key, b"?", b"!", self.timeouts.connect)).await?;
            let _: Vec<Option<Vec<u8>>> = transport.query(redis::cmd("MGET").arg(&key)).await?;
            let _: i64 = transport.query(redis::cmd("DEL").arg(&key)).await?;
            let channel = self.channels.first().map(String::as_str).unwrap_or_default();
            let _: i64 = transport.query(redis::cmd("PUBLISH").arg(channel).arg("")).await?;
            RedisResult::Ok(version(&info).unwrap_or_default())
        };
        match tokio::time::timeout(self.timeouts.connect, probe).await {
            Ok(version) => version.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {:?}", self.timeouts.connect)),
        }
    }
}

impl RedisTransport {
    async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
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

/// Returns the Redis version in the reply to `INFO`, in a cluster that of one node, or `None` if
/// the reply contains none.
fn version(info: &Value) -> Option<String> {
    let text = match info {
        Value::Map(nodes) => return nodes.iter().find_map(|(_, info)| version(info)),
        Value::VerbatimString { text, .. } => text.as_str().into(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes),
        _ => return None,
    };
    text.lines().find_map(|line| line.strip_prefix("redis_version:")).map(str::to_owned)
}

/// Reports whether reconnecting may help after an error: the connection is lost, or its server has
/// become a replica or is loading its data.
fn is_broken(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(error.code(), Some("READONLY" | "LOADING"))
}
