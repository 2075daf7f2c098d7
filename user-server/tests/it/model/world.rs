//! Two nodes on one database, with faults between, and what is looked at after each step.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
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
    ClaimedMail, Clock, CodeGenerator, LoginKey, MailKind, Notice, Retention, ShiftedClock, Store,
};
use user_server::handler::Peer;
use user_server::keys::KeyRing;
use user_server::metrics::Metrics;
use user_server::otp::Otp;
use user_server::outbox::{MailWakeup, Worker};
use user_server::password::{HashCost, HashPoolSize};
use user_server::service::{CachePorts, ServiceCore};
use user_server::tcp;
use uuid::Uuid;

use super::budgets::{Attempts, Budgets};
use super::faults::{Effect, Fate, Faults, FaultyStore, Post, Sent, Wrong};
use super::ledger::{DAY, HOUR, Ledger, Worth, millis};
use super::story::{ADDRESSES, NAMES, NETWORKS, Step};
use crate::support::config;

const SECRET: &str = "a secret of a story, 32 bytes long";
/// Tokens that are looked at after each step.
const WATCHED: usize = 4;
/// Steps between two looks at all that is stored.
const INSPECT_EVERY: usize = 10;

/// A node, without sockets.
struct Node {
    parts: ServiceCore,
    worker: Worker,
}

/// Where, and for whom, something is asked, and what goes wrong.
#[derive(Debug, Clone, Copy)]
pub struct At {
    pub node: usize,
    pub network: Option<usize>,
    pub wrong: Option<(u8, Wrong)>,
}

/// What came of a request.
pub struct Answered<R> {
    /// The reply, or the refusal; none where the outcome is unknown to who asked.
    pub answer: Option<Result<R, ErrorCode>>,
    /// What was truly done.
    pub events: Vec<Effect>,
    /// Whether something went wrong.
    pub wrong: bool,
}

impl<R> Answered<R> {
    /// The reply. A refusal has to be one of those that may come, and a reply one that may.
    pub fn expect(self, may: bool, refusals: &[ErrorCode]) -> Option<R> {
        match self.answer {
            Some(Ok(reply)) => {
                assert!(may, "it was done, and should have been refused with one of {refusals:?}");
                Some(reply)
            }
            Some(Err(code)) => {
                assert!(
                    refusals.contains(&code),
                    "refused with {code:?}, not one of {refusals:?}; done otherwise: {may}"
                );
                None
            }
            None => None,
        }
    }
}

pub struct World {
    pub ledger: Ledger,
    pub attempts: Attempts,
    /// Codes as people got them: what they verify, and their text.
    pub inbox: Vec<(Uuid, String)>,
    /// Notices that somebody is owed: what of, the mailbox, and the mail that was made for it.
    notices: Vec<(Notice, String, Option<Uuid>)>,
    told: BTreeMap<String, i64>,
    mails: BTreeMap<Uuid, ClaimedMail>,
    arrived: Vec<Uuid>,
    budgets: Budgets,
    clock: Arc<ShiftedClock>,
    faults: Arc<Faults>,
    post: Arc<Post>,
    otp: Otp,
    config: Config,
    keys: Arc<KeyRing>,
    real: Arc<dyn Store>,
    cache: CachePorts,
    nodes: Vec<Node>,
    steps: usize,
}

impl World {
    pub async fn new(real: Arc<dyn Store>, folder: &std::path::Path) -> Self {
        let mut config = config(folder, &[("JWTSECRETKEY", SECRET)]);
        // Only who reads the environment holds it to the floor; a story hashes often, and its
        // secrets are none.
        config.hash_cost = HashCost { memory_kib: 8, passes: 1, parallelism: 1 };
        config.hash_pool = HashPoolSize { permits: 1, queue: 16 };
        let clock = Arc::new(ShiftedClock::default());
        clock.hold();
        let keys = Arc::new(config.keys().unwrap());
        // One for both nodes, as Redis is.
        let records = LocalCache::new(100, config.tokens.access_life, Arc::default());
        let cache = CachePorts::single_node(Arc::new(records));
        let mut world = Self {
            ledger: Ledger::default(),
            attempts: Attempts::default(),
            inbox: Vec::new(),
            notices: Vec::new(),
            told: BTreeMap::new(),
            mails: BTreeMap::new(),
            arrived: Vec::new(),
            budgets: Budgets::default(),
            faults: Arc::default(),
            post: Arc::default(),
            otp: Otp::new(real.clone(), clock.clone(), keys.clone(), config.code_life),
            clock,
            config,
            keys,
            real,
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
            Arc::new(FaultyStore { real: self.real.clone(), faults: self.faults.clone() });
        let clock: Arc<dyn Clock> = self.clock.clone();
        let metrics = Arc::new(Metrics::new(tcp::names(), clock.now()));
        let parts =
            ServiceCore::assemble(&self.config, &clock, &self.keys, &store, &self.cache, &metrics)
                .unwrap();
        let codes =
            Otp::new(store.clone(), clock.clone(), self.keys.clone(), self.config.code_life);
        let worker = Worker {
            outbox: store.clone(),
            mailer: self.post.clone(),
            codes: Arc::new(codes),
            clock: clock.clone(),
            wakeup: MailWakeup::default(),
            metrics: metrics.mails.clone(),
        };
        let node = Node { parts, worker };
        node.parts.revocations.load(&*self.real, clock.now()).await.unwrap();
        node
    }

    pub fn now(&self) -> i64 {
        millis(self.clock.now())
    }

    /// Takes a step, and looks at everything after it.
    pub async fn step(&mut self, step: &Step) {
        match step {
            Step::Ask { node, network, ask, wrong } => {
                self.ask(At { node: *node, network: *network, wrong: *wrong }, *ask).await;
                if wrong.is_none() {
                    // What a node itself has ended, it knows at once.
                    self.check_tokens(*node).await;
                }
            }
            Step::Deliver { node, fates, wrong } => self.deliver(*node, fates, *wrong).await,
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

    /// Looks at all that is stored, as an operator does.
    async fn inspect(&self) {
        let bounds = user_server::admin::bounds(self.config.code_life);
        for invariant in self.real.inspect(&bounds, self.clock.now()).await.unwrap() {
            assert_eq!(invariant.violations, 0, "{invariant}");
        }
    }

    async fn sweep(&mut self) {
        let day = Duration::from_secs(24 * 3600);
        let retention = Retention {
            verifications: day,
            mails: day + self.config.code_life,
            revocations: self.config.tokens.access_life * 2 + Duration::from_secs(3600),
            session_idle: self.config.tokens.session_idle,
            session_life: self.config.tokens.session_life,
        };
        self.real.sweep(&retention, self.clock.now()).await.unwrap();
        self.ledger.sweep(self.now());
    }

    /// Asks a node as its connections do, by the bytes of a frame.
    pub async fn call<M: RequestMessage>(&mut self, at: At, request: M) -> Answered<M::Reply> {
        self.faults.plan(at.wrong);
        let client_address =
            at.network.map(|network| NETWORKS[network].parse::<IpAddr>().unwrap().into());
        let common = Common { client_address, deadline_ms: Some(30_000), ..Common::default() };
        let mut out = BytesMut::new();
        user_proto::encode_with(1, &request, &common, &mut out).unwrap();
        let (asked, _) = frame::split(&out).unwrap().unwrap();
        let (asked, common) = Request::decode(asked.kind, asked.body).unwrap();
        let peer = Peer { ip: [127, 0, 0, 1].into(), trusted: true };
        let handler = &self.nodes[at.node].parts.handler;
        let reply = tokio::select! {
            biased;
            () = self.faults.cut.notified() => None,
            reply = handler.answer(asked, &common, &peer, Instant::now(), CancellationToken::new()) => Some(reply),
        };
        let (events, wrong) = self.faults.take();
        super::tally(std::any::type_name::<M>(), reply.as_ref());
        let answer = match reply {
            Some(Reply::ErrorReply(error)) if wrong && error.code == ErrorCode::UNAVAILABLE => None,
            Some(Reply::ErrorReply(error)) => Some(Err(error.code)),
            Some(reply) => {
                let mut out = BytesMut::new();
                reply.encode(1, &mut out).unwrap();
                let (answered, _) = frame::split(&out).unwrap().unwrap();
                assert_eq!(answered.kind, M::Reply::TYPE);
                Some(Ok(M::Reply::decode_owned(answered.body).unwrap()))
            }
            None => None,
        };
        Answered { answer, events, wrong }
    }

    /// Somebody is owed a notice.
    pub fn owe(&mut self, notice: Notice, address: usize) {
        self.notices.push((notice, ADDRESSES[address].mailbox.to_owned(), None));
    }

    async fn deliver(&mut self, node: usize, fates: &[Fate], wrong: Option<(u8, Wrong)>) {
        self.faults.plan(wrong);
        self.post.plan(fates);
        let stop = CancellationToken::new();
        let done = tokio::select! {
            biased;
            () = self.faults.cut.notified() => None,
            done = self.nodes[node].worker.step(&stop) => Some(done),
        };
        let (events, wrong) = self.faults.take();
        assert!(wrong || matches!(done, Some(Ok(_))), "{done:?}");
        for event in events {
            if let Effect::Claimed(mail) = event {
                self.claimed(mail);
            }
        }
        let (sent, unsent) = self.post.take();
        for Sent { id, to, code } in sent {
            let mail = &self.mails[&id];
            assert_eq!(mail.recipient.mailbox, to);
            if let MailKind::Code { verification_id, purpose, generation, kid } = &mail.kind {
                let right = self.otp.code(*verification_id, *purpose, *generation, kid);
                assert_eq!(code, right);
                self.inbox.push((*verification_id, right.unwrap()));
            }
            self.arrived.push(id);
        }
        for (id, fate) in unsent {
            // Who refuses a mail for good has had it, and after a day no more is tried.
            if fate == Fate::Never || millis(self.mails[&id].created_at) + DAY <= self.now() {
                self.arrived.push(id);
            }
        }
        if !wrong {
            self.check_queue();
        }
    }

    /// Looks at a mail that a worker has taken: it has a reason, its row, and a budget.
    fn claimed(&mut self, mail: ClaimedMail) {
        let now = self.now();
        let new = !self.mails.contains_key(&mail.id);
        match &mail.kind {
            MailKind::Code { purpose, verification_id, generation, kid } => {
                let found = self.ledger.verification(*verification_id).expect("a mail has its row");
                let (address, user) = (found.address, found.user);
                assert_eq!(found.purpose, *purpose);
                let to = match user
                    .filter(|_| *purpose == user_server::domain::Purpose::PasswordReset)
                {
                    Some(user) => self.ledger.users[&user].address,
                    None => address,
                };
                assert_eq!(mail.recipient.mailbox, ADDRESSES[to].mailbox);
                if new {
                    self.budgets.spend(address, *purpose, now);
                }
                let text = self.otp.code(*verification_id, *purpose, *generation, kid).unwrap();
                self.ledger.issue(*verification_id, *generation, text, now);
            }
            MailKind::Notice(Notice::AlreadyRegistered) if new => {
                let address = ADDRESSES
                    .iter()
                    .find(|address| address.mailbox == mail.recipient.mailbox)
                    .unwrap();
                let asked = |v: &&super::ledger::Verification| {
                    ADDRESSES[v.address].key == address.key && (v.dead || v.was_known)
                };
                assert!(
                    self.ledger.verifications.iter().any(|v| asked(&v)),
                    "nobody typed {}",
                    mail.recipient.mailbox
                );
                let last = self.told.insert(address.budget.to_owned(), millis(mail.created_at));
                assert!(
                    last.is_none_or(|last| last + HOUR <= millis(mail.created_at)),
                    "told twice within an hour"
                );
            }
            MailKind::Notice(notice) if new => {
                let owed = self.notices.iter_mut().find(|(what, to, made)| {
                    what == notice && *to == mail.recipient.mailbox && made.is_none()
                });
                owed.unwrap_or_else(|| {
                    panic!("{notice:?} to {} has no reason", mail.recipient.mailbox)
                })
                .2 = Some(mail.id);
            }
            MailKind::Notice(_) => {}
        }
        self.mails.insert(mail.id, mail);
    }

    /// A mail that nothing stands before was taken when mails were sent.
    fn check_queue(&self) {
        let now = self.now();
        let of = |address: usize| ADDRESSES[address].budget;
        for v in &self.ledger.verifications {
            let alone = self
                .ledger
                .verifications
                .iter()
                .filter(|o| o.purpose == v.purpose && of(o.address) == of(v.address));
            let waits =
                v.open && !v.dead && !v.was_known && v.issued.is_none() && v.created > now - DAY;
            assert!(!(waits && alone.count() == 1), "no mail was made for {v:?}");
        }
    }

    /// Looks at what is stored, and at tokens on every node.
    async fn check(&mut self) {
        let now = self.clock.now();
        for node in &self.nodes {
            node.parts.revocations.load(&*self.real, now).await.unwrap();
        }
        for node in 0..self.nodes.len() {
            self.check_tokens(node).await;
        }
        self.check_users().await;
        for (id, session) in &self.ledger.sessions {
            let found = self.real.session(*id).await.unwrap().map(|found| found.user_id);
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
            let user = self.real.user_by_login(LoginKey::Username(key)).await.unwrap();
            assert_eq!(
                user.as_ref().map(|user| user.id),
                self.ledger.by_name(index).map(|(id, _)| id),
                "{key}"
            );
            found.extend(user);
        }
        for (index, address) in ADDRESSES.iter().enumerate() {
            let user = self.real.user_by_login(LoginKey::Email(address.key)).await.unwrap();
            let expected = self.ledger.by_address(index).map(|(id, _)| id);
            assert_eq!(user.as_ref().map(|user| user.id), expected, "{}", address.key);
        }
        for user in found {
            let expected = &self.ledger.users[&user.id];
            assert_eq!(user.username, NAMES[expected.name].0);
            assert_eq!(user.email, ADDRESSES[expected.address].shown);
            assert_eq!(user.credentials, expected.credentials, "changes of the password");
        }
    }

    /// Looks at what a node says of the last tokens.
    async fn check_tokens(&mut self, node: usize) {
        let watched: Vec<_> = self.ledger.access.iter().rev().take(WATCHED).cloned().collect();
        for token in watched {
            let worth = self.ledger.worth(&token, self.now());
            let at = At { node, network: None, wrong: None };
            let answered =
                self.call(at, VerifyToken { access_token: token.text.as_str().into() }).await;
            if let Some(verified) = answered.expect(worth == Worth::Good, worth_refusals(worth)) {
                assert_eq!((verified.user_id, verified.session_id), (token.user, token.session));
            }
        }
    }

    /// The end of a story: nothing goes wrong any more, and what was promised has come.
    pub async fn end(&mut self) {
        for _ in 0..8 {
            self.clock.advance(Duration::from_secs(900));
            for node in 0..self.nodes.len() {
                self.deliver(node, &[Fate::Sent], None).await;
            }
            self.check().await;
        }
        for (notice, to, mail) in &self.notices {
            let came = mail.is_some_and(|mail| self.arrived.contains(&mail));
            assert!(came, "{to} was not told of {notice:?}");
        }
        for node in 0..self.nodes.len() {
            self.nodes[node] = self.node().await;
        }
        self.check().await;
        self.inspect().await;
        self.real.close().await;
    }
}

/// What a token of this worth is refused with.
pub fn worth_refusals(worth: Worth) -> &'static [ErrorCode] {
    match worth {
        Worth::Good => &[],
        Worth::Expired => &[ErrorCode::TOKEN_EXPIRED],
        Worth::Ended => &[ErrorCode::SESSION_REVOKED],
    }
}
