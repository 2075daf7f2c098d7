//! Entry: arguments, configuration, logs, and the signals that end the service.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;
use user_server::admin::{self, Done};
use user_server::config::{Config, LogFormat, VARIABLES};
use user_server::domain::{Fault, SystemClock};
use user_server::service::Service;
use user_server::store::PostgresStore;
use zeroizing_alloc::ZeroAlloc;

/// Memory is wiped when it is given back, whoever had it: libraries copy passwords and tokens too,
/// and know nothing of secrets. A token check allocates nothing, so it pays nothing.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

/// The configuration is wrong (`EX_USAGE` of sysexits.h).
const EXIT_CONFIG: u8 = 64;

/// Registers users, mails them a one-time code, logs them in and verifies their tokens, over a
/// framed binary TCP protocol.
///
/// It is configured by environment variables alone. With none set it runs on an embedded database
/// in ./user-data and writes mails to files.
#[derive(Parser)]
#[command(version, after_long_help = variables(), max_term_width = 110)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

/// What it does but serve.
#[derive(clap::Subcommand)]
enum Command {
    /// Brings the schema of PostgreSQL up to date, and ends
    Migrate,
    /// Proves the configuration and every connection that it names, says what is wrong, and ends
    Check,
    /// Measures what password hashes cost on this machine, and recommends ARGON2_* and HASH_THREADS
    Calibrate {
        /// Milliseconds that a hash may take while every core hashes
        #[arg(long, default_value_t = 100)]
        target_ms: u32,
        /// Seconds to measure for, about
        #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=3600))]
        seconds: u32,
        /// Only print how many hashes of the least cost every core together makes in a second
        #[arg(long)]
        floor: bool,
    },
    /// Looks for rows that can not be, beside a running server; changes nothing, and ends with 1
    /// where it finds some
    Fsck,
    /// Lists keys, makes one, or ends one that was lost
    Keys {
        #[command(subcommand)]
        action: admin::KeysAction,
    },
    /// Brings users of another service along, from a file or a table: 0 all, 1 some were refused, 2
    /// it could not
    Import(admin::ImportArgs),
    /// Writes every user, with their password hashes, for another service to take over
    Export(admin::ExportArgs),
    /// Shows and changes accounts, beside a running server
    User(admin::UserArgs),
    /// Lists who did what, and proves that nobody has changed it since
    Audit(admin::AuditArgs),
    /// Copies the embedded database and its secret to one file, beside a running server
    Backup(admin::BackupArgs),
    /// Takes a copy back, and ends every session and code
    Restore(admin::RestoreArgs),
}

fn main() -> ExitCode {
    let Args { command } = Args::parse();
    if let Some(Command::Calibrate { target_ms, seconds, floor }) = command {
        let done = calibrate(
            Duration::from_millis(target_ms.into()),
            Duration::from_secs(seconds.into()),
            floor,
        );
        return done.map_or_else(|error| complain(1, &error), |()| ExitCode::SUCCESS);
    }
    let terminal = std::io::stderr().is_terminal();
    let variable =
        |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let config = match Config::read(&variable, terminal) {
        Ok(config) => config,
        Err(errors) => return complain(EXIT_CONFIG, &errors),
    };
    start_logs(&config);
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(1, &error),
    };
    // An import that could not go on is told from one that refused some rows.
    let failed = if matches!(command, Some(Command::Import(_))) { 2 } else { 1 };
    match runtime.block_on(execute(&config, command)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => complain(failed, &*error),
    }
}

async fn execute(config: &Config, command: Option<Command>) -> Done {
    match command {
        None => run(config).await?,
        Some(Command::Migrate) => migrate(config).await?,
        Some(Command::Check) => check(config).await?,
        // Answered before: it needs no configuration.
        Some(Command::Calibrate { .. }) => {}
        Some(Command::Fsck) => fsck(config).await?,
        Some(Command::Keys { action }) => admin::keys(config, action).await?,
        Some(Command::Import(args)) => return admin::import(config, args).await,
        Some(Command::Export(args)) => return admin::export(config, args).await,
        Some(Command::User(args)) => return admin::user(config, args).await,
        Some(Command::Audit(args)) => return admin::audit(config, args).await,
        Some(Command::Backup(args)) => return admin::backup(config, args).await,
        Some(Command::Restore(args)) => return admin::restore(config, args).await,
    }
    Ok(0)
}

fn calibrate(target: Duration, time: Duration, floor: bool) -> Result<(), Fault> {
    let mut say = |line: &str| drop(writeln!(std::io::stdout(), "{line}"));
    if floor { admin::floor_rate(time, &mut say) } else { admin::calibrate(target, time, &mut say) }
}

async fn migrate(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    let Some(postgres) = &config.postgres else {
        return Err(
            "PostgreSQL is not set; the embedded database brings itself up to date at each start"
                .into(),
        );
    };
    PostgresStore::migrate(&postgres.direct).await?;
    writeln!(std::io::stdout(), "the schema of {} is up to date", postgres.direct.location())?;
    Ok(())
}

async fn check(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    let findings = admin::check(config).await;
    let mut out = std::io::stdout();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    match findings.iter().filter(|finding| !finding.good).count() {
        0 => Ok(()),
        wrong => Err(format!("{wrong} of {} checks failed", findings.len()).into()),
    }
}

async fn fsck(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    let place = match &config.postgres {
        Some(postgres) => format!("the database {}", postgres.options.location()),
        None => format!(
            "the database {} (DATA_DIR says where)",
            config.data_dir.join("users.db").display()
        ),
    };
    let invariants = user_server::admin::fsck(config)
        .await
        .map_err(|fault| format!("{place} can not be looked at: {fault}"))?;
    let mut out = std::io::stdout();
    for invariant in &invariants {
        writeln!(out, "{invariant}")?;
    }
    match invariants.iter().filter(|invariant| invariant.violations > 0).count() {
        0 => Ok(()),
        broken => Err(format!("{broken} of {} invariants are broken", invariants.len()).into()),
    }
}

async fn run(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    // Before the start, so that a signal during it is not lost.
    let mut signals = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    let hangups = config.tls.as_ref().map(|_| signal(SignalKind::hangup())).transpose()?;
    let service = Service::start(config, Arc::new(SystemClock)).await?;
    announce(config, &service);
    tokio::select! {
        () = next(&mut signals) => {}
        () = reload_on_hangup(hangups, &service) => {}
    }
    service.announce_end();
    let interrupted = async {
        if !config.drain_delay.is_zero() {
            tracing::info!(delay = ?config.drain_delay, "going down; still accepting");
            tokio::time::sleep(config.drain_delay).await;
        }
        tracing::info!("going down");
        service.stop().await;
    };
    tokio::select! {
        () = interrupted => tracing::info!("stopped"),
        () = next(&mut signals) => tracing::warn!("a second signal: stopped at once"),
    }
    Ok(())
}

/// SIGHUP reads the certificate again. Without one it ends the process, as a terminal that goes
/// away expects.
async fn reload_on_hangup(hangups: Option<Signal>, service: &Service) {
    if let Some(mut hangups) = hangups {
        while hangups.recv().await.is_some() {
            service.reload_certificate();
        }
    }
    std::future::pending().await
}

async fn next([terminate, interrupt]: &mut [Signal; 2]) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// What an operator needs to know first. On standard output, since it is the answer and no log.
fn announce(config: &Config, service: &Service) {
    let secret =
        if config.secret.is_some() { "from JWTSECRETKEY" } else { "kept in the data folder" };
    let data = match &config.postgres {
        Some(postgres) => format!("{} (PostgreSQL)", postgres.options.location()),
        None => format!("{} (SQLite)", config.data_dir.display()),
    };
    let cache = match &config.cache {
        Some(server) => server.location(),
        None if config.postgres.is_some() => {
            "none; REDIS_URL names one that nodes share".to_owned()
        }
        None => "in this process".to_owned(),
    };
    let mails = match &config.smtp {
        Some(server) => server.to_string(),
        None => config.mail_dir.display().to_string(),
    };
    let transport = match &config.tls {
        Some(tls) if tls.client_authorities.is_some() => "TLS 1.3, for clients with a certificate",
        Some(_) => "TLS 1.3",
        None => "TCP without TLS",
    };
    let monitor = match service.monitor_address() {
        Some(address) => format!("http://{address}/metrics, /readyz, /livez"),
        None => "off; METRICS_ADDR turns them on".to_owned(),
    };
    let text = format!(
        "user-server {} listens on {}\n  transport {transport}\n  data      {data}\n  cache     {cache}\n  mails     {mails}\n  secret    {secret}\n  metrics   {monitor}\n",
        env!("CARGO_PKG_VERSION"),
        service.address(),
    );
    // Who started it may have closed the output; the service runs all the same.
    let _ = std::io::stdout().write_all(text.as_bytes());
    tracing::info!(address = %service.address(), version = env!("CARGO_PKG_VERSION"), "started");
}

fn start_logs(config: &Config) {
    let filter = EnvFilter::new(&config.log);
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // It would say so on standard error, where a failed write is a panic: a full disk under the log
    // would cost requests.
    let logs = logs.log_internal_errors(false);
    match config.log_format {
        LogFormat::Pretty => logs.with_ansi(std::env::var_os("NO_COLOR").is_none()).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    std::panic::set_hook(Box::new(tell_panic));
}

/// A panic is a line of the log like any other. What it says is told only where it is a text of the
/// program: one that was made may hold what a user sent.
fn tell_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let says = panic.payload().downcast_ref::<&str>().copied().unwrap_or("see the place");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(says, place, "a defect: something panicked; please report it");
}

fn variables() -> String {
    let mut text = String::from("Environment variables:\n");
    for variable in VARIABLES {
        let default = if variable.default.is_empty() { "not set" } else { variable.default };
        text.push_str(&format!(
            "  {:<20} {} [default: {default}]\n",
            variable.name, variable.meaning
        ));
    }
    let secrets: Vec<&str> =
        VARIABLES.iter().filter(|variable| variable.secret).map(|variable| variable.name).collect();
    text.push_str(&format!(
        "\nA secret may come from a file instead, named by the variable with _FILE behind it, or from a systemd credential\n\
         with the variable's name: {}.\n",
        secrets.join(", "),
    ));
    text
}

fn complain(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "user-server: {error}");
    ExitCode::from(code)
}
