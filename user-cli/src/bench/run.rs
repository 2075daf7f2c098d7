//! A bench from its arguments to its report: prepare, run round by round, sum up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::accounts::{self, Server};
use super::connect::Coming;
use super::engine::{self, End, Lasting, Plan, Ran};
use super::mix::{Mix, Op};
use super::redis::Keys;
use super::show::{self, Report};
use super::summary::{Ratio, Round, Target};
use super::users::{Material, Users};
use crate::args::{Bench, Scenario, TokenSource};
use crate::context::{Context, Kind};
use crate::failure::Failure;
use crate::figures::number;

/// How often the rate on the bar is counted anew.
const FRESH: Duration = Duration::from_millis(500);

pub(crate) fn run(context: &mut Context<'_>, args: &Bench) -> Result<(), Failure> {
    let mix = mix(args);
    let depth = args.depth.unwrap_or(if args.rate.is_some() { 256 } else { 1 });
    let plan = Plan {
        connections: args.connections as usize,
        depth: depth as usize,
        threads: args.threads as usize,
        warm_up: args.warm_up,
        end: args.count.map_or(End::After(args.duration), End::Count),
        rate: args.rate,
        watched: args.server_pid,
    };
    if args.scenario == Scenario::Connect && (args.rate.is_some() || args.depth.is_some()) {
        return Err(Failure::usage(
            "connect has neither a rate nor a depth",
            "Say with --connections how many come at once.",
        ));
    }
    let word = accounts::word();
    let prepared = prepare(context, args, &plan, &mix, &word)?;
    let keys = args
        .against
        .as_ref()
        .map(|url| Keys::write(url, &word, args.tokens as usize))
        .transpose()?;
    let (addr, tls) = (context.global.addr.as_str(), context.tls());
    let mut server = Rounds::default();
    let mut redis = Rounds::default();
    for number in 1..=args.rounds {
        let label = format!("{} {number}/{}", mix_name(args), args.rounds);
        let ran = match args.scenario {
            Scenario::Connect => with_bar(&label, &plan, &Coming { plan: &plan, addr, tls }),
            _ => with_bar(
                &label,
                &plan,
                &Lasting { plan: &plan, addr, tls, dialogue: |at| prepared.dialogue(at, &plan) },
            ),
        }
        .map_err(|error| {
            Failure::usage(error, format!("Look at the server at {addr} and its log."))
        })?;
        server.add(&ran, &plan);
        if let (Some(keys), Some(url)) = (&keys, &args.against) {
            let plan = Plan { watched: args.against_pid, ..plan.clone() };
            let dialogue = |at| keys.dialogue(at, plan.connections);
            let ran = with_bar(
                &label.replace(mix_name(args), "redis"),
                &plan,
                &Lasting { plan: &plan, addr: &url.addr, tls: None, dialogue },
            )
            .map_err(|error| {
                Failure::usage(error, format!("Look at the Redis at {}.", url.addr))
            })?;
            redis.add(&ran, &plan);
        }
    }
    let server = Target::new(addr, server.rounds, server.latencies);
    let redis =
        args.against.as_ref().map(|url| Target::new(&url.addr, redis.rounds, redis.latencies));
    if let Some(file) = &args.hgrm {
        [Some(&server), redis.as_ref()]
            .into_iter()
            .flatten()
            .try_for_each(|target| show::write_percentiles(target, file))?;
    }
    let none_good = server.median.values().all(|kind| kind.replies == 0);
    let report = Report {
        scenario: mix_name(args),
        how: how(args, &plan),
        connections: plan.connections,
        depth: plan.depth,
        threads: plan.threads,
        rate: plan.rate,
        mix: (args.scenario == Scenario::Mixed).then(|| mix.to_string()),
        ratio: redis.as_ref().and_then(|redis| Ratio::of_rates(&server, redis)),
        server,
        redis,
    };
    report.show(context.global.json)?;
    if none_good { Err(Failure::Said) } else { Ok(()) }
}

/// The rounds of a target so far.
#[derive(Default)]
struct Rounds {
    rounds: Vec<Round>,
    latencies: BTreeMap<Op, hdrhistogram::Histogram<u64>>,
}

impl Rounds {
    fn add(&mut self, ran: &Ran, plan: &Plan) {
        self.rounds.push(Round::of(ran, plan.threads, plan.rate.is_some()));
        for (op, class) in &ran.tally.classes {
            match self.latencies.get_mut(op) {
                // The bounds are the same everywhere.
                Some(latency) => drop(latency.add(&class.latency)),
                None => drop(self.latencies.insert(*op, class.latency.clone())),
            }
        }
    }
}

fn mix(args: &Bench) -> Mix {
    match args.scenario {
        Scenario::Mixed => args.mix.clone(),
        Scenario::Verify => Mix::only(Op::Verify),
        Scenario::Login => Mix::only(Op::Login),
        Scenario::Register => Mix::only(Op::Register),
        Scenario::Refresh => Mix::only(Op::Refresh),
        Scenario::Get => Mix::only(Op::Get),
        Scenario::Connect => Mix::only(Op::Connect),
        Scenario::Ping => Mix::only(Op::Ping),
    }
}

fn mix_name(args: &Bench) -> &'static str {
    match args.scenario {
        Scenario::Mixed => "mixed",
        Scenario::Verify => "verify",
        Scenario::Login => "login",
        Scenario::Register => "register",
        Scenario::Refresh => "refresh",
        Scenario::Get => "get",
        Scenario::Connect => "connect",
        Scenario::Ping => "ping",
    }
}

fn how(args: &Bench, plan: &Plan) -> String {
    let span = |time: Duration| format!("{} s", number(time.as_secs_f64()).trim_end_matches(".0"));
    let depth = if args.scenario == Scenario::Connect {
        String::new()
    } else {
        format!(", depth {}", plan.depth)
    };
    let pace = plan.rate.map_or("closed loop".to_owned(), |rate| format!("open loop at {rate}/s"));
    let length = match plan.end {
        End::After(time) => span(time),
        End::Count(count) => format!("{count} requests"),
    };
    let mix =
        if args.scenario == Scenario::Mixed { format!(" of {}", args.mix) } else { String::new() };
    format!(
        "{} connections{depth}, {pace}{mix}, {} round(s) of {length} after {}, {} thread(s)",
        plan.connections,
        args.rounds,
        span(plan.warm_up),
        plan.threads,
    )
}

/// What the connections of a run are given.
struct Prepared {
    material: Arc<Material>,
    sessions: Vec<accounts::Session>,
    sessions_each: usize,
}

impl Prepared {
    fn dialogue(&self, number: usize, plan: &Plan) -> Users {
        let first = number * self.sessions_each;
        let own = self.sessions.get(first..first + self.sessions_each).unwrap_or_default();
        Users::new(self.material.clone(), number, plan.connections, plan.depth, own)
    }
}

fn prepare(
    context: &mut Context<'_>,
    args: &Bench,
    plan: &Plan,
    mix: &Mix,
    word: &str,
) -> Result<Prepared, Failure> {
    let wants_tokens = mix.holds(Op::Verify) || mix.holds(Op::Get);
    let has_accounts = args.accounts.is_some() || args.mail_dir.is_some();
    let stored = TokenSource { token: None, token_stdin: false };
    let (mut accounts, mut tokens, mut sessions, mut sessions_each) =
        (Vec::new(), Vec::new(), Vec::new(), 0);
    if mix.holds(Op::Login) || mix.holds(Op::Refresh) || wants_tokens && has_accounts {
        let server = Server::at(&context.global.addr, context.tls());
        // What is under way at once of a share, and a few more, since replies do not come evenly.
        let under_way = (plan.depth as f64 * mix.share(Op::Refresh)).ceil() as usize * 2;
        sessions_each = if mix.holds(Op::Refresh) { under_way.min(plan.depth) } else { 0 };
        (accounts, tokens, sessions) = context.until_interrupted(async {
            let files = (args.accounts.as_deref(), args.mail_dir.as_deref());
            let accounts = server.accounts(files.0, files.1, args.users as usize).await?;
            let sessions = server.sessions(&accounts, sessions_each * plan.connections).await?;
            let tokens = if wants_tokens {
                let first =
                    server.sessions(&accounts, accounts.len().min(args.tokens as usize)).await?;
                server.tokens(first, args.tokens as usize).await?
            } else {
                Vec::new()
            };
            Ok::<_, Failure>((accounts, tokens, sessions))
        })??;
    } else if wants_tokens {
        context.load()?;
        tokens.push(context.token(Kind::Access, &stored)?);
    }
    let material = Arc::new(Material::new(mix, &tokens, accounts, word.to_owned()));
    Ok(Prepared { material, sessions, sessions_each })
}

/// Runs with a bar on the terminal, where there is one.
fn with_bar(label: &str, plan: &Plan, drive: &impl engine::Drive) -> Result<Ran, String> {
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template("{prefix:20} {bar:40} {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(label.to_owned());
    let (mut at, mut before) = (Instant::now(), 0);
    let ran = engine::run(plan, drive, &mut |replies, part| {
        bar.set_position((part * 1000.0) as u64);
        let elapsed = at.elapsed();
        if elapsed >= FRESH {
            #[allow(clippy::cast_precision_loss, reason = "it is shown to a person")]
            let rate = (replies - before) as f64 / elapsed.as_secs_f64();
            bar.set_message(format!("{}/s", number(rate)));
            (at, before) = (Instant::now(), replies);
        }
    });
    bar.finish_and_clear();
    ran
}
