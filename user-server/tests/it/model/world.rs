//! Two nodes on one database, with injected faults.

mod checks;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use user_proto::{Common, ErrorCode, Message, Reply, ReplyMessage, Request, RequestMessage, frame};
use user_server::cache::LocalCache;
use user_server::config::Config;
use user_server::domain::{
    ClaimedMail, Clock, CodeGenerator, MailKind, Notice, Retention, ShiftedClock, Store,
};
use user_server::handler::Peer;
use user_server::keys::{KeyRing, Pseudonyms};
use user_server::metrics::Metrics;
use user_server::otp::Otp;
use user_server::outbox::{MailWakeup, Worker};
use user_server::password::{HashCost, HashPoolSize};
use user_server::service::{CachePorts, ServiceCore};
use user_server::tcp;
use user_server::throttle::Throttle;
use uuid::Uuid;

use super::budgets::{Attempts, EmailBudgets};
use super::deliveries::{DeliveryResult, FaultyMailer, SentEmail};
use super::faults::{Effect, FaultInjector, FaultyStore, PlannedFault};
use super::ledger::{DAY, Ledger, millis};
use super::scenario::Step;
use super::values::{ADDRESSES, NETWORKS};
use crate::support::{PgProxy, config};

const SECRET: &str = "a secret of a scenario, 32 bytes";
/// Number of steps between two inspections of the whole database.
const INSPECT_EVERY: usize = 10;

/// A node without sockets.
struct Node {
    core: ServiceCore,
    worker: Worker,
}

/// Node that receives a request, network of the end user, and fault of a call to the store.
#[derive(Debug, Clone, Copy)]
pub struct CallContext {
    pub node: usize,
    pub network: Option<usize>,
    pub fault: Option<PlannedFault>,
}

/// Result of a request.
pub struct CallResult<R> {
    /// The reply or the refusal; `None` if the client does not learn the outcome.
    pub outcome: Option<Result<R, ErrorCode>>,
    pub effects: Vec<Effect>,
    /// The planned fault occurred.
    pub faulted: bool,
}

impl<R> CallResult<R> {
    /// Returns the reply. Asserts that success is `allowed`, or that the refusal is one of
    /// `refusals`.
    pub fn expect(self, allowed: bool, refusals: &[ErrorCode]) -> Option<R> {
        match self.outcome {
            Some(Ok(reply)) => {
                assert!(allowed, "succeeded, expected one of {refusals:?}");
                Some(reply)
            }
            Some(Err(code)) => {
                assert!(
                    refusals.contains(&code),
                    "refused with {code:?}, expected one of {refusals:?} or success: {allowed}"
                );
                None
            }
            None => None,
        }
    }
}

/// The nodes, everything that they share, and the model of them.
pub struct World {
    pub ledger: Ledger,
    pub attempts: Attempts,
    /// Codes that users received, with their verifications.
    pub inbox: Vec<(Uuid, String)>,
    notices: Vec<ExpectedNotice>,
    /// Time of the last notice that an account exists, by budget of the address.
    already_registered: BTreeMap<String, i64>,
    /// Emails that a worker has claimed.
    emails: BTreeMap<Uuid, ClaimedMail>,
    /// Emails that were delivered, refused permanently, or given up after a day.
    finished: Vec<Uuid>,
    email_budgets: EmailBudgets,
    clock: Arc<ShiftedClock>,
    faults: Arc<FaultInjector>,
    mailer: Arc<FaultyMailer>,
    otp: Otp,
    config: Config,
    keys: Arc<KeyRing>,
    /// The store without faults.
    store: Arc<dyn Store>,
    cache: CachePorts,
    nodes: Vec<Node>,
    steps: usize,
}

/// A notice that a change causes.
struct ExpectedNotice {
    notice: Notice,
    mailbox: String,
    /// The email that contains it, once a worker has claimed it.
    email: Option<Uuid>,
}

impl World {
    pub async fn new(
        store: Arc<dyn Store>,
        folder: &std::path::Path,
        proxy: Option<Arc<PgProxy>>,
    ) -> Self {
        let mut config = config(folder, &[("JWTSECRETKEY", SECRET)]);
        // Below the minimum that the environment accepts, since a scenario hashes often.
        config.hash_cost = HashCost { memory_kib: 8, passes: 1, parallelism: 1 };
        config.hash_pool = HashPoolSize { permits: 1, queue: 16 };
        let clock = Arc::new(ShiftedClock::default());
        clock.freeze();
        let keys = Arc::new(config.keys().unwrap());
        // Shared by both nodes, like Redis.
        let records = LocalCache::new(100, config.tokens.access_life, Arc::default());
        let cache = CachePorts::single_node(Arc::new(records));
        let mut world = Self {
            ledger: Ledger::default(),
            attempts: Attempts::default(),
            inbox: Vec::new(),
            notices: Vec::new(),
            already_registered: BTreeMap::new(),
            emails: BTreeMap::new(),
            finished: Vec::new(),
            email_budgets: EmailBudgets::default(),
            faults: Arc::new(FaultInjector::new(proxy)),
            mailer: Arc::default(),
            otp: code_generator(store.clone(), clock.clone(), keys.clone(), &config),
            clock,
            config,
            keys,
            store,
            cache,
            nodes: Vec::new(),
            steps: 0,
        };
        for _ in 0..2 {
            let node = world.node().await;
            world.nodes.push(node);
        }
        world
    }

    async fn node(&self) -> Node {
        let store: Arc<dyn Store> =
            Arc::new(FaultyStore { real: self.store.clone(), faults: self.faults.clone() });
        let clock: Arc<dyn Clock> = self.clock.clone();
        let metrics = Arc::new(Metrics::new(tcp::request_labels(), clock.now()));
        let core =
            ServiceCore::assemble(&self.config, &clock, &self.keys, &store, &self.cache, &metrics)
                .unwrap();
        let codes = code_generator(store.clone(), clock.clone(), self.keys.clone(), &self.config);
        let worker = Worker {
            outbox: store.clone(),
            mailer: self.mailer.clone(),
            codes: Arc::new(codes),
            clock: clock.clone(),
            wakeup: MailWakeup::default(),
            metrics: metrics.emails.clone(),
            turns: AtomicUsize::new(0),
        };
        let node = Node { core, worker };
        node.core.revocation_reader(&self.store).load(clock.now()).await.unwrap();
        node
    }

    pub fn now(&self) -> i64 {
        millis(self.clock.now())
    }

    /// Runs a step, and then compares the service with the model.
    pub async fn step(&mut self, step: &Step) {
        match step {
            Step::Request { node, network, request, fault } => {
                let call = CallContext { node: *node, network: *network, fault: *fault };
                request.run(self, call).await;
                if fault.is_none() {
                    // A node applies the revocations of its own requests at once.
                    self.check_tokens(*node).await;
                }
            }
            Step::Deliver { node, results, fault } => self.deliver(*node, results, *fault).await,
            Step::Wait(seconds) => self.clock.advance(Duration::from_secs(*seconds)),
            Step::Sweep => self.sweep().await,
            Step::Restart { node } => self.nodes[*node] = self.node().await,
        }
        self.check().await;
        self.steps += 1;
        if self.steps.is_multiple_of(INSPECT_EVERY) {
            self.inspect().await;
        }
    }

    async fn sweep(&mut self) {
        let day = Duration::from_secs(24 * 3600);
        let retention = Retention {
            verifications: day + self.config.code_life,
            mails: day + self.config.code_life,
            revocations: self.config.tokens.access_life * 2 + Duration::from_secs(3600),
            last_revocation: i64::MAX,
            session_idle: self.config.tokens.session_idle,
            session_life: self.config.tokens.session_life,
            known_networks: day * 30,
        };
        self.store.sweep(&retention, self.clock.now()).await.unwrap();
        self.ledger.sweep(self.now());
    }

    /// Sends a request to a node in the form in which its connections do, the bytes of a frame.
    pub async fn call<M: RequestMessage>(
        &mut self,
        call: CallContext,
        request: M,
    ) -> CallResult<M::Reply> {
        self.faults.plan(call.fault);
        let client_address =
            call.network.map(|network| NETWORKS[network].parse::<IpAddr>().unwrap().into());
        let common = Common { client_address, deadline_ms: Some(30_000), ..Common::default() };
        let mut out = BytesMut::new();
        user_proto::encode_with(1, &request, &common, &mut out).unwrap();
        let (sent, _) = frame::split(&out).unwrap().unwrap();
        let (decoded, common) = Request::decode(sent.kind, sent.body).unwrap();
        let peer = Peer { ip: [127, 0, 0, 1].into(), trusted: true };
        let handler = &self.nodes[call.node].core.handler;
        let reply = tokio::select! {
            biased;
            () = self.faults.cancelled.notified() => None,
            reply = handler.answer(
                decoded, &common, &peer, Instant::now(), CancellationToken::new(),
            ) => Some(reply),
        };
        let (effects, faulted) = self.faults.take();
        super::count_outcome(M::NAME, reply.as_ref());
        let outcome = match reply {
            Some(Reply::ErrorReply(error)) if faulted && error.code == ErrorCode::UNAVAILABLE => {
                None
            }
            Some(Reply::ErrorReply(error)) => Some(Err(error.code)),
            Some(reply) => {
                let mut out = BytesMut::new();
                reply.encode(1, &mut out).unwrap();
                let (received, _) = frame::split(&out).unwrap().unwrap();
                assert_eq!(received.kind, M::Reply::TYPE);
                Some(Ok(M::Reply::decode_owned(received.body).unwrap()))
            }
            None => None,
        };
        CallResult { outcome, effects, faulted }
    }

    /// Records that a notice must be sent to an address.
    pub fn expect_notice(&mut self, notice: Notice, address: usize) {
        let mailbox = ADDRESSES[address].mailbox.to_owned();
        self.notices.push(ExpectedNotice { notice, mailbox, email: None });
    }

    async fn deliver(
        &mut self,
        node: usize,
        results: &[DeliveryResult],
        fault: Option<PlannedFault>,
    ) {
        self.faults.plan(fault);
        self.mailer.plan(results);
        let stop = CancellationToken::new();
        let done = tokio::select! {
            biased;
            () = self.faults.cancelled.notified() => None,
            done = self.nodes[node].worker.step(&stop) => Some(done),
        };
        let (effects, faulted) = self.faults.take();
        assert!(faulted || matches!(done, Some(Ok(_))), "{done:?}");
        for effect in effects {
            if let Effect::EmailClaimed(email) = effect {
                self.check_claimed(email);
            }
        }
        let (sent, unsent) = self.mailer.take();
        for SentEmail { id, to, code } in sent {
            let email = &self.emails[&id];
            assert_eq!(email.recipient.mailbox, to);
            if let MailKind::Code { verification_id, purpose, generation, kid } = &email.kind {
                let right = self.otp.code(*verification_id, *purpose, *generation, kid);
                assert_eq!(code, right);
                self.inbox.push((*verification_id, right.unwrap()));
            }
            self.finished.push(id);
        }
        for (id, result) in unsent {
            // An email is not retried after a permanent error, or when it is a day old.
            let created = millis(self.emails[&id].created_at);
            if result == DeliveryResult::PermanentError || created + DAY <= self.now() {
                self.finished.push(id);
            }
        }
        if !faulted {
            self.check_queue();
        }
    }

    /// Ends the scenario without further faults, and asserts that every expected notice was sent.
    pub async fn end(&mut self) {
        for _ in 0..8 {
            self.clock.advance(Duration::from_secs(900));
            for node in 0..self.nodes.len() {
                self.deliver(node, &[DeliveryResult::Sent], None).await;
            }
            self.check().await;
        }
        for ExpectedNotice { notice, mailbox, email } in &self.notices {
            let finished = email.is_some_and(|email| self.finished.contains(&email));
            assert!(finished, "{notice:?} was not sent to {mailbox}");
        }
        for node in 0..self.nodes.len() {
            self.nodes[node] = self.node().await;
        }
        self.check().await;
        self.inspect().await;
        self.store.close().await;
    }
}

/// Returns the service that derives codes.
fn code_generator(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    keys: Arc<KeyRing>,
    config: &Config,
) -> Otp {
    let pseudonyms = Pseudonyms::new(keys.configured()).unwrap();
    let throttle = Throttle::new(store.clone(), clock.clone(), pseudonyms);
    Otp::new(store, Arc::new(throttle), clock, keys, config.code_life)
}
