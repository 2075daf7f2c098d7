//! The entry point: arguments, configuration, logs and signals.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{CommandFactory, Parser};
use tokio::signal::unix::{Signal, SignalKind, signal};
use user_http::app::App;
use user_http::cli::{Cli, Command};
use user_http::config::{Config, printable};
use user_http::demo::EmbeddedService;
use user_http::logs::{self, DroppedLines};
use user_http::{manual, self_check, service_manager};
use zeroizing_alloc::ZeroAlloc;

/// Wipes memory when it is freed, including the heads of requests, which contain tokens.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

/// Exit code if the configuration is invalid (`EX_USAGE` of sysexits.h).
const EXIT_CONFIG: u8 = 64;

/// Address of the service if SERVICE_ADDRS is not set.
const DEFAULT_SERVICE: ([u8; 4], u16) = ([127, 0, 0, 1], 3001);

/// Time after a signal to shut down within which another one counts as the same.
const SAME_SIGNAL: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let Cli { command, demo } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            // An error quotes the arguments.
            let _ = write!(std::io::stderr(), "{}", printable(&error.to_string()));
            return ExitCode::from(2);
        }
        Err(error) => error.exit(),
    };
    if let Some(Command::Man { directory }) = &command {
        return man(directory);
    }
    let terminal = std::io::stderr().is_terminal();
    let set = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let variable = |name: &str| match name {
        "JSON_API" if demo => Some("1".to_owned()),
        _ => set(name),
    };
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let warnings = Config::warnings_of(names);
    let config = match Config::read(&variable, terminal) {
        Ok(mut config) => {
            config.warnings.extend(warnings);
            Config { demo, ..config }
        }
        Err(errors) => {
            for warning in &warnings {
                let _ = writeln!(std::io::stderr(), "warning: {}", printable(warning));
            }
            let _ = writeln!(std::io::stderr(), "{}", printable(&errors.to_string()));
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    let (_guard, dropped_lines) = logs::start(&config);
    // `check` prints them by itself.
    if command.is_none() {
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string(), "Check the limits of this process."),
    };
    match command {
        Some(Command::Check) => runtime.block_on(check(&config)),
        _ if demo && set("SERVICE_ADDRS").is_none_or(|addrs| addrs.is_empty()) => {
            runtime.block_on(run_with_service(&config, dropped_lines))
        }
        _ => runtime.block_on(run(&config, dropped_lines)),
    }
}

fn man(directory: &Path) -> ExitCode {
    match manual::write_pages(Cli::command(), directory) {
        Ok(()) => {
            let _ = writeln!(std::io::stdout(), "wrote the man pages to {}", directory.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let message = format!("cannot write to {}: {error}", directory.display());
            fail(&message, "Choose a writable directory.")
        }
    }
}

async fn check(config: &Config) -> ExitCode {
    let findings = self_check::run(config).await;
    for finding in &findings {
        let _ = writeln!(std::io::stdout(), "{finding}");
    }
    match findings.iter().filter(|finding| !finding.good).count() {
        0 => ExitCode::SUCCESS,
        failed => {
            let total = findings.len();
            let _ = writeln!(std::io::stderr(), "error: {failed} of {total} checks failed");
            ExitCode::FAILURE
        }
    }
}

/// Runs the program, with a service of its own unless one runs already.
async fn run_with_service(config: &Config, dropped_lines: DroppedLines) -> ExitCode {
    let folder = std::env::current_exe().ok();
    let folder = folder.as_deref().and_then(Path::parent);
    let service = match EmbeddedService::start(DEFAULT_SERVICE.into(), folder).await {
        Ok(service) => service,
        Err(error) => return fail(&error.to_string(), error.hint()),
    };
    let code = run(config, dropped_lines).await;
    if let Some(service) = service {
        service.stop().await;
    }
    code
}

async fn run(config: &Config, dropped_lines: DroppedLines) -> ExitCode {
    // Before anything starts, so that no signal is lost.
    let signals = (|| {
        Ok::<_, std::io::Error>((
            [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?],
            signal(SignalKind::hangup())?,
        ))
    })();
    let (mut signals, mut hangups) = match signals {
        Ok(signals) => signals,
        Err(error) => return fail(&error.to_string(), "Check the limits of this process."),
    };
    let app = match App::start(config, dropped_lines).await {
        Ok(app) => app,
        Err(error) => return fail(&error.to_string(), &error.hint()),
    };
    print_summary(config, &app);
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        tokio::spawn(service_manager::report(app.status()));
    }
    service_manager::notify_ready();
    tokio::select! {
        () = next(&mut signals) => {}
        () = reload_on_hangup(&mut hangups, &app) => {}
        () = app.follow_certificate() => {}
        () = app.log_outages() => {}
    }
    service_manager::notify_stopping();
    app.set_draining();
    let shutdown = async {
        if !config.drain_delay.is_zero() {
            let delay = config.drain_delay;
            tracing::info!(?delay, "shutting down; still accepting connections");
            tokio::time::sleep(delay).await;
        }
        tracing::info!("shutting down");
        app.stop().await;
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
    ExitCode::SUCCESS
}

/// Reloads the certificates on each SIGHUP. Does not return.
async fn reload_on_hangup(hangups: &mut Signal, app: &App) {
    while hangups.recv().await.is_some() {
        app.reload();
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

/// Prints the addresses and the connection to the user service on stdout.
fn print_summary(config: &Config, app: &App) {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let service = &config.service;
    let transport = if service.tls.is_some() { "TLS 1.3" } else { "TCP without TLS" };
    let state = if app.is_service_reachable() { "reachable" } else { "not reachable yet" };
    let source = if config.proxy_protocol { "PROXY protocol" } else { "X-Forwarded-For" };
    let monitor = match app.monitor_address() {
        Some(address) => format!("http://{address}/metrics, /readyz, /livez"),
        None => "off; set METRICS_ADDR to turn them on".to_owned(),
    };
    let api = match config.api_timeout {
        Some(_) => format!("{scheme}://{}/v1, /openapi.json", app.address()),
        None => "off; set JSON_API=1 to turn it on".to_owned(),
    };
    let demo = match config.demo {
        // Browsers accept the cookies without TLS from this name only.
        true if config.tls.is_none() && app.address().ip().is_loopback() => {
            format!("  demo      http://localhost:{}/\n", app.address().port())
        }
        true => format!("  demo      {scheme}://{}/\n", app.address()),
        false => String::new(),
    };
    let text = format!(
        "user-http {} listening on {}\n  \
         check     {scheme}://{}/auth/check\n  \
         api       {api}\n\
         {demo}  \
         service   {} ({transport}, {state})\n  \
         clients   {source}\n  \
         metrics   {monitor}\n",
        env!("CARGO_PKG_VERSION"),
        app.address(),
        app.address(),
        service.addrs.join(", "),
    );
    // If stdout is closed, the program runs nevertheless.
    let _ = std::io::stdout().write_all(text.as_bytes());
    tracing::info!(address = %app.address(), version = env!("CARGO_PKG_VERSION"), "started");
}

/// Prints an error and its hint on stderr.
fn fail(error: &str, hint: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {}\nhint: {hint}", printable(error));
    ExitCode::FAILURE
}
