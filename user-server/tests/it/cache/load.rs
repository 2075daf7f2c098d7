//! Redis killed, stopped and cut off under token checks, lookups and refreshes: no wrong verdict
//! and no failed request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use user_proto::client::Client;
use user_proto::{Common, GetUser, Logout, RefreshToken, Secret, VerifyToken};

use crate::postgres::node;
use crate::support::{CallStats, Proxy, Redis, TestServer, outcome, postgres};

/// Number of sessions that are checked, looked up and refreshed continuously.
const CLIENTS: usize = 4;
/// Longer than the circuit breaker waits between two attempts.
const SETTLE: Duration = Duration::from_millis(2500);

/// Load on two nodes, from two clients each.
struct Load {
    stats: Arc<CallStats>,
    stop: Arc<AtomicBool>,
    wrong: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    async fn start(nodes: &[TestServer]) -> Self {
        let mut load = Self {
            stats: Arc::default(),
            stop: Arc::default(),
            wrong: Arc::default(),
            tasks: Vec::new(),
        };
        let (here, there) = (nodes[0].client(), nodes[1].client());
        let ada = nodes[0].account_on(&here, "ada", &nodes[1]).await;
        // A session that was ended on one node must not become valid again on either.
        let ended = nodes[0].login(&here, "ada").await.access_token;
        here.call(Logout { token: ended.clone(), all_sessions: None }).await.unwrap();
        while there.call(VerifyToken { access_token: ended.clone() }).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        load.stats.phase("startup");
        for number in 0..CLIENTS {
            let session = nodes[0].login(&here, "ada").await;
            let client = nodes[number % nodes.len()].client();
            let worker = Worker {
                client,
                stats: load.stats.clone(),
                wrong: load.wrong.clone(),
                user: ada.session.user_id,
                ended: ended.clone(),
            };
            let stop = load.stop.clone();
            load.tasks.push(tokio::spawn(worker.run(
                session.access_token,
                session.refresh_token,
                stop,
            )));
        }
        load
    }

    async fn during(&self, phase: &'static str, span: Duration) {
        self.stats.phase(phase);
        tokio::time::sleep(span).await;
    }

    /// Stops the clients and returns the table of their calls.
    async fn end(self, title: &str) -> String {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        assert_eq!(self.wrong.load(Ordering::SeqCst), 0, "wrong verdicts");
        self.stats.assert_only(&["OK"]);
        self.stats.table(title)
    }
}

struct Worker {
    client: Client,
    stats: Arc<CallStats>,
    wrong: Arc<AtomicUsize>,
    user: uuid::Uuid,
    ended: Secret<'static>,
}

impl Worker {
    async fn run(
        self,
        mut access: Secret<'static>,
        mut refresh: Secret<'static>,
        stop: Arc<AtomicBool>,
    ) {
        let no_tags = Common::default;
        let mut refreshes = 0;
        while !stop.load(Ordering::SeqCst) {
            let stats = &self.stats;
            for _ in 0..8 {
                let check = VerifyToken { access_token: access.clone() };
                let verified = stats.call(&self.client, check, no_tags()).await.unwrap();
                let ended = outcome(
                    self.client.call(VerifyToken { access_token: self.ended.clone() }).await,
                );
                let wrong = verified.user_id != self.user
                    || ended != Err(user_proto::ErrorCode::SESSION_REVOKED);
                self.wrong.fetch_add(usize::from(wrong), Ordering::SeqCst);
            }
            let look_up = GetUser { access_token: access.clone() };
            let user = stats.call(&self.client, look_up, no_tags()).await.unwrap();
            self.wrong.fetch_add(usize::from(user.user_id != self.user), Ordering::SeqCst);
            // Fewer than the budget of a session.
            if refreshes < 50 {
                let next = RefreshToken { refresh_token: refresh.clone() };
                let tokens = stats.call(&self.client, next, no_tags()).await.unwrap();
                (access, refresh) = (tokens.access_token, tokens.refresh_token);
                refreshes += 1;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn measure(span: Duration) -> Option<String> {
    let (database, mut redis) = (postgres()?, Redis::start()?);
    let proxy = Proxy::before(redis.port).await;
    let through = format!("redis://127.0.0.1:{}", proxy.port);
    let mut table = String::new();
    for with_redis in [false, true] {
        let url = database.database();
        let settings: &[(&str, &str)] = if with_redis { &[("REDIS_URL", &through)] } else { &[] };
        let nodes = [node(&url, settings).await, node(&url, settings).await];
        let load = Load::start(&nodes).await;
        if with_redis {
            load.during("Redis is healthy", span).await;
            redis.kill();
            load.during("Redis is killed", span).await;
            redis.run();
            load.during("Redis is restarted", SETTLE).await;
            redis.signal("STOP");
            load.during("Redis is stopped (SIGSTOP)", span).await;
            redis.signal("CONT");
            load.during("Redis is continued", SETTLE).await;
            proxy.cut(true);
            load.during("Redis is cut off", span).await;
            proxy.cut(false);
            load.during("Redis is healthy again", span).await;
            table += &load.end("With REDIS_URL").await;
        } else {
            load.during("without REDIS_URL", span).await;
            table += &load.end("Without REDIS_URL").await;
        }
        for node in nodes {
            node.stop().await;
        }
    }
    Some(table)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_because_of_redis() {
    if let Some(table) = measure(Duration::from_millis(700)).await {
        eprintln!("{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; docs/FAULTS.md has the command"]
async fn long_no_request_fails_because_of_redis() {
    println!("{}", measure(Duration::from_secs(15)).await.unwrap());
}
