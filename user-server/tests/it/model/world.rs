//! Two nodes on one database, with injected faults, and the checks after each step.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use user_proto::{
    Common, ErrorCode, Message, Reply, ReplyMessage, Request, RequestMessage, VerifyToken, frame,
};
use user_server::cache::LocalCache;
use user_server::config::Config;
use user_server::domain::{
    ClaimedMail, Clock, CodeGenerator, LoginKey, MailKind, Notice, Purpose, Retention,
    ShiftedClock, Store,
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
use super::expectations::refusals_of_token;
use super::faults::{
    DeliveryResult, Effect, FaultInjector, FaultyMailer, FaultyStore, PlannedFault, SentEmail,
};
use super::ledger::{DAY, HOUR, Ledger, TokenState, Verification, millis};
use super::scenario::Step;
use super::values::{ADDRESSES, NAMES, NETWORKS};
use crate::support::{PgProxy, config};

const SECRET: &str = "a secret of a scenario, 32 bytes";
/// Number of access tokens that are checked after each step.
const CHECKED_TOKENS: usize = 4;
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

    /// Runs the checks of `fsck` on the whole database.
    async fn inspect(&self) {
        let bounds = user_server::admin::bounds(self.config.code_life);
        for invariant in self.store.inspect(&bounds, self.clock.now()).await.unwrap() {
            assert_eq!(invariant.violations, 0, "{invariant}");
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

    /// Asserts that a claimed email has a cause, its row, and a budget.
    fn check_claimed(&mut self, email: ClaimedMail) {
        let new = !self.emails.contains_key(&email.id);
        match &email.kind {
            MailKind::Code { purpose, verification_id, generation, kid } => {
                self.check_code(&email, new, *verification_id, *purpose);
                let text = self.otp.code(*verification_id, *purpose, *generation, kid).unwrap();
                let now = self.now();
                self.ledger.record_code(*verification_id, *generation, text, now);
            }
            MailKind::Notice(Notice::AlreadyRegistered) if new => {
                self.check_already_registered(&email);
            }
            MailKind::Notice(notice) if new => {
                let mailbox = &email.recipient.mailbox;
                let mut expected = 0;
                // One notice covers all that were queued since the last one.
                for covered in self.notices.iter_mut().filter(|expected| {
                    expected.notice == *notice
                        && expected.mailbox == *mailbox
                        && expected.email.is_none()
                }) {
                    covered.email = Some(email.id);
                    expected += 1;
                }
                assert!(expected > 0, "{notice:?} to {mailbox} has no cause");
            }
            MailKind::Notice(_) => {}
        }
        self.emails.insert(email.id, email);
    }

    fn check_code(&mut self, email: &ClaimedMail, new: bool, id: Uuid, purpose: Purpose) {
        let found = self.ledger.verification(id).expect("the row of an email");
        let address = found.address;
        assert_eq!(found.purpose, purpose);
        let to = match found.user.filter(|_| purpose == Purpose::PasswordReset) {
            Some(user) => self.ledger.accounts[&user].address,
            None => address,
        };
        assert_eq!(email.recipient.mailbox, ADDRESSES[to].mailbox);
        if new {
            let now = self.now();
            self.email_budgets.spend(address, purpose, now);
        }
    }

    fn check_already_registered(&mut self, email: &ClaimedMail) {
        let mailbox = &email.recipient.mailbox;
        let address = ADDRESSES.iter().find(|address| address.mailbox == mailbox).unwrap();
        let entered =
            |v: &Verification| ADDRESSES[v.address].key == address.key && (v.dead || v.was_known);
        assert!(self.ledger.verifications.iter().any(entered), "nobody entered {mailbox}");
        let now = self.now();
        let last = self.already_registered.insert(address.key.to_owned(), now);
        assert!(last.is_none_or(|last| last + HOUR <= now), "two notices within an hour");
    }

    /// Asserts that a verification without competitors for its mail slot has been issued a code.
    fn check_queue(&self) {
        let now = self.now();
        let budget = |address: usize| ADDRESSES[address].budget;
        for v in &self.ledger.verifications {
            let competitors = self
                .ledger
                .verifications
                .iter()
                .filter(|o| o.purpose == v.purpose && budget(o.address) == budget(v.address));
            let waits = v.open
                && !v.dead
                && !v.voided
                && !v.was_known
                && v.issued.is_none()
                && v.created > now - DAY
                && v.resends == 0
                && v.guesses < 5;
            assert!(!(waits && competitors.count() == 1), "no email was created for {v:?}");
        }
    }

    /// Compares the stored rows, and the tokens on every node, with the model.
    async fn check(&mut self) {
        let now = self.clock.now();
        for node in &self.nodes {
            node.core.revocation_reader(&self.store).load(now).await.unwrap();
        }
        for node in 0..self.nodes.len() {
            self.check_tokens(node).await;
        }
        self.check_users().await;
        for (id, session) in &self.ledger.sessions {
            let found = self.store.session(*id).await.unwrap().map(|found| found.user_id);
            assert_eq!(
                found,
                (!session.ended).then_some(session.user),
                "session {id}: {session:?}"
            );
        }
    }

    async fn check_users(&self) {
        let mut found = Vec::new();
        for (index, (_, key)) in NAMES.iter().enumerate() {
            let user = self.store.user_by_login(LoginKey::Username(key)).await.unwrap();
            let expected = self.ledger.account_by_name(index).map(|(id, _)| id);
            assert_eq!(user.as_ref().map(|user| user.id), expected, "{key}");
            found.extend(user);
        }
        for (index, address) in ADDRESSES.iter().enumerate() {
            let user = self.store.user_by_login(LoginKey::Email(address.key)).await.unwrap();
            let expected = self.ledger.account_by_address(index).map(|(id, _)| id);
            assert_eq!(user.as_ref().map(|user| user.id), expected, "{}", address.key);
        }
        for user in found {
            let expected = &self.ledger.accounts[&user.id];
            assert_eq!(user.username, NAMES[expected.name].0);
            assert_eq!(user.email, ADDRESSES[expected.address].typed);
            assert_eq!(user.credentials, expected.credentials, "changes of the password");
        }
    }

    /// Verifies the last access tokens on a node.
    async fn check_tokens(&mut self, node: usize) {
        let last = self.ledger.access_tokens.iter().rev().take(CHECKED_TOKENS);
        let tokens: Vec<_> = last.cloned().collect();
        for token in tokens {
            let state = self.ledger.token_state(&token, self.now());
            let call = CallContext { node, network: None, fault: None };
            let request = VerifyToken { access_token: token.text.as_str().into() };
            let result = self.call(call, request).await;
            let reply = result.expect(state == TokenState::Valid, refusals_of_token(state));
            if let Some(verified) = reply {
                assert_eq!((verified.user_id, verified.session_id), (token.user, token.session));
            }
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
