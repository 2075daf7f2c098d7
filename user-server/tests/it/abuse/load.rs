//! The latency of legitimate requests through a trusted gateway, and the memory of the server,
//! while untrusted peers and end users attack it. docs/FAULTS.md has the table.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use user_proto::client::Client;
use user_proto::{Common, ErrorCode, IdempotencyKey, Logout, RefreshToken, UpdateUser};
use uuid::Uuid;

use super::{GATEWAY, MAX_GROWTH_KIB, MAX_REST_KIB, batch, guesses, hit_and_run, resident_kib};
use crate::smtp::{Action, SENDER, Sink};
use crate::support::{
    NEW_PASSWORD, PASSWORD, Process, SECRET, check, login, on_behalf_of, outcome, postgres,
    register, request_frame, update, update_with_password, verify_email,
};

/// Accounts that log in through the gateway. Each has its own budget of logins.
const USERS: usize = 4;
/// Time after an attack at which its memory must be released.
const RELEASE: Duration = Duration::from_secs(10);
/// The longest wait for the email with a code.
const EMAIL_TIMEOUT: Duration = Duration::from_secs(30);
/// Environment variable of the attackers' process: the index of the attack and an address.
const ATTACKED: &str = "TEST_ATTACKED";
const COLUMNS: [&str; 9] = [
    "attack",
    "memory of the idle server",
    "most during the attack",
    "10 s later",
    "token check p50, ratio",
    "login p50, ratio",
    "logins refused",
    "revocation seen within",
    "code emailed within",
];

#[derive(Clone, Copy)]
enum Attack {
    /// Batches of requests over this many connections of one untrusted peer, which closes them and
    /// repeats.
    Flood(&'static str, usize, fn() -> Vec<u8>),
    /// End users with accounts, through the gateway.
    PasswordChanges,
    /// One end user with an account, over connections of an untrusted peer.
    OneAccount,
}

const ATTACKS: [Attack; 8] = [
    Attack::Flood("VerifyEmail with codes of 60 KB, 2 connections", 2, || guesses(60_000)),
    Attack::Flood("VerifyEmail with codes of 60 KB, 250 connections", 250, || guesses(60_000)),
    Attack::Flood("VerifyEmail with codes of 6 bytes, 250 connections", 250, || guesses(6)),
    Attack::Flood("ResendCode with random ids, 250 connections", 250, resends),
    Attack::Flood("Logins with a wrong password, 250 connections", 250, wrong_logins),
    Attack::Flood(
        "UpdateUser with garbage tokens and idempotency keys, 250 connections",
        250,
        keyed,
    ),
    Attack::PasswordChanges,
    Attack::OneAccount,
];

impl Attack {
    fn name(self) -> &'static str {
        match self {
            Self::Flood(name, ..) => name,
            Self::PasswordChanges => "Password changes of four accounts without pause",
            Self::OneAccount => {
                "Email and username changes and refreshes of one account, 16 at once"
            }
        }
    }
}

fn resends() -> Vec<u8> {
    batch(|_| user_proto::ResendCode { verification_id: Uuid::new_v4() }.into())
}

fn wrong_logins() -> Vec<u8> {
    batch(|_| login("ada0", "tides rise at ten").into())
}

fn keyed() -> Vec<u8> {
    let frame = |id: u32| {
        let key = Some(IdempotencyKey(Uuid::new_v4().into_bytes()));
        let request = UpdateUser { username: Some("grace".into()), ..update("garbage") };
        request_frame(id, request, &Common { idempotency_key: key, ..Common::default() })
    };
    (1..256).flat_map(frame).collect()
}

/// The attacked node with its mail server. With PostgreSQL, sessions end on another node.
struct Target {
    process: Process,
    other: Option<Process>,
    sink: Sink,
}

impl Target {
    async fn start(url: Option<&str>) -> Self {
        let slow = Duration::from_millis(200);
        let sink = Sink::start(vec![(".", Action::ReplyAfter(slow, "250 ok"))]).await;
        let port = sink.port.to_string();
        let mut settings = vec![
            ("TRUSTED_PEERS", GATEWAY),
            ("SMTP_HOST", "127.0.0.1"),
            ("SMTP_PORT", port.as_str()),
            ("SMTP_TLS", "none"),
            ("MAIL_FROM", SENDER),
        ];
        if let Some(url) = url {
            settings.extend([("PostgreSQL", url), ("JWTSECRETKEY", SECRET)]);
        }
        let process = Process::start(&settings);
        let other = url.map(|_| Process::start(&settings));
        Self { process, other, sink }
    }

    async fn emailed_code(&self, address: &str) -> Option<String> {
        let began = Instant::now();
        while began.elapsed() < EMAIL_TIMEOUT {
            let emails = self.sink.dialogues();
            let found = emails.iter().filter(|one| one.email.is_some()).map(|one| one.email());
            if let Some(code) = found.filter(|email| email.to == address).find_map(|one| one.code())
            {
                return Some(code);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }

    async fn account(&self, client: &Client, name: &str, ip: &str) {
        let address = format!("{name}@example.org");
        let request = register(name, &address);
        let id = client.call_with(request, on_behalf_of(ip)).await.unwrap().verification_id;
        let code = self.emailed_code(&address).await.unwrap();
        client.call_with(verify_email(id, &code), on_behalf_of(ip)).await.unwrap();
    }

    /// Starts an attack in a process of its own, with the lowest priority: attackers do not use the
    /// cores of the server that they attack.
    fn attack(&self, attack: Attack) -> Attackers {
        let index = ATTACKS.iter().position(|one| one.name() == attack.name()).unwrap();
        let test = std::env::current_exe().unwrap();
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(test);
        command.args(["--exact", "abuse::load::attackers", "--ignored"]);
        command.env(ATTACKED, format!("{index} {}", self.process.address));
        Attackers(command.stdout(Stdio::null()).spawn().unwrap())
    }
}

/// Process of the attackers, which ends when this value is dropped.
struct Attackers(Child);

impl Drop for Attackers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The process of the attackers: not a test by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by long_latency_under_attack"]
async fn attackers() {
    let Ok(attacked) = std::env::var(ATTACKED) else { return };
    let (index, address) = attacked.split_once(' ').unwrap();
    let (address, attack) = (address.parse().unwrap(), ATTACKS[index.parse::<usize>().unwrap()]);
    let mut tasks = JoinSet::new();
    match attack {
        Attack::Flood(_, connections, bytes) => {
            let (bytes, stop) = (Arc::new(bytes()), Arc::new(AtomicBool::new(false)));
            for _ in 0..connections {
                tasks.spawn(hit_and_run(address, bytes.clone(), stop.clone()));
            }
        }
        Attack::PasswordChanges => {
            for number in 0..4 {
                tasks.spawn(change_passwords(address, number));
            }
        }
        Attack::OneAccount => {
            for number in 0..16 {
                tasks.spawn(change_everything(address, number));
            }
        }
    }
    while tasks.join_next().await.is_some() {}
}

async fn change_passwords(address: SocketAddr, number: usize) {
    let client = Client::new(address.to_string());
    let (name, ip) = (format!("mallory{number}"), format!("203.0.113.{number}"));
    let session = client.call_with(login(&name, PASSWORD), on_behalf_of(&ip)).await.unwrap();
    let token = session.access_token.expose_str().unwrap().to_owned();
    let (mut old, mut new) = (PASSWORD, NEW_PASSWORD);
    loop {
        let change = UpdateUser {
            new_password: Some(new.into()),
            current_password: Some(old.into()),
            ..update(&token)
        };
        if client.call_with(change, on_behalf_of(&ip)).await.is_ok() {
            std::mem::swap(&mut old, &mut new);
        }
    }
}

async fn change_everything(address: SocketAddr, number: usize) {
    let client = Client::new(address.to_string());
    let ip = "203.0.113.0";
    let session =
        client.call_with(login("mallory0@example.org", PASSWORD), on_behalf_of(ip)).await.unwrap();
    let token = session.access_token.expose_str().unwrap().to_owned();
    let mut refresh_token = session.refresh_token.clone();
    for turn in 0.. {
        let name = format!("mallory{number}x{turn}");
        let rename = UpdateUser { username: Some(name.as_str().into()), ..update(&token) };
        let _ = client.call_with(rename, on_behalf_of(ip)).await;
        let email = format!("{name}@example.net");
        let move_to =
            UpdateUser { email: Some(email.as_str().into()), ..update_with_password(&token) };
        let _ = client.call_with(move_to, on_behalf_of(ip)).await;
        let refresh = RefreshToken { refresh_token: refresh_token.clone() };
        if let Ok(refreshed) = client.call_with(refresh, on_behalf_of(ip)).await {
            refresh_token = refreshed.refresh_token;
        }
    }
}

/// What legitimate users saw in one phase.
#[derive(Default)]
struct Seen {
    logins: Vec<Duration>,
    checks: Vec<Duration>,
    /// Codes of logins that did not succeed.
    refused: Vec<ErrorCode>,
    revocation: Duration,
    /// Longest time until a code was emailed; `None` if one was not within the timeout.
    email: Option<Duration>,
}

fn median(durations: &[Duration]) -> Duration {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Measures legitimate requests through the gateway for some time. `phase` makes names unique.
async fn measure(target: &Target, phase: usize, span: Duration) -> Seen {
    let address = target.process.address;
    let logins = async {
        let (client, mut seen, began) = (target.process.client(), Seen::default(), Instant::now());
        for number in 0.. {
            if began.elapsed() >= span {
                break;
            }
            let name = format!("ada{}", number % USERS);
            let (call, ip) = (Instant::now(), format!("192.0.2.{}", number % USERS));
            let common = Common { deadline_ms: Some(30_000), ..on_behalf_of(&ip) };
            match outcome(client.call_with(login(&name, PASSWORD), common).await) {
                Ok(_) => seen.logins.push(call.elapsed()),
                Err(code) => seen.refused.push(code),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        seen
    };
    let checks = async {
        let client = Client::new(address.to_string());
        let session = client.call_with(login("ada0", PASSWORD), on_behalf_of("192.0.2.0")).await;
        let token = session.unwrap().access_token.expose_str().unwrap().to_owned();
        let (mut durations, began) = (Vec::new(), Instant::now());
        while began.elapsed() < span {
            let call = Instant::now();
            assert_eq!(check(&client, &token).await, None, "a valid token");
            durations.push(call.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        durations
    };
    let revocations = async {
        let (here, began) = (target.process.client(), Instant::now());
        let there = target.other.as_ref().unwrap_or(&target.process).client();
        let mut longest = Duration::ZERO;
        while began.elapsed() < span {
            let ip = on_behalf_of("192.0.2.1");
            let session = there.call_with(login("ada1", PASSWORD), ip).await.unwrap();
            let token = session.access_token.expose_str().unwrap().to_owned();
            assert_eq!(check(&here, &token).await, None);
            let logout = Logout { token: token.as_str().into(), all_sessions: None };
            there.call_with(logout, on_behalf_of("192.0.2.1")).await.unwrap();
            let ended = Instant::now();
            loop {
                match check(&here, &token).await {
                    Some(ErrorCode::SESSION_REVOKED) => break,
                    None => tokio::time::sleep(Duration::from_millis(2)).await,
                    Some(other) => panic!("a token check was answered {other:?}"),
                }
            }
            longest = longest.max(ended.elapsed());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        longest
    };
    let email = async {
        let (client, began) = (Client::new(address.to_string()), Instant::now());
        let mut longest = Duration::ZERO;
        for number in 0..4 {
            if began.elapsed() >= span {
                break;
            }
            let name = format!("grace{phase}x{number}");
            let address = format!("{name}@example.org");
            let ip = on_behalf_of(&format!("198.51.100.{}", 10 * phase + number));
            client.call_with(register(&name, &address), ip).await.unwrap();
            let registered = Instant::now();
            target.emailed_code(&address).await?;
            longest = longest.max(registered.elapsed());
        }
        Some(longest)
    };
    let (seen, checks, revocation, email) = tokio::join!(logins, checks, revocations, email);
    Seen { checks, revocation, email, ..seen }
}

/// Runs one attack against a new server, and returns its row of the table.
async fn row(attack: Attack, url: Option<&str>, span: Duration) -> String {
    let target = Target::start(url).await;
    let client = target.process.client();
    for number in 0..USERS {
        let (name, ip) = (format!("ada{number}"), format!("192.0.2.{number}"));
        target.account(&client, &name, &ip).await;
    }
    if !matches!(attack, Attack::Flood(..)) {
        for number in 0..4 {
            let (name, ip) = (format!("mallory{number}"), format!("203.0.113.{number}"));
            target.account(&client, &name, &ip).await;
        }
    }
    let quiet = measure(&target, 0, span).await;
    let idle = resident_kib(&target.process);
    let stop = Arc::new(AtomicBool::new(false));
    let attackers = target.attack(attack);
    // The attack has begun when it is measured.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let watch = async {
        let mut most = 0;
        while !stop.load(Ordering::Relaxed) {
            most = most.max(resident_kib(&target.process));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        most
    };
    let attacked = async {
        let seen = measure(&target, 1, span).await;
        stop.store(true, Ordering::Relaxed);
        seen
    };
    let (most, seen) = tokio::join!(watch, attacked);
    drop(attackers);
    tokio::time::sleep(RELEASE).await;
    let rest = resident_kib(&target.process);
    assert!(most <= idle + MAX_GROWTH_KIB, "{}: {idle} KiB grew to {most} KiB", attack.name());
    assert!(rest <= idle + MAX_REST_KIB, "{}: {rest} KiB of {idle} KiB", attack.name());
    assert!(!seen.refused.contains(&ErrorCode::UNAVAILABLE), "{}", attack.name());
    let millis = |span: Duration| format!("{:.1} ms", span.as_secs_f64() * 1e3);
    let ratio = |before: &[Duration], after: &[Duration]| {
        let (before, after) = (median(before), median(after));
        format!("{}, {:.1}x", millis(after), after.as_secs_f64() / before.as_secs_f64())
    };
    let grown = |kib: u64| format!("{:+} MiB", (kib as i64 - idle as i64) / 1024);
    let cells = [
        attack.name().to_owned(),
        format!("{} MiB", idle / 1024),
        grown(most),
        grown(rest),
        ratio(&quiet.checks, &seen.checks),
        ratio(&quiet.logins, &seen.logins),
        format!("{} of {}", seen.refused.len(), seen.refused.len() + seen.logins.len()),
        millis(seen.revocation),
        seen.email.map_or("never".to_owned(), |span| format!("{:.1} s", span.as_secs_f64())),
    ];
    format!("| {} |\n", cells.join(" | "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_and_token_checks_continue_during_a_flood() {
    row(ATTACKS[3], None, Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; docs/FAULTS.md has the command and the figures"]
async fn long_latency_under_attack() {
    let server = postgres();
    for name in ["SQLite", "PostgreSQL, two nodes"] {
        if name != "SQLite" && server.is_none() {
            continue;
        }
        println!("\n{name}:\n\n| {} |\n{}|", COLUMNS.join(" | "), "|---".repeat(COLUMNS.len()));
        for attack in ATTACKS {
            let url = server.filter(|_| name != "SQLite").map(|server| server.database());
            print!("{}", row(attack, url.as_deref(), Duration::from_secs(8)).await);
        }
    }
}
