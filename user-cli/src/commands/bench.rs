use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::bench::accounts;
use crate::bench::connect::ShortConnections;
use crate::bench::counters::OpCounters;
use crate::bench::cpu::CpuTime;
use crate::bench::engine::{End, PersistentConnections, Plan, RunResult};
use crate::bench::interrupt::Interrupt;
use crate::bench::mix::{Mix, Op};
use crate::bench::peer::{Keys, PeerUrl};
use crate::bench::prepare::{Source, prepare};
use crate::bench::progress::run_with_progress;
use crate::bench::report::{self, Report};
use crate::bench::summary::{Ratio, Results};
use crate::bench::user_service::code_name;
use crate::context::{Context, Needs, Run};
use crate::failure::Failure;
use crate::format::{counted, number};
use crate::options::{parse_duration, parse_duration_or_zero};
use crate::output;

/// Time before a run of a certain duration during which requests are not measured.
const DEFAULT_WARM_UP: Duration = Duration::from_secs(1);

/// Note about an interrupt that left no results.
const NOTHING_MEASURED: &str = "note: interrupted before anything was measured";

/// Generate load on a server and measure its throughput, latencies and errors
#[derive(Args)]
#[command(after_long_help = "\
Requirements of the scenarios:
  ping, connect, register      none
  verify                       the stored session, or accounts
  get, refresh, login, mixed   accounts

Accounts:
  The file of --accounts contains one account per line: the login, a space, and the password. If it
  does not exist, --mail-dir must be the directory that the server writes its emails to. Accounts
  are then registered with the codes from the emails, and written to the file for the next test.
  They are not deleted afterwards, so use a test server. Each request carries a different client
  address, as from a gateway, so that no rate limit applies; the server must trust this peer, as it
  trusts loopback by default.

Closed and open loop:
  By default, each connection keeps --depth requests in flight and sends the next one when a reply
  arrives (closed loop). With --rate, requests are sent on a fixed schedule (open loop), and their
  latency counts from the scheduled time, so that a stall of the server shows in the latencies.

The server refreshes a session at most 60 times an hour, and logs an account in at most 100 times an
hour; above that, a test of these shows how fast it refuses.

Ctrl-C ends the test early and prints the results until then; the exit code is 130.

Examples:
  user-cli bench ping --connections 50 --depth 16
  user-cli bench verify --mail-dir user-data/mails --tokens 10000 --depth 16
  user-cli bench verify --against redis://127.0.0.1:6379 --runs 5
  user-cli bench login --mail-dir user-data/mails --users 128 --duration 30s
  user-cli bench mixed --mail-dir user-data/mails --mix verify=9,login=1 --rate 500 --hgrm mixed")]
pub(crate) struct Bench {
    /// Requests to send
    #[arg(value_enum)]
    scenario: Scenario,
    /// Number of concurrent connections
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    connections: u32,
    /// Requests in flight per connection [default: 1; 256 with --rate]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    depth: Option<u32>,
    /// Number of client threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,
    /// Duration of a run
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    duration: Duration,
    /// Number of requests that are measured in a run, instead of a duration
    #[arg(long, conflicts_with_all = ["duration", "rate"])]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Time before each run during which further requests are sent but not measured [default: 1s;
    /// 0s with --count]
    #[arg(long, value_name = "TIME", value_parser = parse_duration_or_zero)]
    warm_up: Option<Duration>,
    /// Requests per second over all connections; makes the test an open loop
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,
    /// Shares of the requests in the scenario `mixed`
    #[arg(long, value_name = "SHARES", default_value = "verify=94,get=3,refresh=2,login=1")]
    mix: Mix,
    /// Number of runs; the report contains medians over all runs
    #[arg(long, alias = "rounds", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Redis or memcached server for comparison: runs of GET, with values of the size of a
    /// TokenVerified frame, alternate with the runs against the server. Always without TLS
    #[arg(long, value_name = "redis://HOST:PORT")]
    against: Option<PeerUrl>,
    /// Number of accounts to register
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    users: u32,
    /// Number of distinct access tokens, and of keys for --against
    #[arg(long, default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    tokens: u32,
    /// File with one account per line: login and password, separated by a space
    #[arg(long, value_name = "FILE")]
    accounts: Option<PathBuf>,
    /// Directory that the server writes its emails to
    #[arg(long, value_name = "DIR")]
    mail_dir: Option<PathBuf>,
    /// Write the latency percentiles of each kind of request to FILE-KIND.hgrm, in the format of
    /// HdrHistogram
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
    /// Process id of the server on this machine, to measure its CPU time per reply
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Process id of Redis on this machine, to measure its CPU time per reply
    #[arg(long, value_name = "PID", requires = "against")]
    against_pid: Option<u32>,
}

/// Kind of requests that a load test sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Scenario {
    /// VerifyToken with many tokens
    Verify,
    /// Login, with a password hash each
    Login,
    /// Register with new accounts
    Register,
    /// RefreshToken
    Refresh,
    /// GetUser
    Get,
    /// A mix of requests, as set with --mix
    Mixed,
    /// Open a connection, ping, and close it
    Connect,
    /// Ping, to measure the protocol without the service
    Ping,
}

impl Scenario {
    /// Returns the kind of request that the scenario sends, or `None` for a mix of several kinds.
    fn op(self) -> Option<Op> {
        Some(match self {
            Self::Verify => Op::Verify,
            Self::Login => Op::Login,
            Self::Register => Op::Register,
            Self::Refresh => Op::Refresh,
            Self::Get => Op::Get,
            Self::Connect => Op::Connect,
            Self::Ping => Op::Ping,
            Self::Mixed => return None,
        })
    }

    fn name(self) -> &'static str {
        self.op().map_or("mixed", Op::name)
    }
}

impl Run for Bench {
    fn needs(&self) -> Needs {
        match self.scenario {
            Scenario::Ping | Scenario::Connect => Needs::Connection,
            _ => Needs::Secrets,
        }
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        let is_connect = self.scenario == Scenario::Connect;
        if is_connect && (self.rate.is_some() || self.depth.is_some()) {
            return Err(Failure::usage(
                "the scenario connect does not support --rate and --depth",
                "Set the number of concurrent connections with --connections.",
            ));
        }
        // Before anything is registered or measured.
        if let Some(file) = &self.hgrm {
            report::check_writable(file)?;
        }
        if let Some(pid) = [self.server_pid, self.against_pid]
            .into_iter()
            .flatten()
            .find(|pid| cfg!(target_os = "linux") && CpuTime::of(*pid).is_none())
        {
            return Err(Failure::usage(
                format!("no process has the id {pid}"),
                "Pass the process id of the server with --server-pid, and of Redis with \
                 --against-pid.",
            ));
        }
        let plan = self.plan();
        let mix = self.scenario.op().map_or_else(|| self.mix.clone(), Mix::only);
        let source = Source {
            file: self.accounts.as_deref(),
            mail_dir: self.mail_dir.as_deref(),
            users: self.users as usize,
            tokens: self.tokens as usize,
        };
        let prefix = accounts::unique_prefix();
        let prepared = prepare(context, &source, &plan, &mix, &prefix).inspect_err(|failure| {
            if matches!(failure, Failure::Interrupted) {
                output::error_line(NOTHING_MEASURED);
            }
        })?;
        let peer = match &self.against {
            Some(url) => Some((url, Keys::write(url, &prefix, source.tokens)?)),
            None => None,
        };
        let plan = Plan { interrupt: Interrupt::on_ctrl_c(), ..plan };
        let peer_plan = Plan { observed_pid: self.against_pid, ..plan.clone() };
        let (addr, tls) = (context.endpoint.addr.as_str(), context.tls());
        let (mut server_results, mut peer_results) = (Results::default(), Results::default());
        for number in 1..=self.runs {
            let label = |target: &str| format!("{target} {number}/{}", self.runs);
            let name = label(self.scenario.name());
            let result = if is_connect {
                run_with_progress(&name, &plan, &ShortConnections { plan: &plan, addr, tls })
            } else {
                let protocol = |number| prepared.protocol(number, &plan);
                let load = PersistentConnections { plan: &plan, addr, tls, protocol };
                run_with_progress(&name, &plan, &load)
            };
            let hint = || format!("Check the server at {} and its log.", context.endpoint);
            if !add(&mut server_results, result, &plan, hint)? {
                break;
            }
            if let Some((url, keys)) = &peer {
                let protocol = |number| keys.protocol(number, peer_plan.connections);
                let load = PersistentConnections {
                    plan: &peer_plan,
                    addr: &url.addr,
                    tls: None,
                    protocol,
                };
                let result = run_with_progress(&label(url.kind.name()), &peer_plan, &load);
                let hint = || format!("Check the {} server at {}.", url.kind.name(), url.addr);
                if !add(&mut peer_results, result, &peer_plan, hint)? {
                    break;
                }
            }
        }
        let interrupted = plan.interrupt.is_set();
        if interrupted && server_results.is_empty() {
            output::error_line(NOTHING_MEASURED);
            return Err(Failure::Interrupted);
        }
        let server = server_results.into_target(addr);
        // The keys are deleted here.
        let peer = peer.map(|(url, _)| (url.kind.name(), peer_results.into_target(&url.addr)));
        let peer = BTreeMap::from_iter(peer);
        let no_replies = server.median.values().all(|op| op.replies == 0);
        let report = Report {
            scenario: self.scenario.name(),
            description: self.description(&plan),
            connections: plan.connections,
            depth: plan.depth,
            threads: plan.threads,
            rate: plan.rate,
            mix: (self.scenario == Scenario::Mixed).then(|| mix.to_string()),
            interrupted,
            ratio: peer.values().next().and_then(|peer| Ratio::of_rates(&server, peer)),
            server,
            peer,
        };
        report.print(context.global.json)?;
        if let Some(file) = &self.hgrm {
            std::iter::once(&report.server)
                .chain(report.peer.values())
                .try_for_each(|target| report::write_percentiles(target, file))?;
        }
        match (interrupted, no_replies) {
            (true, _) => Err(Failure::Interrupted),
            (false, true) => Err(Failure::Reported),
            (false, false) => Ok(()),
        }
    }
}

/// Describes the refused requests of one kind: their number for each error code.
fn refusals((op, counters): (&Op, &OpCounters)) -> String {
    let codes: Vec<_> = counters
        .refused
        .iter()
        .map(|(code, count)| format!("{count} times {}", code_name(*code)))
        .collect();
    format!("{}: {}", op.name(), codes.join(", "))
}

/// Adds the result of a run, unless an interrupt ended it before anything was measured. Returns
/// true if further runs follow.
///
/// # Errors
/// If the run failed for another reason than an interrupt, or if every request was refused.
fn add(
    results: &mut Results,
    result: Result<RunResult, String>,
    plan: &Plan,
    hint: impl FnOnce() -> String,
) -> Result<bool, Failure> {
    let interrupted = plan.interrupt.is_set();
    match result {
        Ok(result) if interrupted && result.duration.is_zero() => {}
        Ok(result) if result.counters.are_refused() => {
            // A rate of refusals would say nothing about the scenario.
            let refused: Vec<_> = result.counters.ops.iter().map(refusals).collect();
            return Err(Failure::usage(
                format!("every request was refused: {}", refused.join(", ")),
                format!(
                    "{} One such request, with another command of user-cli, shows the reason.",
                    hint()
                ),
            ));
        }
        Ok(result) => results.add(&result, plan),
        Err(_) if interrupted => {}
        Err(error) => return Err(Failure::usage(error, hint())),
    }
    Ok(!interrupted)
}

impl Bench {
    fn plan(&self) -> Plan {
        let depth = self.depth.unwrap_or(if self.rate.is_some() { 256 } else { 1 });
        Plan {
            connections: self.connections as usize,
            depth: depth as usize,
            threads: self.threads as usize,
            warm_up: self.warm_up.unwrap_or(match self.count {
                Some(_) => Duration::ZERO,
                None => DEFAULT_WARM_UP,
            }),
            end: self.count.map_or(End::After(self.duration), End::Count),
            rate: self.rate,
            observed_pid: self.server_pid,
            interrupt: Interrupt::default(),
        }
    }

    /// Describes the parameters of the test in one line.
    fn description(&self, plan: &Plan) -> String {
        let seconds =
            |time: Duration| format!("{} s", number(time.as_secs_f64()).trim_end_matches(".0"));
        let depth = if self.scenario == Scenario::Connect {
            String::new()
        } else {
            format!(", depth {}", plan.depth)
        };
        let control =
            plan.rate.map_or("closed loop".to_owned(), |rate| format!("open loop at {rate}/s"));
        let mix = if self.scenario == Scenario::Mixed {
            format!(" of {}", self.mix)
        } else {
            String::new()
        };
        let length = match plan.end {
            End::After(time) => seconds(time),
            End::Count(count) => counted(usize::try_from(count).unwrap_or(usize::MAX), "request"),
        };
        format!(
            "{}{depth}, {control}{mix}, {} of {length} after {} of warm-up, {}",
            counted(plan.connections, "connection"),
            counted(self.runs as usize, "run"),
            seconds(plan.warm_up),
            counted(plan.threads, "thread"),
        )
    }
}
