//! Measures whether a reply, or the time that it takes, reveals if an address is known, unknown or
//! pending. Sends requests about each kind to a live server in a random order, each about another
//! address and for another client, and prints how well the times distinguish two kinds: the area
//! under the ROC curve of the best threshold classifier (AUC; 0.5 is a guess, 1 is certainty). Half
//! of the known accounts have a bcrypt hash. Everything is measured twice: while emails are sent,
//! and while the mail server refuses connections.
//!
//! Run `cargo bench -p user-server --bench oracle`, or add `-- --samples 200` for a quick run, and
//! `--mode works` or `--mode fails` for one of the two measurements.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use user_proto::client::{self, Client};
use user_proto::{
    Common, Login, Register, Registered, RequestMessage, RequestPasswordReset, ResendCode,
    UpdateUser, VerifyEmail,
};
use user_server::config::Config;
use user_server::domain::{
    Accounts, AuditEvent, AuditKind, Change, Clock, Email, Password, PendingLimit, RecordedOutcome,
    Registration, RequestContext, ShiftedClock, SystemClock, Username,
};
use user_server::keys::Key;
use user_server::password::{HashCost, HashPool, HashPoolSize, Passwords};
use user_server::service::Service;
use user_server::store::SqliteStore;
use uuid::Uuid;

const SECRET: &str = "a secret of more than thirty-two bytes";
const PASSWORD: &str = "tides rise at nine";
/// A hash of cost 10, as imported from other services.
const BCRYPT: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
const KINDS: [&str; 3] = ["known", "unknown", "pending"];
/// Number of changes of its address that one account requests, which are its budget of a day.
const CHANGES: usize = 5;
/// Maximum AUC of two kinds.
const BOUND: f64 = 0.55;
/// Minimum number of samples for a verdict.
const ENOUGH: usize = 200;

/// State of the mail server during a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    MailWorks,
    MailFails,
}

type Outcome = Result<String, client::Error>;

fn main() {
    let option = |name| std::env::args().skip_while(move |argument| argument != name).nth(1);
    let samples =
        option("--samples").map_or(2000, |count| count.parse().expect("--samples takes a number"));
    let modes = match option("--mode").as_deref() {
        None => vec![Mode::MailWorks, Mode::MailFails],
        Some("works") => vec![Mode::MailWorks],
        Some("fails") => vec![Mode::MailFails],
        Some(_) => panic!("--mode takes `works` or `fails`"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let worst =
        modes.into_iter().map(|mode| runtime.block_on(run(samples, mode))).fold(0.5, f64::max);
    if samples < ENOUGH {
        println!("\ntoo few samples for a verdict");
    } else if worst > BOUND {
        println!("\nWRONG: {worst:.3} is over {BOUND}");
        std::process::exit(1);
    }
}

/// A live server with its accounts, and the client that probes it.
struct Probe {
    client: Client,
    clock: Arc<ShiftedClock>,
    samples: usize,
    clients: u32,
    random: Random,
}

async fn run(samples: usize, mode: Mode) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    fill(folder.path(), samples).await;
    let path = folder.path().to_str().unwrap().to_owned();
    let fails = mode == Mode::MailFails;
    let settings = move |name: &str| match name {
        "TCP_PORT" => Some("0".to_owned()),
        "DATA_DIR" => Some(path.clone()),
        "JWTSECRETKEY" => Some(SECRET.to_owned()),
        // Nothing listens on the discard port.
        "SMTP_HOST" => fails.then(|| "127.0.0.1".to_owned()),
        "SMTP_PORT" => fails.then(|| "9".to_owned()),
        "SMTP_TLS" => fails.then(|| "none".to_owned()),
        "MAIL_FROM" => fails.then(|| "no-reply@people.example".to_owned()),
        _ => None,
    };
    let config = Config::read(&settings, true).unwrap();
    let clock = Arc::new(ShiftedClock::default());
    let service = Service::start(&config, clock.clone()).await.unwrap();
    let client = Client::new(service.address().to_string());
    println!(
        "{}: {samples} samples a kind; {} accounts made in {:.1?}\n",
        if fails { "Emails fail" } else { "Emails are sent" },
        samples + updaters(samples),
        began.elapsed()
    );
    println!(
        "| request | known / unknown | known / pending | unknown / pending | median, ms | replies |"
    );
    println!("|---|---|---|---|---|---|");
    let mut probe = Probe { client, clock, samples, clients: 0, random: Random::new() };

    let mut verifications = [const { Vec::new() }; 3];
    let mut worst = probe.register(&mut verifications).await;
    // The address of a pending registration has received its email of this minute; the next one is
    // sent after the pause.
    for _ in 0..2 {
        settle(folder.path(), &*probe.clock, mode).await;
        probe.clock.advance(Duration::from_secs(61));
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    worst = worst.max(probe.guess(&verifications, "VerifyEmail, a wrong code").await);
    worst = worst.max(probe.resend(&verifications).await);
    settle(folder.path(), &*probe.clock, mode).await;
    probe.clock.advance(Duration::from_secs(3600));
    worst = worst.max(probe.guess(&verifications, "VerifyEmail, after the code expired").await);
    worst = worst.max(probe.reset().await);
    worst = worst.max(probe.update().await);
    worst = worst.max(probe.login().await);
    probe.client.close().await;
    service.stop().await;
    worst
}

/// Returns the number of accounts that request a change of their own address.
fn updaters(samples: usize) -> usize {
    (3 * samples).div_ceil(CHANGES)
}

/// Returns an address of a kind.
fn address(kind: usize, number: usize) -> String {
    format!("{}{number}@people.example", KINDS[kind])
}

/// Creates accounts, every other one with a bcrypt hash, and registrations that wait for their
/// codes.
async fn fill(folder: &Path, samples: usize) {
    let path = folder.join("users.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let hash_pool = HashPool::start(HashPoolSize { permits: 1, queue: 1 }, Arc::default()).unwrap();
    let passwords = Passwords::new(Arc::new(hash_pool), HashCost::FLOOR).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    let context =
        RequestContext { network: None, deadline, gone: CancellationToken::new(), claim: None };
    let password = Password::chosen(PASSWORD.as_bytes(), "password").unwrap();
    let argon2 = passwords.hash(password, "password", Vec::new(), &context).await.unwrap();
    let kid = Key::new(SECRET.as_bytes()).unwrap().kid;
    for number in 0..samples {
        let registration = Registration {
            verification_id: Uuid::new_v4(),
            username: Username::parse(&format!("pending{number}")).unwrap(),
            email: Email::parse(&address(2, number)).unwrap(),
            password_hash: argon2.clone(),
            client: "another".to_owned(),
            kid: kid.clone(),
            limit: PendingLimit { max: u32::MAX, life: Duration::ZERO },
        };
        let now = SystemClock.now();
        let event = AuditEvent::new(AuditKind::Registered);
        let change = Change::new(now.into(), event, RecordedOutcome::at(now));
        store.register(&registration, change).await.unwrap();
    }
    let database = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let mut insert = database.begin().await.unwrap();
    for number in 0..samples + updaters(samples) {
        let (name, address) = match number.checked_sub(samples) {
            None => (format!("known{number}"), address(0, number)),
            Some(updater) => {
                (format!("updater{updater}"), format!("updater{updater}@people.example"))
            }
        };
        let bcrypt = number < samples && number % 2 == 0;
        sqlx::query(
            "INSERT INTO users (id, username, username_key, email, email_key, mailbox, password_hash, created_at)
             VALUES ($1, $2, $2, $3, $3, $3, $4, 0)",
        )
        .bind(Uuid::new_v4())
        .bind(name)
        .bind(address)
        .bind(if bcrypt { BCRYPT } else { argon2.as_str() })
        .execute(&mut *insert)
        .await
        .unwrap();
    }
    insert.commit().await.unwrap();
    database.close().await;
}

/// Waits until every email in the outbox has been attempted, so that as few as possible are written
/// during the measurement.
async fn settle(folder: &Path, clock: &dyn Clock, mode: Mode) {
    let path = folder.join("users.db");
    let database = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    // Emails that failed stay until they are a day old.
    let unsent = match mode {
        Mode::MailWorks => "turn_at IS NOT NULL",
        Mode::MailFails => "turn_at IS NOT NULL AND attempts = 0",
    };
    let due = format!(
        "SELECT (SELECT COUNT(*) FROM mail_turns WHERE waiting > 0 AND next_at <= $1)
              + (SELECT COUNT(*) FROM outbox WHERE settled_at IS NULL AND {unsent})"
    );
    loop {
        let due: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(due.clone()))
            .bind(clock.now().0)
            .fetch_one(&database)
            .await
            .unwrap();
        if due == 0 {
            return database.close().await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

impl Probe {
    async fn login(&mut self) -> f64 {
        let mut samples = Samples::default();
        for (kind, number) in self.order() {
            let login = Login::new(address(kind, number).into(), "tides rise at ten".into());
            samples.measure(kind, self.call(login, |reply| format!("{reply:?}"))).await;
        }
        samples.print_row("Login, a wrong password")
    }

    async fn register(&mut self, ids: &mut [Vec<Uuid>; 3]) -> f64 {
        let mut samples = Samples::default();
        for (kind, number) in self.order() {
            let (username, email) = (format!("new{kind}x{number}"), address(kind, number));
            let register = Register {
                username: username.into(),
                email: email.into(),
                password: PASSWORD.into(),
            };
            let ids = &mut ids[kind];
            let record = |reply: Registered| {
                ids.push(reply.verification_id);
                format!("{:?}", Registered { verification_id: Uuid::nil(), ..reply })
            };
            samples.measure(kind, self.call(register, record)).await;
        }
        samples.print_row("Register")
    }

    async fn resend(&mut self, ids: &[Vec<Uuid>; 3]) -> f64 {
        let mut samples = Samples::default();
        for (kind, number) in self.order() {
            let resend = ResendCode { verification_id: ids[kind][number] };
            samples.measure(kind, self.call(resend, |reply| format!("{reply:?}"))).await;
        }
        samples.print_row("ResendCode")
    }

    async fn guess(&mut self, ids: &[Vec<Uuid>; 3], request: &str) -> f64 {
        let mut samples = Samples::default();
        for (kind, number) in self.order() {
            let guess = VerifyEmail::new(ids[kind][number], "E".into());
            samples.measure(kind, self.call(guess, |_| unreachable!("an E is no digit"))).await;
        }
        samples.print_row(request)
    }

    async fn reset(&mut self) -> f64 {
        let mut samples = Samples::default();
        for (kind, number) in self.order() {
            let reset = RequestPasswordReset { email: address(kind, number).into() };
            let same = |reply: user_proto::PasswordResetRequested| {
                format!(
                    "{:?}",
                    user_proto::PasswordResetRequested { verification_id: Uuid::nil(), ..reply }
                )
            };
            samples.measure(kind, self.call(reset, same)).await;
        }
        samples.print_row("RequestPasswordReset")
    }

    async fn update(&mut self) -> f64 {
        let mut tokens = Vec::new();
        for updater in 0..updaters(self.samples) {
            let login = Login::new(format!("updater{updater}").into(), PASSWORD.into());
            tokens.push(self.client.call(login).await.unwrap().access_token);
        }
        let mut samples = Samples::default();
        for (index, (kind, number)) in self.order().into_iter().enumerate() {
            let change = UpdateUser {
                access_token: tokens[index / CHANGES].clone(),
                username: None,
                email: Some(address(kind, number).into()),
                new_password: None,
                current_password: Some(PASSWORD.into()),
            };
            let same = |reply: user_proto::UserUpdated<'static>| {
                assert!(reply.verification_id.is_some());
                let placeholder = user_proto::UserUpdated {
                    user_id: Uuid::nil(),
                    username: "".into(),
                    email: "".into(),
                    verification_id: Some(Uuid::nil()),
                };
                assert!(reply.email.starts_with("updater"), "{reply:?}");
                format!("{placeholder:?}")
            };
            samples.measure(kind, self.call(change, same)).await;
        }
        samples.print_row("UpdateUser of the email")
    }

    /// Returns every kind and number once, in a random order.
    fn order(&mut self) -> Vec<(usize, usize)> {
        let mut order: Vec<_> =
            (0..3).flat_map(|kind| (0..self.samples).map(move |number| (kind, number))).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, self.random.below(last + 1));
        }
        order
    }

    /// Sends a request for a new client. Returns the reply as text, without the fields that differ
    /// in every reply.
    async fn call<M: RequestMessage + Send + Sync>(
        &mut self,
        request: M,
        describe: impl FnOnce(M::Reply) -> String,
    ) -> Outcome {
        self.clients += 1;
        let ip = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + self.clients));
        let common = Common { client_address: Some(ip.into()), ..Common::default() };
        self.client.call_with(request, common).await.map(describe)
    }
}

/// Times and replies, by kind.
#[derive(Default)]
struct Samples {
    times: [Vec<f64>; 3],
    replies: [BTreeSet<String>; 3],
}

impl Samples {
    async fn measure(&mut self, kind: usize, call: impl Future<Output = Outcome>) {
        let began = Instant::now();
        let reply = call.await;
        self.times[kind].push(began.elapsed().as_secs_f64() * 1000.0);
        self.replies[kind].insert(match reply {
            Ok(reply) => reply,
            Err(client::Error::Refused(error)) => format!("{error:?}"),
            Err(error) => panic!("no answer: {error}"),
        });
    }

    /// Prints the row of a request. Returns the worst AUC, or 1 if the replies differ.
    fn print_row(mut self, request: &str) -> f64 {
        let same =
            self.replies.iter().all(|replies| *replies == self.replies[0] && replies.len() == 1);
        let aucs = [(0, 1), (0, 2), (1, 2)].map(|(a, b)| auc(&self.times[a], &self.times[b]));
        let medians = self.times.each_mut().map(|times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        });
        println!(
            "| {request} | {:.3} | {:.3} | {:.3} | {:.2} / {:.2} / {:.2} | {} |",
            aucs[0],
            aucs[1],
            aucs[2],
            medians[0],
            medians[1],
            medians[2],
            if same {
                "the same".to_owned()
            } else {
                format!("DIFFER: {:?}", self.replies.map(|replies| replies.into_iter().next_back()))
            }
        );
        if same { aucs.into_iter().fold(0.5, f64::max) } else { 1.0 }
    }
}

/// Returns how often a sample of one kind is larger than one of the other (Mann and Whitney), in
/// the direction that distinguishes them better.
fn auc(a: &[f64], b: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> =
        a.iter().map(|time| (*time, true)).chain(b.iter().map(|time| (*time, false))).collect();
    all.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let (mut below, mut wins) = (0u64, 0u64);
    for (_, is_a) in all {
        if is_a { wins += below } else { below += 1 }
    }
    let pairs = (a.len() * b.len()) as f64;
    let share = wins as f64 / pairs;
    share.max(1.0 - share)
}

/// Random numbers that need not be unpredictable (xorshift64*).
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(Uuid::new_v4().as_u64_pair().0 | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        usize::try_from(number).unwrap() % bound
    }
}
