//! Round trips to PostgreSQL for each request, counted by a proxy, with warm connections. Each
//! costs the distance to the database.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use user_proto::client::Client;
use user_proto::{
    Common, ConfirmEmail, DeleteUser, ErrorCode, GetUser, IdempotencyKey, Logout, RefreshToken,
    RequestMessage, ResendCode, Secret,
};
use uuid::Uuid;

use crate::postgres::{node, set_defaults};
use crate::support::{
    Account, CountingProxy, NEW_PASSWORD, NO_CODE, PASSWORD, Pgbouncer, Postgres, ReceivedEmail,
    RoundTrip, TestServer, login, on_behalf_of, outcome, postgres, register, request_reset, reset,
    update, update_with_password, verify_email,
};

/// Distance to the database in the measurement.
const DISTANCE: Duration = Duration::from_millis(20);

/// Maximum number of round trips of each request.
const LIMITS: &[(&str, usize)] = &[
    ("Register", 3),
    ("VerifyEmail", 3),
    ("Login", 3),
    ("Login with a key", 4),
    ("RefreshToken", 1),
    ("GetUser", 1),
    ("UpdateUser, the name", 2),
    ("RequestPasswordReset", 3),
    ("Logout", 1),
    ("Logout, all of 100 sessions", 2),
    ("DeleteUser, two sessions", 4),
    ("DeleteUser, 100 sessions", 4),
    ("UpdateUser, the password", 5),
    ("UpdateUser, the address", 5),
    ("ConfirmEmail", 5),
    ("ResetPassword", 6),
    ("ResendCode", 7),
    ("ResendCode, too soon", 2),
    ("Logout with a refresh token", 2),
    ("Logout, repeated", 3),
    ("RefreshToken, repeated", 2),
    ("RefreshToken, too often", 1),
    ("RefreshToken, stolen", 3),
    ("Login, a wrong password", 3),
    ("VerifyEmail, a wrong code", 2),
];

/// Parts of the statements of background tasks, which run at the same time.
const BACKGROUND: &[&str] = &[
    "audit_chain",
    "FROM audit WHERE seq",
    "FROM outbox ",
    "FROM mail_turns",
    "UPDATE outbox",
    "UPDATE mail_turns",
    "erased_revocations",
    "FROM revocations",
    "retired_keys",
    "INTO nodes",
    "DELETE FROM nodes",
    "SELECT (EXTRACT(EPOCH",
    "changed_at >=",
    "pg_is_in_recovery",
    "CAST(1 AS BIGINT)",
    "hash_class >",
    "expires_at < $1",
    "rotated_at < $1",
    "created_at < $1",
    "opened_at < $1",
    "rank < $1",
];

/// A request, its place among all round trips, and the time that it took.
struct Measured {
    request: &'static str,
    /// Numbers of the first round trip, and of the first one afterwards.
    span: Range<usize>,
    time: Duration,
}

/// A node on a database behind the proxy.
pub struct Bench {
    pub server: &'static Postgres,
    pub database: String,
    proxy: CountingProxy,
    pub node: TestServer,
    client: Client,
    measured: Vec<Measured>,
}

impl Bench {
    pub async fn start() -> Option<Self> {
        let server = postgres()?;
        let url = server.database();
        Some(Self::start_at(server, &url, &[]).await)
    }

    /// Starts a node that sends its requests through pgbouncer with prepared statements.
    pub async fn behind_pooler() -> Option<(Pgbouncer, Self)> {
        let server = postgres()?;
        let pooler = Pgbouncer::with_prepared_statements(server)?;
        let direct = server.database();
        let name = direct.rsplit('/').next().unwrap();
        set_defaults(server, name);
        let settings = [("DATABASE_POOLER", "prepared"), ("MIGRATE_URL", direct.as_str())];
        let bench = Self::start_at(server, &pooler.url(name), &settings).await;
        Some((pooler, bench))
    }

    async fn start_at(server: &'static Postgres, url: &str, more: &[(&str, &str)]) -> Self {
        let (address, database) = url.rsplit_once('/').unwrap();
        let port = address.rsplit(':').next().unwrap();
        let proxy = CountingProxy::before(port.parse().unwrap()).await;
        let through = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port));
        // One connection, so that it has prepared each statement after its first use.
        let settings = [&[("DATABASE_POOL", "1")], more].concat();
        let node = node(&through, &settings).await;
        let client = node.client();
        Self { server, database: database.to_owned(), proxy, node, client, measured: Vec::new() }
    }

    /// Makes a call that succeeds, and adds its round trips to the results if `request` names it.
    async fn call<M: RequestMessage>(
        &mut self,
        request: Option<&'static str>,
        message: M,
        common: Common<'static>,
    ) -> M::Reply {
        let reply = self.attempt(request, message, common).await;
        reply.unwrap_or_else(|code| panic!("{request:?}: {code:?}"))
    }

    /// Like [`Bench::call`], for a call that may be refused.
    async fn attempt<M: RequestMessage>(
        &mut self,
        request: Option<&'static str>,
        message: M,
        common: Common<'static>,
    ) -> Result<M::Reply, ErrorCode> {
        let (first, began) = (self.proxy.trips().len(), Instant::now());
        let reply = self.client.call_with(message, common).await;
        let (span, time) = (first..self.proxy.trips().len(), began.elapsed());
        if let Some(request) = request {
            self.measured.push(Measured { request, span, time });
        }
        outcome(reply)
    }

    fn psql(&self, statement: &str) {
        assert!(self.server.psql(&self.database, statement), "{statement}");
    }

    /// Inserts sessions of a user.
    fn insert_sessions(&self, user_id: Uuid, number: u32) {
        let insert = format!(
            "INSERT INTO sessions (id, user_id, kid, created_at, rotated_at)
             SELECT gen_random_uuid(), '{user_id}', 'kid', 1, 9999999999999
             FROM generate_series(1, {number})"
        );
        self.psql(&insert);
    }

    /// Makes each request once. Measures them if `is_warm` is set.
    pub async fn run(&mut self, name: &str, is_warm: bool) {
        let as_measured = |request| is_warm.then_some(request);
        let here = || client_of(name);
        let (email, other) = (format!("{name}@example.org"), format!("{name}.other"));
        let registered = self.call(as_measured("Register"), register(name, &email), here()).await;
        let code = self.node.emails.code(&email, 1).await;
        let verify = verify_email(registered.verification_id, &code);
        let session = self.call(as_measured("VerifyEmail"), verify, here()).await;
        let ada = Account { session, email: email.clone() };
        let logged_in = self.call(as_measured("Login"), login(&email, PASSWORD), here()).await;
        self.call(as_measured("Login with a key"), login(&email, PASSWORD), keyed(name)).await;
        let refresh = RefreshToken { refresh_token: logged_in.refresh_token.clone() };
        let session = self.call(as_measured("RefreshToken"), refresh, here()).await;
        let get = || GetUser { access_token: session.access_token.clone() };
        self.call(as_measured("GetUser"), get(), here()).await;
        let access = session.access_token.expose_str().unwrap().to_owned();
        let rename =
            user_proto::UpdateUser { username: Some(other.as_str().into()), ..update(&access) };
        self.call(as_measured("UpdateUser, the name"), rename, here()).await;
        self.call(as_measured("RequestPasswordReset"), request_reset(&email), here()).await;
        let logout = Logout { token: session.access_token.clone(), all_sessions: None };
        self.call(as_measured("Logout"), logout, here()).await;
        let delete = |access: String| DeleteUser {
            access_token: access.into(),
            current_password: PASSWORD.into(),
        };
        self.call(as_measured("DeleteUser, two sessions"), delete(ada.access()), here()).await;
        let next = self.account(&format!("{name}.many")).await;
        self.insert_sessions(next.session.user_id, 99);
        self.call(as_measured("DeleteUser, 100 sessions"), delete(next.access()), here()).await;
        let last = self.account(&format!("{name}.all")).await;
        self.insert_sessions(last.session.user_id, 99);
        let logout = Logout { token: last.session.access_token.clone(), all_sessions: Some(()) };
        self.call(as_measured("Logout, all of 100 sessions"), logout, here()).await;
    }

    /// Makes each request once that changes the password or the address, or repeats a code.
    /// Measures them if `is_warm` is set.
    pub async fn run_changes(&mut self, name: &str, is_warm: bool) {
        let as_measured = |request| is_warm.then_some(request);
        let here = || client_of(name);
        let (email, new_email) = (format!("{name}@example.org"), format!("{name}.new@example.org"));
        let registered = self.call(None, register(name, &email), here()).await;
        let id = registered.verification_id;
        let resend = || ResendCode { verification_id: id };
        let wrong = verify_email(id, NO_CODE);
        self.attempt(as_measured("VerifyEmail, a wrong code"), wrong, here()).await.unwrap_err();
        let early = self.attempt(as_measured("ResendCode, too soon"), resend(), keyed(name)).await;
        assert_eq!(early.unwrap_err(), ErrorCode::RATE_LIMITED);
        let code = self.node.emails.code(&email, 1).await;
        let set = "UPDATE verifications SET requested_at = requested_at - 61000";
        self.psql(&format!("{set} WHERE id = '{id}'"));
        self.call(as_measured("ResendCode"), resend(), keyed(name)).await;
        let session = self.call(None, verify_email(id, &code), here()).await;
        let access = session.access_token.expose_str().unwrap().to_owned();
        let change = update_with_password(&access);
        let change = user_proto::UpdateUser { email: Some(new_email.as_str().into()), ..change };
        let changed = self.call(as_measured("UpdateUser, the address"), change, here()).await;
        let confirm = ConfirmEmail {
            access_token: access.as_str().into(),
            verification_id: changed.verification_id.unwrap(),
            code: self.node.emails.code(&new_email, 1).await.into(),
        };
        self.call(as_measured("ConfirmEmail"), confirm, here()).await;
        let change = update_with_password(&access);
        let change = user_proto::UpdateUser { new_password: Some(NEW_PASSWORD.into()), ..change };
        self.call(as_measured("UpdateUser, the password"), change, here()).await;
        let requested = self.call(None, request_reset(&new_email), here()).await;
        let emails = self.node.emails.wait_for(&new_email, 3).await;
        let is_reset = |email: &&ReceivedEmail| email.subject.contains("password");
        let code = emails.iter().filter(is_reset).find_map(ReceivedEmail::code).unwrap();
        let reset = reset(requested.verification_id, &code);
        self.call(as_measured("ResetPassword"), reset, here()).await;
        let wrong = login(&new_email, PASSWORD);
        self.attempt(as_measured("Login, a wrong password"), wrong, here()).await.unwrap_err();
    }

    /// Makes each request once that presents a refresh token which is not plain, or a token of a
    /// session that has ended. Measures them if `is_warm` is set.
    pub async fn run_refused(&mut self, name: &str, is_warm: bool) {
        let as_measured = |request| is_warm.then_some(request);
        let here = || client_of(name);
        let ada = self.account(name).await;
        let of = |token: &Secret<'static>| RefreshToken { refresh_token: token.clone() };
        let first = ada.session.refresh_token.clone();
        self.call(None, of(&first), here()).await;
        self.call(as_measured("RefreshToken, repeated"), of(&first), here()).await;
        let of_ada = format!("WHERE user_id = '{}'", ada.session.user_id);
        self.psql(&format!("UPDATE sessions SET counter = counter + 5 {of_ada}"));
        let stolen = self.attempt(as_measured("RefreshToken, stolen"), of(&first), here());
        assert_eq!(stolen.await.unwrap_err(), ErrorCode::SESSION_REVOKED);
        let session = self.call(None, login(&ada.email, PASSWORD), here()).await;
        let set = "SET refreshes = 60, refreshes_since = rotated_at";
        self.psql(&format!("UPDATE sessions {set} {of_ada}"));
        let often = self.attempt(
            as_measured("RefreshToken, too often"),
            of(&session.refresh_token),
            here(),
        );
        assert_eq!(often.await.unwrap_err(), ErrorCode::RATE_LIMITED);
        let logout = |token: &Secret<'static>| Logout { token: token.clone(), all_sessions: None };
        let request = as_measured("Logout with a refresh token");
        self.call(request, logout(&session.refresh_token), here()).await;
        let session = self.call(None, login(&ada.email, PASSWORD), here()).await;
        self.psql(&format!("DELETE FROM sessions {of_ada}"));
        let request = as_measured("Logout, repeated");
        let repeated = self.attempt(request, logout(&session.access_token), here()).await;
        assert_eq!(repeated.unwrap_err(), ErrorCode::SESSION_REVOKED);
    }

    async fn account(&self, name: &str) -> Account {
        self.node.account(&self.client, name).await
    }

    /// Returns the statements of each request, and the table of results.
    async fn results(&self) -> (Vec<(&'static str, Vec<String>)>, String) {
        // Until a task in the background that has begun has also shown what it is.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let trips = self.proxy.trips();
        let own = of_requests(&trips);
        let mut table = "| request | round trips | time |\n| --- | --- | --- |\n".to_owned();
        let mut statements = Vec::new();
        for Measured { request, span, time } in &self.measured {
            let trips = own.iter().filter(|(index, _)| span.contains(index));
            let trips: Vec<_> = trips.map(|(_, trip)| trip.statement.clone()).collect();
            writeln!(table, "| {request} | {} | {} ms |", trips.len(), time.as_millis()).unwrap();
            statements.push((*request, trips));
        }
        (statements, table)
    }
}

/// Returns the round trips that do not belong to transactions of background tasks, with their
/// numbers.
fn of_requests(trips: &[RoundTrip]) -> Vec<(usize, &RoundTrip)> {
    let mut transactions: Vec<Vec<(usize, &RoundTrip)>> = Vec::new();
    let mut open = std::collections::HashMap::new();
    for (index, trip) in trips.iter().enumerate() {
        let begins = trip.statement.starts_with("BEGIN");
        let transaction = match open.get(&trip.connection) {
            Some(number) if !begins => *number,
            _ => {
                transactions.push(Vec::new());
                transactions.len() - 1
            }
        };
        transactions[transaction].push((index, trip));
        if begins {
            open.insert(trip.connection, transaction);
        } else if ["COMMIT", "ROLLBACK"].contains(&trip.statement.as_str()) {
            open.remove(&trip.connection);
        }
    }
    let is_background = |transaction: &Vec<(usize, &RoundTrip)>| {
        transaction
            .iter()
            .any(|(_, trip)| BACKGROUND.iter().any(|part| trip.statement.contains(part)))
    };
    transactions.into_iter().filter(|transaction| !is_background(transaction)).flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_needs_more_round_trips_than_stated() {
    let Some(bench) = Bench::start().await else { return };
    expect_limits(bench).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_with_prepared_statements_costs_no_round_trips() {
    let Some((_pooler, bench)) = Bench::behind_pooler().await else { return };
    expect_limits(bench).await;
}

/// Makes all requests twice, and measures the second time, with a delay if it is given.
async fn run_all(bench: &mut Bench, delay: Option<Duration>) {
    for (names, is_warm) in [(["ada", "joan", "mary"], false), (["grace", "ruth", "zoe"], true)] {
        if is_warm && let Some(delay) = delay {
            bench.proxy.delay(delay);
        }
        let [plain, changes, refused] = names;
        bench.run(plain, is_warm).await;
        bench.run_changes(changes, is_warm).await;
        bench.run_refused(refused, is_warm).await;
    }
}

/// Returns the options of a request with an idempotency key, for a user with this name.
fn keyed(name: &str) -> Common<'static> {
    let key = IdempotencyKey(*Uuid::new_v4().as_bytes());
    Common { idempotency_key: Some(key), ..client_of(name) }
}

/// Returns the options of a request for a user with this name, who has an address of their own.
fn client_of(name: &str) -> Common<'static> {
    let number = name.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    on_behalf_of(&format!("203.0.{number}.7"))
}

async fn expect_limits(mut bench: Bench) {
    run_all(&mut bench, None).await;
    let (measured, _) = bench.results().await;
    for (request, limit) in LIMITS {
        let (_, trips) = measured.iter().find(|(name, _)| name == request).unwrap();
        assert!(trips.len() <= *limit, "{request}: {} {trips:#?}", trips.len());
    }
    bench.node.stop().await;
}

/// Run by `bench/round-trips`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn the_table_of_round_trips() {
    let Some(mut bench) = Bench::start().await else { return };
    run_all(&mut bench, Some(DISTANCE)).await;
    let (measured, table) = bench.results().await;
    println!("{table}");
    if std::env::var_os("STATEMENTS").is_some() {
        for (request, trips) in measured {
            println!("{request}");
            for statement in trips {
                println!("    {}", statement.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
    }
    bench.node.stop().await;
}
