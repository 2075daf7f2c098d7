//! The entry point: arguments, configuration, logs and signals.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tokio::signal::unix::{Signal, SignalKind, signal};
use user_http::app::App;
use user_http::cli::{Cli, Command};
use user_http::config::Config;
use user_http::logs::{self, DroppedLines};
use user_http::self_check;
use zeroizing_alloc::ZeroAlloc;

/// Wipes memory when it is freed, including the heads of requests, which contain tokens.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

/// Exit code if the configuration is invalid (`EX_USAGE` of sysexits.h).
const EXIT_CONFIG: u8 = 64;

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    if let Some(Command::Man { directory }) = &command {
        return man(directory);
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
    let (_guard, dropped_lines) = logs::start(&config);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string(), "Check the limits of this process."),
    };
    match command {
        Some(Command::Check) => runtime.block_on(check(&config)),
        _ => runtime.block_on(run(&config, dropped_lines)),
    }
}

fn man(directory: &Path) -> ExitCode {
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory));
    match written {
        Ok(()) => ExitCode::SUCCESS,
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
    tokio::select! {
        () = next(&mut signals) => {}
        () = reload_on_hangup(&mut hangups, &app) => {}
        () = app.follow_certificate() => {}
        () = app.log_outages() => {}
    }
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
    tokio::select! {
        () = shutdown => tracing::info!("stopped"),
        () = next(&mut signals) => tracing::warn!("second signal; stopped at once"),
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
    let text = format!(
        "user-http {} listening on {}\n  \
         check     {scheme}://{}/auth/check\n  \
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
    let _ = writeln!(std::io::stderr(), "error: {error}\nhint: {hint}");
    ExitCode::FAILURE
}
