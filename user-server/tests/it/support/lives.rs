//! Accounts that live under load, and what has to be true of them when it is over: whatever was
//! answered.

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
    Mails, PASSWORD, PATIENCE, Site, Tally, login, outcome, patient, register, together, update,
    verify_email,
};

/// How far a life goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A registration that nobody confirms yet.
    Registered,
    /// An account that is renamed, refreshed, and logged out or not.
    Whole,
}

/// What is known of a step that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Step<T> {
    #[default]
    NotTaken,
    /// It was asked for, and there was no answer, or one that leaves it open.
    Unknown,
    Done(T),
}

impl Step<()> {
    /// How many rows of the audit there may be of it.
    fn rows(self) -> RangeInclusive<usize> {
        match self {
            Self::NotTaken => 0..=0,
            Self::Unknown => 0..=1,
            Self::Done(()) => 1..=1,
        }
    }
}

/// An account as its owner knows it.
#[derive(Debug, Clone)]
pub struct Life {
    name: String,
    id: Uuid,
    user: Step<Uuid>,
    renamed: Step<()>,
    refreshed: Step<()>,
    entered: Step<()>,
    left: Step<()>,
    access: String,
    refresh: String,
    seed: u32,
}

/// The codes of a folder that many look into: each mail is read once.
pub struct Inbox {
    mails: Mails,
    known: Mutex<Known>,
}

struct Known {
    seen: HashSet<PathBuf>,
    codes: HashMap<String, String>,
    looked: Option<Instant>,
}

/// Between two looks into the folder.
const LOOK: Duration = Duration::from_millis(20);

impl Inbox {
    pub fn new(mails: &Mails) -> Arc<Self> {
        let known = Known { seen: HashSet::new(), codes: HashMap::new(), looked: None };
        Arc::new(Self { mails: Mails(mails.0.clone()), known: Mutex::new(known) })
    }

    /// The first code for this address, where it has come.
    pub fn code(&self, address: &str) -> Option<String> {
        let mut known = self.known.lock().unwrap();
        let due = known.looked.is_none_or(|at| at.elapsed() > LOOK);
        if !known.codes.contains_key(address) && due {
            let new = self.mails.unseen(&mut known.seen);
            known
                .codes
                .extend(new.into_iter().filter_map(|mail| Some((mail.to.clone(), mail.code()?))));
            known.looked = Some(Instant::now());
        }
        known.codes.get(address).cloned()
    }

    /// The same, waited for.
    pub async fn wait(&self, address: &str, patience: Duration) -> Option<String> {
        let began = Instant::now();
        loop {
            let code = self.code(address);
            if code.is_some() || began.elapsed() > patience {
                return code;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What a life needs around it. Cloned, it is the same.
#[derive(Clone)]
pub struct World {
    pub inbox: Arc<Inbox>,
    pub tally: Arc<Tally>,
    /// Lives that are still to begin.
    left: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    /// How long a caller waits; the protocol's default where it is none.
    patience: Option<Duration>,
}

impl World {
    pub fn new(inbox: Arc<Inbox>, lives: usize) -> Self {
        Self {
            inbox,
            tally: Arc::default(),
            left: Arc::new(AtomicUsize::new(lives)),
            ended: Arc::default(),
            patience: Some(PATIENCE / 2),
        }
    }

    /// A world of callers who wait for as long as the protocol says where they say nothing.
    pub fn of_usual_patience(mut self) -> Self {
        self.patience = None;
        self
    }

    /// The same world, begun once more after its end.
    pub fn again(&self) -> Self {
        Self { ended: Arc::default(), ..self.clone() }
    }

    /// Begins no more lives.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// How many registrations are still to be answered, those on their way aside.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }

    fn common(&self, life: &Life) -> Common<'static> {
        let deadline_ms = self.patience.map(|patience| patience.as_millis() as u32);
        Common { deadline_ms, ..life.owner() }
    }

    /// Takes a life from those that are to begin.
    fn next(&self) -> bool {
        !self.ended.load(Ordering::SeqCst)
            && self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok()
    }

    /// Puts one back, whose registration was not answered.
    fn give_back(&self) {
        self.left.fetch_add(1, Ordering::SeqCst);
    }

    /// Lets clients live one life after the other, each client on its own; to be joined when the
    /// world is over.
    pub fn inhabit(&self, clients: Vec<Client>, reach: fn(usize) -> Reach) -> JoinSet<Vec<Life>> {
        let mut running = JoinSet::new();
        for client in clients {
            let world = self.clone();
            running.spawn(async move {
                let (mut lives, prefix) = (Vec::new(), Uuid::new_v4().simple().to_string());
                for number in 0.. {
                    if !world.next() {
                        break;
                    }
                    let name = format!("a{}-{number}", &prefix[..12]);
                    match world.live(&client, name, reach(number)).await {
                        Some(life) => lives.push(life),
                        None => world.give_back(),
                    }
                }
                lives
            });
        }
        running
    }

    /// One life, until a step fails; `None` where nobody answered the registration.
    async fn live(&self, client: &Client, name: String, reach: Reach) -> Option<Life> {
        let (id, seed) = (Uuid::nil(), RandomState::new().hash_one(&name) as u32);
        let mut life = Life {
            name,
            id,
            seed,
            user: Step::NotTaken,
            renamed: Step::NotTaken,
            refreshed: Step::NotTaken,
            entered: Step::NotTaken,
            left: Step::NotTaken,
            access: String::new(),
            refresh: String::new(),
        };
        let address = life.address();
        let Ok(registered) =
            self.tally.ask(client, register(&life.name, &address), self.common(&life)).await
        else {
            // Whoever is refused comes back a little later.
            tokio::time::sleep(Duration::from_millis(50)).await;
            return None;
        };
        life.id = registered.verification_id;
        if reach == Reach::Whole {
            self.confirm(client, &mut life).await;
        }
        Some(life)
    }

    async fn confirm(&self, client: &Client, life: &mut Life) {
        // A mail may be late, with whoever held it killed; the life is then examined as one that
        // goes on later.
        let Some(code) = self.inbox.wait(&life.address(), Duration::from_secs(2)).await else {
            return;
        };
        life.user = Step::Unknown;
        let Ok(session) =
            self.tally.ask(client, verify_email(life.id, &code), self.common(life)).await
        else {
            return;
        };
        life.user = Step::Done(session.user_id);
        life.access = session.access_token.expose_str().unwrap().to_owned();
        life.refresh = session.refresh_token.expose_str().unwrap().to_owned();
        let _ = self.go_on(client, life).await;
    }

    async fn go_on(&self, client: &Client, life: &mut Life) -> Result<(), Error> {
        let tally = &self.tally;
        let access = life.access.clone();
        for _ in 0..4 {
            let asked = VerifyToken { access_token: access.as_str().into() };
            tally.ask(client, asked, self.common(life)).await?;
        }
        tally
            .ask(client, GetUser { access_token: access.as_str().into() }, self.common(life))
            .await?;
        life.renamed = Step::Unknown;
        let renamed = life.new_name();
        tally
            .ask(
                client,
                UpdateUser { username: Some(renamed.into()), ..update(&access) },
                self.common(life),
            )
            .await?;
        life.renamed = Step::Done(());
        life.refreshed = Step::Unknown;
        let refresh = life.refresh.clone();
        let granted = tally
            .ask(client, RefreshToken { refresh_token: refresh.as_str().into() }, self.common(life))
            .await?;
        life.refreshed = Step::Done(());
        life.refresh = granted.refresh_token.expose_str().unwrap().to_owned();
        life.entered = Step::Unknown;
        let session =
            tally.ask(client, login(&life.address(), PASSWORD), self.common(life)).await?;
        life.entered = Step::Done(());
        if life.id.as_u128().is_multiple_of(2) {
            // The first session, from a request that may well go to another node than its refresh
            // did.
            life.left = Step::Unknown;
            let logout = Logout { token: life.access.as_str().into(), all_sessions: None };
            tally.ask(client, logout, self.common(life)).await?;
            life.left = Step::Done(());
        }
        tally
            .ask(client, GetUser { access_token: session.access_token.clone() }, self.common(life))
            .await?;
        Ok(())
    }
}

impl Life {
    pub fn address(&self) -> String {
        format!("{}@example.org", self.name)
    }

    /// Somebody at an address of their own, as a gateway tells it.
    fn owner(&self) -> Common<'static> {
        let [_, b, c, d] = self.seed.to_be_bytes();
        let ip = std::net::Ipv4Addr::new(10, b, c, d);
        Common { client_address: Some(std::net::IpAddr::from(ip).into()), ..patient() }
    }

    /// What the audit has to say of it: a kind, whom or what it is about, and how many rows there
    /// may be.
    pub fn audited(&self) -> Vec<(AuditKind, Uuid, RangeInclusive<usize>)> {
        let mut rows = vec![(AuditKind::Registered, self.id, 1..=1)];
        if let Step::Done(user) = self.user {
            let rest = [
                (AuditKind::Updated, self.renamed),
                (AuditKind::Refreshed, self.refreshed),
                (AuditKind::LoggedIn, self.entered),
                (AuditKind::LoggedOut, self.left),
            ];
            rows.push((AuditKind::Verified, user, 1..=1));
            rows.extend(rest.map(|(kind, step)| (kind, user, step.rows())));
        }
        rows
    }

    fn new_name(&self) -> String {
        format!("{}-b", self.name)
    }

    /// What is not as it was answered. Afterwards it is a confirmed account.
    async fn examine(self, site_alone: bool, client: Client, inbox: Arc<Inbox>) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut hold = |is_so: bool, what: String| {
            if !is_so {
                wrong.push(format!("{what}: {self:?}"));
            }
        };
        let Some(code) = inbox.wait(&self.address(), Duration::from_secs(20)).await else {
            hold(false, "it got no mail".to_owned());
            return wrong;
        };
        let verified =
            outcome(client.call(verify_email(self.id, &code)).await).map(|session| session.user_id);
        hold(
            match self.user {
                Step::Done(_) => verified == Err(ErrorCode::CODE_EXPIRED),
                Step::NotTaken => verified.is_ok(),
                Step::Unknown => verified.is_ok() || verified == Err(ErrorCode::CODE_EXPIRED),
            },
            format!("its code gave {verified:?}"),
        );
        let session =
            match outcome(client.call_with(login(&self.address(), PASSWORD), self.owner()).await) {
                Ok(session) => session,
                Err(code) => {
                    hold(false, format!("its login gave {code}"));
                    return wrong;
                }
            };
        let user = match self.user {
            Step::Done(user) => Some(user),
            _ => verified.ok(),
        };
        hold(user.is_none_or(|user| user == session.user_id), "it is another user".to_owned());
        let found = outcome(client.call(GetUser { access_token: session.access_token }).await)
            .map(|user| user.username);
        let (old, new) = (Ok(self.name.clone().into()), Ok(self.new_name().into()));
        hold(
            match self.renamed {
                Step::NotTaken => found == old,
                Step::Unknown => found == old || found == new,
                Step::Done(()) => found == new,
            },
            format!("its name is {found:?}"),
        );
        if self.refresh.is_empty() || self.left == Step::Unknown {
            return wrong;
        }
        let ended = self.left == Step::Done(());
        let checked =
            outcome(client.call(VerifyToken { access_token: self.access.as_str().into() }).await)
                .err();
        // Another node than the one that ended it may not know yet; the examination of a node alone
        // is exact.
        let expected = ended.then_some(ErrorCode::SESSION_REVOKED);
        hold(checked == expected || !site_alone, format!("its token is {checked:?}"));
        if self.refreshed != Step::Unknown {
            let asked = RefreshToken { refresh_token: self.refresh.as_str().into() };
            let refreshed = outcome(client.call(asked).await).err();
            hold(refreshed == expected, format!("its refresh token is {refreshed:?}"));
        }
        wrong
    }
}

/// Shows that everything is as it was answered, and that every registration got its mail; how many
/// lives there were.
pub async fn examine(site: &Site, inbox: &Arc<Inbox>, lives: Vec<Life>) -> usize {
    let (count, crowd) = (lives.len(), site.crowd());
    let mut wrong: Vec<String> = Vec::new();
    let mut rest = lives.into_iter();
    loop {
        // No more at once than may hash on these connections.
        let some: Vec<Life> = rest.by_ref().take(64).collect();
        if some.is_empty() {
            break;
        }
        let checks = some.into_iter().enumerate().map(|(number, life)| {
            life.examine(site.alone, crowd[number % crowd.len()].clone(), inbox.clone())
        });
        wrong.extend(together(checks).await.into_iter().flatten());
    }
    assert_eq!(wrong, Vec::<String>::new());
    count
}
