//! Reference for a token check over TCP: the same request and the same reply over gRPC, without
//! examining the token. Independent of the service, except for the contents of its messages.
//!
//! `tonic-echo serve PORT` serves on one thread. `tonic-echo load PORT CONNECTIONS DEPTH WARM_UP
//! SECONDS SERVER_PID` generates load in a closed loop, and prints the results of one run as JSON.
//! Times are in seconds.

mod load;
mod messages;
mod serve;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str =
    "usage: tonic-echo serve PORT | load PORT CONNECTIONS DEPTH WARM_UP SECONDS SERVER_PID";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tonic-echo: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match words {
        ["serve", port] => runtime.block_on(serve::serve(local(port)?)),
        ["load", port, connections, depth, warm_up, seconds, server] => {
            let plan = load::Plan {
                addr: local(port)?,
                connections: read(connections)?,
                depth: read(depth)?,
                warm_up: Duration::try_from_secs_f64(read(warm_up)?)?,
                duration: Duration::try_from_secs_f64(read(seconds)?)?,
                server: read(server)?,
            };
            println!("{}", runtime.block_on(load::run(plan))?);
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}

fn local(port: &str) -> Result<SocketAddr, Failure> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, read(port)?)))
}

fn read<T: FromStr>(word: &str) -> Result<T, Failure> {
    word.parse().map_err(|_| format!("invalid number `{word}`\n{USAGE}").into())
}
