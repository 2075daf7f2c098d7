//! Command-line client of the user service: one subcommand per request of the protocol, tools that
//! decode frames, a load generator, a live view of a server's metrics, and a conformance server for
//! clients.
//!
//! Results go to stdout, everything else to stderr. The module `manual` lists the exit codes.

mod bench;
mod cli;
mod codes;
mod commands;
mod config;
mod conform;
mod context;
mod dev_cert;
mod endpoint;
mod environment;
mod explain;
mod failure;
mod fields;
mod format;
mod hex;
mod hints;
mod manual;
mod options;
mod output;
mod private_file;
mod runtime;
mod secrets;
mod session;
mod show;
mod state;
mod tls;
mod top;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::Cli;
use context::Context;
use failure::Failure;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => match run(&cli) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(cli.global.json),
        },
        Err(error) => {
            let json = std::env::args_os().any(|argument| argument == "--json");
            Failure::Arguments(Box::new(error)).report(json)
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let mut context = Context::new(&cli.global, Cli::command, cli.command.needs())?;
    let result = cli.command.run(&mut context);
    if let Err(failure) = &result {
        context.forget_revoked_session(failure);
    }
    // A server that has refused the request responds, and counts a connection that is not closed
    // as lost.
    let responds = match &result {
        Ok(()) | Err(Failure::NotFound { .. } | Failure::Reported) => true,
        Err(Failure::Call { error, .. }) => error.code().is_some(),
        Err(_) => false,
    };
    context.close(responds);
    result
}
