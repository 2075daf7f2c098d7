//! Simulated users, who create accounts while servers stop and fail, and the checks afterwards:
//! every change that was answered is stored.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use user_proto::client::{Client, Error};
use user_proto::{Common, ErrorCode, GetUser, Logout, RefreshToken, UpdateUser, VerifyToken};
use user_server::domain::AuditKind;
use uuid::Uuid;

use super::{
    CallStats, EmailFolder, PASSWORD, Site, TEST_TIMEOUT, login, long_deadline, outcome, register,
    together, update, verify_email,
};

/// Requests that a simulated user makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journey {
    /// A registration without its confirmation.
    Registration,
    /// A registration, its confirmation, and uses of the account.
    Full,
}

/// Knowledge of the client about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Change<T> {
    #[default]
    NotRequested,
    /// Requested, without an answer that settles it.
    Unknown,
    Confirmed(T),
}

impl Change<()> {
    /// Returns the possible number of its audit events.
    fn audit_events(self) -> RangeInclusive<usize> {
        match self {
            Self::NotRequested => 0..=0,
            Self::Unknown => 0..=1,
            Self::Confirmed(()) => 1..=1,
        }
    }
}

/// An account as its owner knows it.
#[derive(Debug, Clone)]
pub struct SimulatedUser {
    name: String,
    verification_id: Uuid,
    user_id: Change<Uuid>,
    renamed: Change<()>,
    refreshed: Change<()>,
    logged_in: Change<()>,
    logged_out: Change<()>,
    access_token: String,
    refresh_token: String,
    seed: u32,
}

/// The codes in a folder of emails, shared by many users: each file is read once.
pub struct Inbox {
    emails: EmailFolder,
    state: Mutex<InboxState>,
}

struct InboxState {
    seen: HashSet<PathBuf>,
    codes: HashMap<String, String>,
    read_at: Option<Instant>,
}

/// Minimum time between two reads of the folder.
const READ_INTERVAL: Duration = Duration::from_millis(20);

impl Inbox {
    pub fn new(emails: &EmailFolder) -> Arc<Self> {
        let state = InboxState { seen: HashSet::new(), codes: HashMap::new(), read_at: None };
        Arc::new(Self { emails: EmailFolder(emails.0.clone()), state: Mutex::new(state) })
    }

    /// Returns the first code for this address, once it has arrived.
    pub fn code(&self, address: &str) -> Option<String> {
        let mut state = self.state.lock().unwrap();
        let due = state.read_at.is_none_or(|at| at.elapsed() > READ_INTERVAL);
        if !state.codes.contains_key(address) && due {
            let new = self.emails.unseen(&mut state.seen);
            let codes = new.into_iter().filter_map(|email| Some((email.to.clone(), email.code()?)));
            state.codes.extend(codes);
            state.read_at = Some(Instant::now());
        }
        state.codes.get(address).cloned()
    }

    /// Waits for the first code for this address. Returns `None` after the timeout.
    pub async fn wait(&self, address: &str, timeout: Duration) -> Option<String> {
        let began = Instant::now();
        loop {
            let code = self.code(address);
            if code.is_some() || began.elapsed() > timeout {
                return code;
            }
            tokio::time::sleep(READ_INTERVAL).await;
        }
    }
}

/// Load of simulated users. Clones share its state.
#[derive(Clone)]
pub struct Workload {
    pub inbox: Arc<Inbox>,
    pub stats: Arc<CallStats>,
    /// Number of users that have not registered yet.
    remaining: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
    /// Deadline of the requests; the protocol's default if `None`.
    deadline: Option<Duration>,
}

impl Workload {
    pub fn new(inbox: Arc<Inbox>, users: usize) -> Self {
        Self {
            inbox,
            stats: Arc::default(),
            remaining: Arc::new(AtomicUsize::new(users)),
            stopped: Arc::default(),
            deadline: Some(TEST_TIMEOUT / 2),
        }
    }

    /// Sends requests with the protocol's default deadline.
    pub fn with_default_deadline(mut self) -> Self {
        self.deadline = None;
        self
    }

    /// Returns the workload in the running state, after it was stopped.
    pub fn restarted(&self) -> Self {
        Self { stopped: Arc::default(), ..self.clone() }
    }

    /// Starts no more users.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Returns the number of users that have not begun to register.
    pub fn remaining(&self) -> usize {
        self.remaining.load(Ordering::SeqCst)
    }

    fn common(&self, user: &SimulatedUser) -> Common<'static> {
        let deadline_ms = self.deadline.map(|deadline| deadline.as_millis() as u32);
        Common { deadline_ms, ..user.common() }
    }

    /// Takes one of the remaining users. Returns `false` if none is left, or after a stop.
    fn take_next(&self) -> bool {
        !self.stopped.load(Ordering::SeqCst)
            && self
                .remaining
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok()
    }

    /// Adds a user again, after a registration without an answer.
    fn put_back(&self) {
        self.remaining.fetch_add(1, Ordering::SeqCst);
    }

    /// Starts a task for each client, which simulates one user after another. The tasks end after
    /// [`Workload::stop`], or with the last user.
    pub fn spawn(
        &self,
        clients: Vec<Client>,
        journey: fn(usize) -> Journey,
    ) -> JoinSet<Vec<SimulatedUser>> {
        let mut tasks = JoinSet::new();
        for client in clients {
            let workload = self.clone();
            tasks.spawn(async move {
                let (mut users, prefix) = (Vec::new(), Uuid::new_v4().simple().to_string());
                for number in 0.. {
                    if !workload.take_next() {
                        break;
                    }
                    let name = format!("a{}-{number}", &prefix[..12]);
                    match workload.simulate(&client, name, journey(number)).await {
                        Some(user) => users.push(user),
                        None => workload.put_back(),
                    }
                }
                users
            });
        }
        tasks
    }

    /// Simulates a user until a request fails. Returns `None` if the registration failed.
    async fn simulate(
        &self,
        client: &Client,
        name: String,
        journey: Journey,
    ) -> Option<SimulatedUser> {
        let mut user = SimulatedUser {
            seed: RandomState::new().hash_one(&name) as u32,
            name,
            verification_id: Uuid::nil(),
            user_id: Change::NotRequested,
            renamed: Change::NotRequested,
            refreshed: Change::NotRequested,
            logged_in: Change::NotRequested,
            logged_out: Change::NotRequested,
            access_token: String::new(),
            refresh_token: String::new(),
        };
        let address = user.address();
        let request = register(&user.name, &address);
        let Ok(registered) = self.stats.call(client, request, self.common(&user)).await else {
            // Clients retry after a short pause.
            tokio::time::sleep(Duration::from_millis(50)).await;
            return None;
        };
        user.verification_id = registered.verification_id;
        if journey == Journey::Full {
            self.confirm(client, &mut user).await;
        }
        Some(user)
    }

    async fn confirm(&self, client: &Client, user: &mut SimulatedUser) {
        // An email may be late if its worker was killed; the account is then confirmed by the
        // verification.
        let Some(code) = self.inbox.wait(&user.address(), Duration::from_secs(2)).await else {
            return;
        };
        user.user_id = Change::Unknown;
        let request = verify_email(user.verification_id, &code);
        let Ok(session) = self.stats.call(client, request, self.common(user)).await else {
            return;
        };
        user.user_id = Change::Confirmed(session.user_id);
        user.access_token = session.access_token.expose_str().unwrap().to_owned();
        user.refresh_token = session.refresh_token.expose_str().unwrap().to_owned();
        let _ = self.use_account(client, user).await;
    }

    async fn use_account(&self, client: &Client, user: &mut SimulatedUser) -> Result<(), Error> {
        let stats = &self.stats;
        let access_token = user.access_token.clone();
        let access = access_token.as_str();
        for _ in 0..4 {
            let request = VerifyToken { access_token: access.into() };
            stats.call(client, request, self.common(user)).await?;
        }
        let request = GetUser { access_token: access.into() };
        stats.call(client, request, self.common(user)).await?;
        user.renamed = Change::Unknown;
        let request = UpdateUser { username: Some(user.new_name().into()), ..update(access) };
        stats.call(client, request, self.common(user)).await?;
        user.renamed = Change::Confirmed(());
        user.refreshed = Change::Unknown;
        let refresh_token = user.refresh_token.clone();
        let request = RefreshToken { refresh_token: refresh_token.as_str().into() };
        let refreshed = stats.call(client, request, self.common(user)).await?;
        user.refreshed = Change::Confirmed(());
        user.refresh_token = refreshed.refresh_token.expose_str().unwrap().to_owned();
        user.logged_in = Change::Unknown;
        let address = user.address();
        let request = login(&address, PASSWORD);
        let session = stats.call(client, request, self.common(user)).await?;
        user.logged_in = Change::Confirmed(());
        if user.verification_id.as_u128().is_multiple_of(2) {
            // Ends the first session, possibly on another node than the one that refreshed it.
            user.logged_out = Change::Unknown;
            let request = Logout { token: access.into(), all_sessions: None };
            stats.call(client, request, self.common(user)).await?;
            user.logged_out = Change::Confirmed(());
        }
        let request = GetUser { access_token: session.access_token.clone() };
        stats.call(client, request, self.common(user)).await?;
        Ok(())
    }
}

impl SimulatedUser {
    pub fn address(&self) -> String {
        format!("{}@example.org", self.name)
    }

    /// Returns the common tags of a gateway that serves this user. The address is unique.
    fn common(&self) -> Common<'static> {
        let [_, b, c, d] = self.seed.to_be_bytes();
        let ip = std::net::Ipv4Addr::new(10, b, c, d);
        Common { client_address: Some(std::net::IpAddr::from(ip).into()), ..long_deadline() }
    }

    /// Returns the expected audit events: the kind, the id of the user or the verification, and the
    /// possible number of events.
    pub fn audit_events(&self) -> Vec<(AuditKind, Uuid, RangeInclusive<usize>)> {
        let mut events = vec![(AuditKind::Registered, self.verification_id, 1..=1)];
        if let Change::Confirmed(user_id) = self.user_id {
            let changes = [
                (AuditKind::Updated, self.renamed),
                (AuditKind::Refreshed, self.refreshed),
                (AuditKind::LoggedIn, self.logged_in),
                (AuditKind::LoggedOut, self.logged_out),
            ];
            events.push((AuditKind::Verified, user_id, 1..=1));
            events.extend(changes.map(|(kind, change)| (kind, user_id, change.audit_events())));
        }
        events
    }

    fn new_name(&self) -> String {
        format!("{}-b", self.name)
    }

    /// Compares the account with the answers that its owner got, and returns the differences.
    /// Confirms the account if its owner did not.
    async fn verify(self, single_node: bool, client: Client, inbox: Arc<Inbox>) -> Vec<String> {
        let mut differences = Vec::new();
        let mut expect = |is_so: bool, observed: String| {
            if !is_so {
                differences.push(format!("{observed}: {self:?}"));
            }
        };
        let Some(code) = inbox.wait(&self.address(), Duration::from_secs(20)).await else {
            expect(false, "no email arrived".to_owned());
            return differences;
        };
        let verified = outcome(client.call(verify_email(self.verification_id, &code)).await)
            .map(|session| session.user_id);
        expect(
            match self.user_id {
                Change::Confirmed(_) => verified == Err(ErrorCode::CODE_EXPIRED),
                Change::NotRequested => verified.is_ok(),
                Change::Unknown => verified.is_ok() || verified == Err(ErrorCode::CODE_EXPIRED),
            },
            format!("the code gave {verified:?}"),
        );
        let address = self.address();
        let request = login(&address, PASSWORD);
        let session = match outcome(client.call_with(request, self.common()).await) {
            Ok(session) => session,
            Err(code) => {
                expect(false, format!("the login gave {code}"));
                return differences;
            }
        };
        let user_id = match self.user_id {
            Change::Confirmed(user_id) => Some(user_id),
            _ => verified.ok(),
        };
        expect(user_id.is_none_or(|id| id == session.user_id), "another user id".to_owned());
        let found = outcome(client.call(GetUser { access_token: session.access_token }).await)
            .map(|user| user.username);
        let (old, new) = (Ok(self.name.clone().into()), Ok(self.new_name().into()));
        expect(
            match self.renamed {
                Change::NotRequested => found == old,
                Change::Unknown => found == old || found == new,
                Change::Confirmed(()) => found == new,
            },
            format!("the name is {found:?}"),
        );
        if self.refresh_token.is_empty() || self.logged_out == Change::Unknown {
            return differences;
        }
        let ended = self.logged_out == Change::Confirmed(());
        let request = VerifyToken { access_token: self.access_token.as_str().into() };
        let checked = outcome(client.call(request).await).err();
        // With several nodes, this node may not have read the revocation yet.
        let expected = ended.then_some(ErrorCode::SESSION_REVOKED);
        expect(checked == expected || !single_node, format!("the access token gave {checked:?}"));
        if self.refreshed != Change::Unknown {
            let request = RefreshToken { refresh_token: self.refresh_token.as_str().into() };
            let refreshed = outcome(client.call(request).await).err();
            expect(refreshed == expected, format!("the refresh token gave {refreshed:?}"));
        }
        differences
    }
}

/// Asserts that every account matches the answers that its owner got, and that every registration
/// got its email. Returns the number of users.
pub async fn verify_users(site: &Site, inbox: &Arc<Inbox>, users: Vec<SimulatedUser>) -> usize {
    let (count, clients) = (users.len(), site.clients());
    let mut differences: Vec<String> = Vec::new();
    let mut users = users.into_iter();
    loop {
        // At most as many at once as these connections may hash.
        let batch: Vec<SimulatedUser> = users.by_ref().take(64).collect();
        if batch.is_empty() {
            break;
        }
        let checks = batch.into_iter().enumerate().map(|(number, user)| {
            user.verify(site.single_node, clients[number % clients.len()].clone(), inbox.clone())
        });
        differences.extend(together(checks).await.into_iter().flatten());
    }
    assert_eq!(differences, Vec::<String>::new());
    count
}
