//! The process killed at any point: what was answered is there, no code is dead, and there is no half user.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use user_proto::client::{Client, Config, Error};
use user_proto::{ErrorCode, GetUser};
use uuid::Uuid;

use crate::support::{
    Mails, PASSWORD, Process, TestServer, check, code_of, login, outcome, patient, register, together, verify_email,
};

/// Longer than a worker may hold a mail: after it, whoever held one has lost it.
const LEASE: Duration = Duration::from_secs(61);
const KILLS: usize = 5;
const WORKERS: usize = 8;

/// The killed process's folder under a service whose clock can be turned, so that no lease has to be waited for.
async fn reopen(folder: TempDir) -> TestServer {
    let data = folder.path().join("user-data");
    let server = TestServer::start_in(folder, &[("DATA_DIR", data.to_str().unwrap())]).await;
    server.clock.advance(LEASE);
    server
}

#[tokio::test]
async fn killed_between_any_two_steps_a_registration_goes_on() {
    let address = "ada@example.org";
    let process = Process::start(&[]);
    let id = process.client().call(register("ada", address)).await.unwrap().verification_id;
    let process = Process::start_in(process.kill().await, &[]);
    assert_eq!(code_of(&process.client(), login("ada", PASSWORD)).await, ErrorCode::INVALID_CREDENTIALS);
    // It may have been killed with the mail in its hands; then the mail comes again, with the same code.
    let server = reopen(process.kill().await).await;
    let code = server.mails.code(address, 1).await;
    let process = Process::start_in(server.stop().await, &[]);
    for _ in 0..2 {
        assert_eq!(code_of(&process.client(), verify_email(id, "E")).await, ErrorCode::INVALID_CODE);
    }
    let process = Process::start_in(process.kill().await, &[]);
    let session = process.client().call(verify_email(id, &code)).await.unwrap();
    let process = Process::start_in(process.kill().await, &[]);
    let client = process.client();
    assert_eq!(code_of(&client, verify_email(id, &code)).await, ErrorCode::CODE_EXPIRED, "it was used once");
    assert_eq!(check(&client, session.access_token.expose_str().unwrap()).await, None);
    let user = client.call(GetUser { access_token: session.access_token.clone() }).await.unwrap();
    assert_eq!((&*user.username, &*user.email), ("ada", address));
    assert_eq!(client.call(login("ada", PASSWORD)).await.unwrap().user_id, session.user_id);
}

/// A registration under load, as far as the client knows.
#[derive(Debug, Clone)]
struct Known {
    name: String,
    id: Uuid,
    /// Whether the code was sent, and what was answered to it.
    confirmed: Option<Result<Uuid, ()>>,
}

impl Known {
    fn address(&self) -> String {
        format!("{}@example.org", self.name)
    }
}

/// The codes in a folder of mails that many look into: each mail is read once.
#[derive(Default)]
struct Inbox {
    seen: HashSet<PathBuf>,
    codes: HashMap<String, String>,
}

impl Inbox {
    fn code(&mut self, mails: &Mails, address: &str) -> Option<String> {
        if !self.codes.contains_key(address) {
            let new = mails.unseen(&mut self.seen).into_iter();
            self.codes.extend(new.filter_map(|mail| Some((mail.code()?, mail.to))).map(|(code, to)| (to, code)));
        }
        self.codes.get(address).cloned()
    }
}

/// Registers and confirms, one after the other, until the server has gone; what was answered.
async fn load(client: Client, code: impl Fn(&str) -> Option<String> + Send + 'static, prefix: String) -> Vec<Known> {
    let mut known = Vec::new();
    for number in 0.. {
        let mut entry = Known { name: format!("{prefix}{number}"), id: Uuid::nil(), confirmed: None };
        let Ok(registered) = client.call(register(&entry.name, &entry.address())).await else { break };
        entry.id = registered.verification_id;
        // Every other one is confirmed under load, where its mail comes in time.
        for _ in 0..(number + 1) % 2 * 20 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let Some(code) = code(&entry.address()) else { continue };
            entry.confirmed = Some(match client.call(verify_email(entry.id, &code)).await {
                Ok(session) => Ok(session.user_id),
                Err(Error::Refused(error)) => panic!("the right code: {error:?}"),
                Err(_) => Err(()),
            });
            break;
        }
        known.push(entry);
    }
    known
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_it_loses_nothing_that_was_answered() {
    let mut folder = tempfile::tempdir().unwrap();
    let inbox = Arc::new(Mutex::new(Inbox::default()));
    let mut known = Vec::new();
    for kill in 0..KILLS {
        let process = Process::start_in(folder, &[]);
        let config = Config { wait_for_server: false, ..Config::default() };
        let client = Client::with_config(process.address.to_string(), config);
        let running: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (inbox, mails) = (inbox.clone(), process.mails());
                let code = move |address: &str| inbox.lock().unwrap().code(&mails, address);
                tokio::spawn(load(client.clone(), code, format!("ada-{kill}-{worker}-")))
            })
            .collect();
        // At a time that differs from run to run, and from kill to kill.
        let jitter = u64::from(Uuid::new_v4().as_bytes()[0]);
        tokio::time::sleep(Duration::from_millis(1500 + 2 * jitter)).await;
        folder = process.kill().await;
        for task in running {
            known.extend(task.await.unwrap());
        }
    }
    assert!(known.len() >= 50, "{} registrations are no load", known.len());
    let server = reopen(folder).await;
    let began = Instant::now();
    let mut codes = Vec::new();
    for entry in &known {
        loop {
            if let Some(code) = inbox.lock().unwrap().code(&server.mails, &entry.address()) {
                break codes.push(code);
            }
            assert!(began.elapsed() < Duration::from_secs(20), "no mail for {entry:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let client = server.client();
    let mut wrong = Vec::new();
    // No more at once than may hash on one connection.
    for some in known.into_iter().zip(codes).collect::<Vec<_>>().chunks(32) {
        let checks = some.iter().cloned().map(|(entry, code)| confirm(client.clone(), entry, code));
        wrong.extend(together(checks).await.into_iter().flatten());
    }
    assert_eq!(wrong, Vec::<String>::new());
    server.stop().await;
}

/// Enters a registration's code, where it was not yet, and logs in; what is not as it was answered.
async fn confirm(client: Client, entry: Known, code: String) -> Option<String> {
    let verified = outcome(client.call(verify_email(entry.id, &code)).await).map(|session| session.user_id);
    let logged_in =
        outcome(client.call_with(login(&entry.name, PASSWORD), patient()).await).map(|session| session.user_id);
    let right = match (&entry.confirmed, &verified) {
        (Some(Ok(id)), Err(ErrorCode::CODE_EXPIRED)) => logged_in.as_ref() == Ok(id),
        (None | Some(Err(())), Ok(id)) => logged_in.as_ref() == Ok(id),
        // Its answer was lost, and it was done.
        (Some(Err(())), Err(ErrorCode::CODE_EXPIRED)) => logged_in.is_ok(),
        _ => false,
    };
    (!right).then(|| format!("{entry:?}: {verified:?}, {logged_in:?}"))
}
