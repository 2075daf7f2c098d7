//! A client of several nodes of one service: keeps a connection to each, and sends every request to
//! the healthy node with the fewest requests in flight.
//!
//! - If a node is not reachable, or refuses with SHUTTING_DOWN or BUSY, the request goes to the
//!   next node.
//! - If a connection is lost, or a node answers INTERNAL or UNAVAILABLE, the same happens, provided
//!   that the request may be repeated.
//! - If there is no reply after [`PoolConfig::slow_after`], a request that may be repeated is also
//!   sent to another healthy node, and the first reply counts.
//!
//! A node without a reply in that time is avoided until it answers a ping in time again. So no
//! request waits for a slow node while another one is healthy, except the first few, and those only
//! for `slow_after`. If all nodes are slow, nothing is sent twice.

mod node;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::config::Config;
use super::error::Error;
use super::{Client, REPEAT_REFRESH_WITHIN};
use crate::error_code::{ErrorClass, ErrorCode, ErrorOutcome};
use crate::limits;
use crate::message::{Message, RequestMessage};
use crate::table::{Common, RefreshToken, WatchRevocations};
use node::Node;
pub use node::NodeStatus;

/// Interval at which every node is pinged.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Configuration of a [`Pool`].
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Configuration of each connection. The pool never waits for a node that is not reachable, so
    /// `wait_for_server` has no effect.
    pub client: Config,
    /// Number of connections to each address.
    pub connections: usize,
    /// Time without a reply after which a node is considered slow.
    pub slow_after: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { client: Config::default(), connections: 1, slow_after: Duration::from_millis(100) }
    }
}

/// A client of several nodes. Cloning it is cheap, and clones share the connections.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    nodes: Vec<Arc<Node>>,
    slow_after: Duration,
    deadline: Option<Duration>,
    /// Index of the node with which the next search for the best node begins, so that equally good
    /// nodes are chosen alternately.
    next: AtomicUsize,
    probes: Vec<AbortHandle>,
}

impl Pool {
    /// Creates a pool of the nodes at `addrs` (`host:port` each), and begins to connect to them.
    /// Must be called in a tokio runtime.
    #[must_use]
    pub fn start(addrs: &[String], config: PoolConfig) -> Self {
        let client = Config { wait_for_server: false, ..config.client };
        let connections = addrs.iter().flat_map(|addr| vec![addr; config.connections.max(1)]);
        let nodes: Vec<_> = connections
            .map(|addr| Arc::new(Node::new(Client::with_config(addr, client.clone()))))
            .collect();
        let probes = nodes
            .iter()
            .map(|node| {
                let probe = Arc::clone(node).probe(PROBE_INTERVAL, config.slow_after);
                tokio::spawn(probe).abort_handle()
            })
            .collect();
        let (slow_after, deadline) = (config.slow_after, client.deadline);
        // Random, so that clients that send few requests do not all use the first node.
        let next = AtomicUsize::new(RandomState::new().hash_one(0) as usize);
        Self { inner: Arc::new(Inner { nodes, slow_after, deadline, next, probes }) }
    }

    /// Sends `request` and waits for its reply.
    ///
    /// # Errors
    /// See [`Error`]. If several nodes failed, the error is that of the attempt that may have been
    /// executed, or else the last one.
    pub async fn call<M: RequestMessage>(&self, request: M) -> Result<M::Reply, Error> {
        self.call_with(request, Common::default()).await
    }

    /// Sends `request` with common tags and waits for its reply. `deadline_ms` is the deadline of
    /// the whole call, over all nodes.
    ///
    /// # Errors
    /// See [`call`](Self::call).
    pub async fn call_with<M: RequestMessage>(
        &self,
        request: M,
        mut common: Common<'_>,
    ) -> Result<M::Reply, Error> {
        let deadline = common
            .deadline_ms
            .map(|ms| Duration::from_millis(ms.into()))
            .or(self.inner.deadline)
            .unwrap_or(Duration::from_millis(limits::DEFAULT_DEADLINE_MS.into()))
            .min(Duration::from_millis(limits::MAX_DEADLINE_MS.into()));
        common.deadline_ms = Some(u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX));
        if let [node] = self.inner.nodes.as_slice() {
            let _in_flight = node.enter();
            return node.client.call_with(request, common).await;
        }
        let deadline = Instant::now() + deadline;
        let answer = self.race(&request, &common, deadline, self.inner.order(), Duration::ZERO);
        answer.await.map(|answer| answer.reply)
    }

    /// Sends a request that a server may answer only after `wait`, and waits for its reply for at
    /// most `timeout`. Prefers the node that answered the last one, `last`, while it is connected,
    /// even if it is slow. A node counts as slow only if it takes longer than `wait`.
    #[cfg(feature = "verifier")]
    pub(crate) async fn long_poll<M: RequestMessage>(
        &self,
        request: &M,
        wait: Duration,
        timeout: Duration,
        last: Option<&Source>,
    ) -> Result<(M::Reply, Source), Error> {
        let mut order = self.inner.order();
        let found = last.and_then(|last| {
            order
                .iter()
                .position(|node| Arc::ptr_eq(node, &last.node) && node.client.is_connected())
        });
        if let Some(node) = found.and_then(|index| order.remove(index)) {
            order.push_front(node);
        }
        let timeout = timeout.min(Duration::from_millis(limits::MAX_DEADLINE_MS.into()));
        let deadline = Instant::now() + timeout;
        let Answer { reply, source } =
            self.race(request, &Common::default(), deadline, order, wait).await?;
        Ok((reply, source))
    }

    /// Returns `true` if a connection to one of the nodes would cross a network in plaintext
    /// although [`Config::allow_plaintext`] is not set.
    #[cfg(feature = "verifier")]
    pub(crate) fn refuses_secrets(&self) -> bool {
        self.inner.nodes.iter().any(|node| node.client.link.refuses_secrets())
    }

    /// Returns the state of every connection, in the order of the addresses.
    #[must_use]
    pub fn status(&self) -> Vec<NodeStatus> {
        self.inner.nodes.iter().map(|node| node.status()).collect()
    }

    /// Waits up to 10 s for the replies to requests in flight, and closes every connection.
    pub async fn close(&self) {
        self.inner.stop_probes();
        let closing: Vec<_> = self
            .inner
            .nodes
            .iter()
            .map(|node| {
                let node = Arc::clone(node);
                tokio::spawn(async move { node.client.close().await })
            })
            .collect();
        for node in closing {
            let _ = node.await;
        }
    }

    /// Sends `request` to the nodes of `waiting`, one after another, until there is a reply, or an
    /// error after which another attempt could execute the request twice. A node without a reply
    /// counts as slow after `slow_after` of the pool and `wait`.
    async fn race<M: RequestMessage>(
        &self,
        request: &M,
        common: &Common<'_>,
        deadline: Instant,
        mut waiting: VecDeque<Arc<Node>>,
        wait: Duration,
    ) -> Result<Answer<M::Reply>, Error> {
        let started = Instant::now();
        let is_refresh = M::TYPE == RefreshToken::TYPE;
        let repeatable = M::SAFE || common.idempotency_key.is_some();
        // A refresh that is executed twice at the same time is no theft, but a needless risk.
        let hedged = M::SAFE && !is_refresh;
        let start = |node: Arc<Node>| Attempt {
            call: Box::pin(call_node(Arc::clone(&node), request, common.clone(), deadline)),
            source: Source {
                connection: node.client.link.next_number(),
                node,
                sent: Instant::now(),
            },
        };
        let slow_after = self.inner.slow_after + wait;
        let mut attempts = Attempts(Vec::new());
        let mut slow_at = started;
        let mut failure = None;
        loop {
            if attempts.0.is_empty() {
                let too_late = is_refresh && started.elapsed() > REPEAT_REFRESH_WITHIN;
                match waiting.pop_front() {
                    Some(node) if !(too_late && failure.is_some()) => attempts.0.push(start(node)),
                    _ => return Err(failure.unwrap_or(Error::Closed)),
                }
                slow_at = Instant::now() + slow_after;
            }
            tokio::select! {
                biased;
                (result, source) = attempts.next() => match result {
                    Err(error) if may_move_on(&error, repeatable) => {
                        if failure.as_ref().is_none_or(|first: &Error| !first.outcome_unknown()) {
                            failure = Some(error);
                        }
                    }
                    Ok(reply) => return Ok(Answer { reply, source }),
                    // An earlier attempt may have been executed.
                    Err(error) => return Err(match failure {
                        Some(first)
                            if first.outcome_unknown()
                                && error.outcome() == ErrorOutcome::NotDone =>
                        {
                            first
                        }
                        _ => error,
                    }),
                },
                () = sleep_until(slow_at), if hedged && !waiting.is_empty() => {
                    attempts.mark_slow();
                    let next = take_healthy(&mut waiting, attempts.are_unreachable());
                    attempts.0.extend(next.map(start));
                    slow_at = Instant::now() + slow_after;
                }
            }
        }
    }
}

/// Removes and returns the first healthy node of `waiting`. If none is healthy, uses the first node
/// if `any` is `true`, and otherwise returns `None`.
fn take_healthy(waiting: &mut VecDeque<Arc<Node>>, any: bool) -> Option<Arc<Node>> {
    let at = waiting.iter().position(|node| node.is_healthy()).or(any.then_some(0))?;
    waiting.remove(at)
}

/// Returns `true` if a request that ended with `error` may be sent to another node: it was not
/// executed, or it is `repeatable`.
fn may_move_on(error: &Error, repeatable: bool) -> bool {
    match error {
        Error::Connect(_) | Error::Handshake(_) => true,
        Error::Lost { .. } => repeatable,
        Error::Refused(reply) => match reply.code {
            ErrorCode::SHUTTING_DOWN | ErrorCode::BUSY => true,
            ErrorCode::DEADLINE_EXCEEDED => false,
            code => repeatable && code.class() == ErrorClass::Server,
        },
        Error::DeadlineExceeded { .. }
        | Error::BadReply { .. }
        | Error::PlaintextRefused
        | Error::TooLong(_)
        | Error::Closed => false,
    }
}

impl Inner {
    /// Returns the nodes, the best one first: healthy before full, slow and unreachable ones, and
    /// among equally healthy ones, the node with the fewest requests in flight.
    fn order(&self) -> VecDeque<Arc<Node>> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.nodes.len().max(1);
        let (before, from) = self.nodes.split_at(first.min(self.nodes.len()));
        let mut ranked: Vec<_> =
            from.iter().chain(before).map(|node| (node.rank(), Arc::clone(node))).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, node)| node).collect()
    }

    fn stop_probes(&self) {
        for probe in &self.probes {
            probe.abort();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop_probes();
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("nodes", &self.status()).finish()
    }
}

/// Sends a request to one node.
async fn call_node<M: RequestMessage>(
    node: Arc<Node>,
    request: &M,
    common: Common<'_>,
    deadline: Instant,
) -> Result<M::Reply, Error> {
    // A watch costs the node nothing while it waits.
    let _in_flight = (M::TYPE != WatchRevocations::TYPE).then(|| node.enter());
    node.client.call_until(request, common, Some(deadline), Some(deadline), false).await
}

/// The attempts of one call that are in flight.
struct Attempts<F>(Vec<Attempt<F>>);

struct Attempt<F> {
    call: Pin<Box<F>>,
    source: Source,
}

/// Reply to a call, with the connection on which it arrived.
#[cfg_attr(not(feature = "verifier"), allow(dead_code, reason = "only a long poll reads it"))]
struct Answer<R> {
    reply: R,
    source: Source,
}

/// The node and connection to which an attempt was sent.
#[derive(Clone)]
#[cfg_attr(not(feature = "verifier"), allow(dead_code, reason = "only a long poll reads it"))]
pub(crate) struct Source {
    node: Arc<Node>,
    /// Number of the connection, or that of an earlier one if it was lost meanwhile.
    connection: u64,
    /// Time before the request was sent.
    pub(crate) sent: Instant,
}

#[cfg(feature = "verifier")]
impl Source {
    /// Returns `true` if both attempts used the same connection, so that the same run of the same
    /// node has answered. May return `false` once too often after a connection was lost.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.node, &other.node) && self.connection == other.connection
    }
}

impl<F: Future> Attempts<F> {
    /// Waits until any attempt ends, removes it, and returns its result with its source.
    async fn next(&mut self) -> (F::Output, Source) {
        poll_fn(|context| {
            let ended = self.0.iter_mut().enumerate().find_map(|(index, attempt)| {
                match attempt.call.as_mut().poll(context) {
                    Poll::Ready(result) => Some((index, result)),
                    Poll::Pending => None,
                }
            });
            match ended {
                Some((index, result)) => Poll::Ready((result, self.0.swap_remove(index).source)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Marks the nodes of all attempts as slow.
    fn mark_slow(&self) {
        for attempt in &self.0 {
            attempt.source.node.mark_slow();
        }
    }

    /// Returns `true` if no attempt has a node that is connected.
    fn are_unreachable(&self) -> bool {
        self.0.iter().all(|attempt| !attempt.source.node.client.is_connected())
    }
}
