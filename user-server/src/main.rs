//! The entry point: arguments, configuration, logs and signals.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use user_server::admin::{self, CommandError, CommandResult};
use user_server::config::{Config, LogFormat, VARIABLES};
use user_server::domain::{Fault, SystemClock};
use user_server::process::{LogFlush, LogStyle, start_logs};
use user_server::service::{Service, StartError};
use user_server::store::without_notices;
use zeroizing_alloc::ZeroAlloc;

/// Wipes memory when it is freed, including copies that libraries make of passwords and tokens. A
/// token check allocates nothing, so this does not slow it down.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

/// Exit code if the configuration is invalid (`EX_USAGE` of sysexits.h).
const EXIT_CONFIG: u8 = 64;

/// Server of the user service: registers users with a one-time code sent by email, logs them in,
/// and verifies their access tokens, over a framed binary TCP protocol
///
/// Without a command, the server is started. It is configured by environment variables only. With
/// none set, it uses an embedded database in ./user-data and writes emails to files.
#[derive(Parser)]
#[command(version, after_long_help = variables(), max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Update the schema of the database
    ///
    /// A server start with MIGRATE=start does the same.
    Migrate(admin::MigrateArgs),
    /// Test the configuration and every connection that it names
    ///
    /// Prints one line per check. Changes nothing.
    Check,
    /// Measure password hashes on this machine, and recommend ARGON2_* and HASH_THREADS
    Calibrate {
        /// Maximum duration of a hash in milliseconds, while every core is hashing
        #[arg(long, default_value_t = 100)]
        target_ms: u32,
        /// Approximate duration of the measurement in seconds
        #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=3600))]
        seconds: u32,
        /// Print only the number of hashes of the lowest cost that all cores compute per second
        #[arg(long)]
        floor: bool,
    },
    /// Check every row of the database
    ///
    /// A server may run at the same time. Changes nothing. The exit code is 1 if a row violates an
    /// invariant.
    Fsck,
    /// List keys, generate one, or retire one
    Keys {
        #[command(subcommand)]
        command: admin::KeysCommand,
    },
    /// Import users of another service from a file or a table
    ///
    /// The exit code is 0 if all rows were imported, 1 if some were rejected, and 2 if the import
    /// could not continue.
    Import(admin::ImportArgs),
    /// Export all users with their password hashes, for another service
    Export(admin::ExportArgs),
    /// Show and change accounts
    ///
    /// A server may run at the same time.
    User(admin::UserArgs),
    /// List and verify the audit log
    Audit(admin::AuditArgs),
    /// Copy the embedded database and its secret to one file
    ///
    /// A server may run at the same time.
    Backup(admin::BackupArgs),
    /// Restore a backup, end every session and invalidate every code
    Restore(admin::RestoreArgs),
}

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    if let Some(Command::Calibrate { target_ms, seconds, floor }) = command {
        let result = calibrate(
            Duration::from_millis(target_ms.into()),
            Duration::from_secs(seconds.into()),
            floor,
        );
        return result.map_or_else(|fault| fail(1, &fault.into()), |()| ExitCode::SUCCESS);
    }
    let terminal = std::io::stderr().is_terminal();
    let variable =
        |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let config = match Config::read(&variable, terminal) {
        Ok(config) => config,
        Err(errors) => {
            let _ = writeln!(std::io::stderr(), "{errors}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    // Until the end of `main`, so that the last lines are written too.
    let _logs = match start_log(&config) {
        Ok(logs) => logs,
        Err(error) => return fail(1, &error.into()),
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error.into()),
    };
    // An import that could not continue differs from one that rejected some rows.
    let failed = if matches!(command, Some(Command::Import(_))) { 2 } else { 1 };
    match runtime.block_on(execute(&config, command)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(failed, &error),
    }
}

async fn execute(config: &Config, command: Option<Command>) -> CommandResult {
    match command {
        None => run(config).await,
        Some(Command::Migrate(args)) => admin::migrate(config, args).await,
        Some(Command::Check) => check(config).await,
        // Executed before, because it needs no configuration.
        Some(Command::Calibrate { .. }) => Ok(0),
        Some(Command::Fsck) => fsck(config).await,
        Some(Command::Keys { command }) => admin::keys(config, command).await,
        Some(Command::Import(args)) => admin::import(config, args).await,
        Some(Command::Export(args)) => admin::export(config, args).await,
        Some(Command::User(args)) => admin::user(config, args).await,
        Some(Command::Audit(args)) => admin::audit(config, args).await,
        Some(Command::Backup(args)) => admin::backup(config, args).await,
        Some(Command::Restore(args)) => admin::restore(config, args).await,
    }
}

fn calibrate(target: Duration, duration: Duration, floor: bool) -> Result<(), Fault> {
    let mut print = |line: &str| drop(writeln!(std::io::stdout(), "{line}"));
    if floor {
        admin::floor_rate(duration, &mut print)
    } else {
        admin::calibrate(target, duration, &mut print)
    }
}

async fn check(config: &Config) -> CommandResult {
    let findings = admin::check(config).await;
    let mut out = std::io::stdout();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    match findings.iter().filter(|finding| !finding.good).count() {
        0 => Ok(0),
        failed => Err(CommandError::new(format!("{failed} of {} checks failed", findings.len()))),
    }
}

async fn fsck(config: &Config) -> CommandResult {
    let invariants = admin::fsck(config).await?;
    let mut out = std::io::stdout();
    for invariant in &invariants {
        writeln!(out, "{invariant}")?;
    }
    match invariants.iter().filter(|invariant| invariant.violations > 0).count() {
        0 => Ok(0),
        violated => {
            let total = invariants.len();
            Err(CommandError::new(format!("{violated} of {total} invariants are violated")))
        }
    }
}

async fn run(config: &Config) -> CommandResult {
    // Before the service starts, so that no signal is lost.
    let mut signals = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    // Also without TLS: a closed terminal or a log rotation must not end the service.
    let hangups = signal(SignalKind::hangup())?;
    let service = Service::start(config, Arc::new(SystemClock)).await.map_err(start_error)?;
    print_summary(config, &service);
    tokio::select! {
        () = next(&mut signals) => {}
        () = reload_on_hangup(hangups, &service) => {}
    }
    service.set_draining();
    let shutdown = async {
        if !config.drain_delay.is_zero() {
            let delay = config.drain_delay;
            tracing::info!(?delay, "shutting down; still accepting connections");
            tokio::time::sleep(delay).await;
        }
        tracing::info!("shutting down");
        service.stop().await;
    };
    tokio::select! {
        () = shutdown => tracing::info!("stopped"),
        () = next(&mut signals) => tracing::warn!("second signal; stopped at once"),
    }
    Ok(0)
}

fn start_error(error: StartError) -> CommandError {
    let hint = error.hint();
    let error = CommandError::new(error.to_string());
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Reloads the certificate on each SIGHUP, and logs what was reloaded.
async fn reload_on_hangup(mut hangups: Signal, service: &Service) {
    while hangups.recv().await.is_some() {
        if !service.reload_certificate() {
            tracing::info!("SIGHUP: nothing to reload, because TLS is off");
        }
    }
    std::future::pending().await
}

/// Waits for the next SIGTERM or SIGINT.
async fn next([terminate, interrupt]: &mut [Signal; 2]) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Prints on stdout which components are in use.
fn print_summary(config: &Config, service: &Service) {
    let secret =
        if config.secret.is_some() { "from JWTSECRETKEY" } else { "stored in the data folder" };
    let data = match &config.postgres {
        Some(postgres) => format!("{} (PostgreSQL)", postgres.options.location()),
        None => format!("{} (SQLite)", config.data_dir.display()),
    };
    let cache = match &config.cache {
        Some(server) => server.location(),
        None if config.postgres.is_some() => "none; set REDIS_URL to share one".to_owned(),
        None => "in-process".to_owned(),
    };
    let emails = match &config.smtp {
        Some(server) => server.to_string(),
        None => config.mail_dir.display().to_string(),
    };
    let transport = match &config.tls {
        Some(tls) if tls.client_authorities.is_some() => "TLS 1.3 with client certificates",
        Some(_) => "TLS 1.3",
        None => "TCP without TLS",
    };
    let monitor = match service.monitor_address() {
        Some(address) => format!("http://{address}/metrics, /readyz, /livez"),
        None => "off; set METRICS_ADDR to turn them on".to_owned(),
    };
    let text = format!(
        "user-server {} listening on {}\n  \
         transport {transport}\n  \
         data      {data}\n  \
         cache     {cache}\n  \
         emails    {emails}\n  \
         secret    {secret}\n  \
         metrics   {monitor}\n",
        env!("CARGO_PKG_VERSION"),
        service.address(),
    );
    // If stdout is closed, the service runs nevertheless.
    let _ = std::io::stdout().write_all(text.as_bytes());
    tracing::info!(address = %service.address(), version = env!("CARGO_PKG_VERSION"), "started");
}

/// Starts the log. It stops when the returned value is dropped.
fn start_log(config: &Config) -> std::io::Result<LogFlush> {
    let style = match config.log_format {
        LogFormat::Pretty => LogStyle::Text { colours: std::env::var_os("NO_COLOR").is_none() },
        LogFormat::Json => LogStyle::Json,
    };
    let logs = start_logs(&without_notices(&config.log), style)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(logs)
}

/// Logs a panic. Its message is logged only if it is a constant, because a formatted one could
/// contain what a user has sent.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let text = panic.payload().downcast_ref::<&str>().copied().unwrap_or("see the location");
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(panic = text, location, "internal error: a panic; please report it");
}

/// Returns the description of the environment variables for `--help`.
fn variables() -> String {
    let mut text = String::from("Environment variables:\n");
    for variable in VARIABLES {
        let default = if variable.default.is_empty() { "not set" } else { variable.default };
        text.push_str(&format!("  {} [default: {default}]\n", variable.name));
        text.push_str(&indented(variable.meaning));
    }
    let secrets: Vec<&str> =
        VARIABLES.iter().filter(|variable| variable.secret).map(|variable| variable.name).collect();
    text.push_str(&format!(
        "\nThe secrets among them ({}) can also be read from a file, named by the variable \
         with the suffix _FILE, or from a systemd credential with the name of the variable.\n",
        secrets.join(", "),
    ));
    text
}

/// Wraps a text into indented lines that fit on a terminal of 80 columns.
fn indented(text: &str) -> String {
    const INDENT: &str = "          ";
    const WIDTH: usize = 78;
    let (mut lines, mut line) = (String::new(), INDENT.to_owned());
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > WIDTH && line.len() > INDENT.len() {
            lines.push_str(&line);
            lines.push('\n');
            line = INDENT.to_owned();
        }
        if line.len() > INDENT.len() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines + &line + "\n"
}

/// Prints an error and its hint on stderr, and returns the exit code.
fn fail(code: u8, error: &CommandError) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::from(code)
}
