//! Command-line client of the user service: one subcommand per request of the protocol, tools that
//! decode frames, a load generator, and a live view of a server's metrics.
//!
//! Exit codes: 0 success, 1 the server refused the request, 2 no reply from the server or invalid
//! usage, 130 interrupted. Results go to stdout, everything else to stderr.

mod bench;
mod cli;
mod codes;
mod commands;
mod context;
mod explain;
mod failure;
mod fields;
mod format;
mod hex;
mod hints;
mod options;
mod output;
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
    let mut context = Context::new(&cli.global, Cli::command, cli.command.uses_server())?;
    let result = cli.command.run(&mut context);
    if let Err(failure) = &result {
        context.forget_revoked_session(failure);
    }
    context.close(result.is_ok());
    result
}
