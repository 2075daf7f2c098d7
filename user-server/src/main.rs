//! The entry point: arguments, configuration, logs and signals.

mod cli;
mod manual;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cli::{CalibrateArgs, CheckArgs, Cli, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use user_server::admin::{self, CommandError, CommandResult, Level};
use user_server::config::{Config, EnvFile, LogFormat, printable};
use user_server::domain::{Fault, SystemClock};
use user_server::process::{LogFlush, LogStyle, notify_ready, notify_stopping, report, start_logs};
use user_server::service::{Service, StartError};
use user_server::store::without_notices;
use user_server::tokens;
use zeroizing_alloc::ZeroAlloc;

/// Wipes memory when it is freed, including copies that libraries make of passwords and tokens. A
/// token check allocates nothing, so this does not slow it down.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

/// Exit code if the configuration is invalid (`EX_USAGE` of sysexits.h).
const EXIT_CONFIG: u8 = 64;

/// Time after a signal to shut down within which another one counts as the same.
const SAME_SIGNAL: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    tokens::register_process();
    let Cli { env_file, command } = match cli::parse() {
        Ok(cli) => cli,
        Err(error) => return exit_by(&error),
    };
    if let Some(code) = command.as_ref().and_then(without_settings) {
        return code;
    }
    let config = match read_config(env_file.as_deref()) {
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
    // A health check runs every few seconds, and `check` prints them by itself.
    if !matches!(command, Some(Command::Check(_))) {
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error.into()),
    };
    // An import that could not continue differs from one that rejected some rows.
    let failed = if matches!(command, Some(Command::Import(_))) { 2 } else { 1 };
    // In a box, because tokio would compile it three times, once for each way to wait for it.
    let execution: Pin<Box<dyn Future<Output = CommandResult>>> =
        Box::pin(execute(&config, command));
    match runtime.block_on(execution) {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(failed, &admin::named(&config, error)),
    }
}

/// Prints an error of the arguments, the help or the version, and returns the exit code.
fn exit_by(error: &clap::Error) -> ExitCode {
    let shown = match error.use_stderr() {
        // An error quotes the arguments.
        true if error.to_string().chars().any(|letter| letter.is_control() && letter != '\n') => {
            write!(std::io::stderr(), "{}", printable(&error.to_string()))
        }
        _ => error.print(),
    };
    match shown {
        Err(error) if !error.kind().eq(&std::io::ErrorKind::BrokenPipe) => {
            fail(1, &CommandError::writing("standard output", error))
        }
        _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
    }
}

/// Executes a command that needs no settings. Returns `None` for any other.
fn without_settings(command: &Command) -> Option<ExitCode> {
    let result = match command {
        Command::Calibrate(args) => calibrate(args).map_err(Into::into),
        Command::Man { directory } => write_man_pages(directory),
        // The settings may name the file that this secret is meant for.
        Command::Keys { command: admin::KeysCommand::New } => admin::new_key().map(drop),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut cli::declaration(), "user-server", &mut script);
            std::io::stdout().write_all(&script).map_err(Into::into)
        }
        _ => return None,
    };
    Some(result.map_or_else(|error| fail(1, &error), |()| ExitCode::SUCCESS))
}

fn write_man_pages(directory: &Path) -> Result<(), CommandError> {
    let shown = directory.display();
    manual::write_pages(cli::declaration(), directory).map_err(|error| {
        CommandError::new(format!("cannot write to {shown}: {error}"))
            .hint("Choose a directory that can be written to.")
    })?;
    Ok(writeln!(std::io::stdout(), "wrote the man pages to {shown}")?)
}

/// Reads the settings from the environment, and otherwise from a file.
fn read_config(env_file: Option<&Path>) -> Result<Config, String> {
    let file = match env_file {
        Some(path) => EnvFile::read(path).map_err(|error| {
            let text = format!("error: cannot read the settings: {error}\nhint: {}", error.hint);
            printable(&text)
        })?,
        None => EnvFile::default(),
    };
    let variable = |name: &str| {
        let set = std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        set.or_else(|| file.value(name))
    };
    let terminal = std::io::stderr().is_terminal();
    let names: Vec<String> =
        std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    let warnings = Config::warnings_of(names.iter().map(String::as_str), file.names());
    let mut config = Config::read(&variable, terminal).map_err(|errors| {
        let lines = warnings.iter().map(|warning| format!("warning: {}\n", printable(warning)));
        lines.chain([errors.to_string()]).collect::<String>()
    })?;
    config.warnings.extend(warnings);
    config.warnings.extend(file.warning());
    Ok(config)
}

async fn execute(config: &Config, command: Option<Command>) -> CommandResult {
    match command {
        None => run(config).await,
        Some(Command::Migrate(args)) => admin::migrate(config, args).await,
        Some(Command::Check(CheckArgs { ready: true, json })) => admin::ready(config, json).await,
        Some(Command::Check(args)) => check(config, args.json).await,
        Some(Command::Status(args)) => admin::status(config, &args),
        Some(Command::Fsck { json }) => fsck(config, json).await,
        Some(Command::Keys { command }) => admin::keys(config, command).await,
        Some(Command::Import(args)) => admin::import(config, args).await,
        Some(Command::Export(args)) => admin::export(config, args).await,
        Some(Command::User(args)) => admin::user(config, args).await,
        Some(Command::Audit(args)) => admin::audit(config, args).await,
        Some(Command::Backup(args)) => admin::backup(config, args).await,
        Some(Command::Restore(args)) => admin::restore(config, args).await,
        // Executed before, because they need no settings.
        Some(Command::Calibrate(_) | Command::Man { .. } | Command::Completions { .. }) => Ok(0),
    }
}

fn calibrate(args: &CalibrateArgs) -> Result<(), Fault> {
    let mut print = |line: &str| drop(writeln!(std::io::stdout(), "{line}"));
    let duration = Duration::from_secs(args.seconds.into());
    if args.floor {
        admin::floor_rate(duration, &mut print)
    } else {
        admin::calibrate(Duration::from_millis(args.target_ms.into()), duration, &mut print)
    }
}

async fn check(config: &Config, json: bool) -> CommandResult {
    let findings = admin::check(config).await;
    let mut out = std::io::stdout();
    for finding in &findings {
        match json {
            true => writeln!(out, "{}", finding.as_json())?,
            false => writeln!(out, "{finding}")?,
        }
    }
    match findings.iter().filter(|finding| finding.level == Level::Wrong).count() {
        0 => Ok(0),
        failed => Err(CommandError::new(format!("{failed} of {} checks failed", findings.len()))),
    }
}

async fn fsck(config: &Config, json: bool) -> CommandResult {
    let invariants = admin::fsck(config).await?;
    let mut out = std::io::stdout();
    for invariant in &invariants {
        match json {
            true => writeln!(out, "{}", admin::invariant_json(invariant))?,
            false => writeln!(out, "{invariant}")?,
        }
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
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        tokio::spawn(report(service.status()));
    }
    notify_ready();
    tokio::select! {
        () = next(&mut signals) => {}
        () = reload_on_hangup(hangups, &service) => {}
    }
    notify_stopping();
    service.set_draining();
    let shutdown = async {
        if !config.drain_delay.is_zero() {
            let delay = config.drain_delay;
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(delay_ms, "shutting down; still accepting connections");
            tokio::time::sleep(delay).await;
        }
        tracing::info!("shutting down");
        service.stop().await;
    };
    // Some programs send a signal to the process and also to its group.
    let second = async {
        let first_at = Instant::now();
        next(&mut signals).await;
        while first_at.elapsed() < SAME_SIGNAL {
            next(&mut signals).await;
        }
    };
    tokio::select! {
        () = shutdown => tracing::info!("stopped"),
        () = second => tracing::warn!("second signal; stopped at once"),
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

/// Reloads the certificate on each SIGHUP, or logs that TLS is off. Does not return.
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
    let secret = match &config.secret_source {
        Some(source) => format!("from {source}"),
        None => "stored in the data folder".to_owned(),
    };
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

/// Prints an error and its hint on stderr, and returns the exit code.
fn fail(code: u8, error: &CommandError) -> ExitCode {
    if error.is_closed_pipe {
        return ExitCode::SUCCESS;
    }
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::from(code)
}
