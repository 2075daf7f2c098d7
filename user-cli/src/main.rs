//! The operators' client of the user service: every request of the protocol as a subcommand, and
//! tools that explain its frames.
//!
//! Exit codes: 0 done, 1 the server said no, 2 it could not be asked, 130 interrupted. Results go
//! to stdout, all else to stderr.

mod args;
mod bench;
mod commands;
mod context;
mod explain;
mod failure;
mod figures;
mod hex;
mod hints;
mod human;
mod output;
mod secrets;
mod state;
mod tls;
mod top;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use context::Context;
use failure::Failure;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => match run(&cli) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(cli.global.json),
        },
        Err(error) => Failure::from_clap(error)
            .report(std::env::args_os().any(|argument| argument == "--json")),
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let mut context = Context::new(&cli.global, cli.command.asks_server())?;
    let done = commands::run(&mut context, &cli.command);
    if let Err(failure) = &done {
        context.forget_what_ended(failure);
    }
    context.end(done.is_ok());
    done
}
