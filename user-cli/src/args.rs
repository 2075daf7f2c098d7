//! What can be typed. The help texts are here; what the commands do is in `commands`.

mod account;
mod bench;
mod tools;

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand};
use uuid::Uuid;

pub(crate) use account::*;
pub(crate) use bench::*;
pub(crate) use tools::*;

/// The port of a server that names none.
const DEFAULT_PORT: u16 = 3001;

/// Talk to the user service: register, log in, check tokens, change and delete accounts, and look
/// at its frames.
#[derive(Parser)]
#[command(name = "user-cli", version, propagate_version = true, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  user-cli register kim kim@example.com     # asks for a password; a code is mailed
  user-cli verify-email --code 123456       # the account is active, and you are logged in
  user-cli verify                           # is the token good?
  user-cli logout

Exit codes: 0 done, 1 the server said no, 2 it could not be asked, 130 interrupted.
The tokens of the last login are kept per server under $USER_CLI_STATE_DIR, else
$XDG_STATE_HOME/user-cli, else ~/.local/state/user-cli, readable by you alone.";

/// What every command takes.
#[derive(Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The server, as host or host:port
    #[arg(long, global = true, env = "USER_SERVER_ADDR", default_value = "127.0.0.1:3001", value_parser = addr)]
    pub(crate) addr: String,
    /// Print one JSON object per result, tokens included, and errors as JSON on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How long to wait for a reply, as 5s, 500ms or 1m; the server is told
    #[arg(long, global = true, value_name = "TIME", value_parser = timeout)]
    pub(crate) timeout: Option<Duration>,
    /// Show every frame in hex on stderr. Frames hold passwords, codes and tokens in clear
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// Ask on behalf of an end user at this IP address; believed only from a trusted peer
    #[arg(long, global = true, value_name = "IP")]
    pub(crate) client_address: Option<IpAddr>,
    /// Make the command's first change under this key, drawn at random for it: repeated within a
    /// day, with the same key and words, it gets the same reply and changes nothing more
    #[arg(long, global = true, value_name = "UUID")]
    pub(crate) idempotency_key: Option<Uuid>,
    /// Speak TLS 1.3; without --ca the public authorities are trusted
    #[arg(long, global = true, env = "USER_SERVER_TLS", value_parser = BoolishValueParser::new())]
    pub(crate) tls: bool,
    /// Speak TLS with a server whose certificate is of an authority in this PEM file
    #[arg(long, global = true, env = "USER_SERVER_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The name in the server's certificate, where it is not the host of --addr
    #[arg(long, global = true, env = "USER_SERVER_NAME", value_name = "NAME")]
    pub(crate) server_name: Option<String>,
    /// Show the certificate in this PEM file, for a server that lets in only clients with one
    #[arg(long, global = true, env = "USER_CLI_CERT", value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// Its private key, in PEM
    #[arg(long, global = true, env = "USER_CLI_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

impl Global {
    /// Whether the server is spoken to over TLS.
    pub(crate) fn speaks_tls(&self) -> bool {
        self.tls || self.ca.is_some()
    }
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Register(Register),
    VerifyEmail(VerifyEmail),
    ConfirmEmail(ConfirmEmail),
    ResendCode(ResendCode),
    Login(Login),
    Verify(Verify),
    Refresh(Refresh),
    Logout(Logout),
    Get(Get),
    Update(Update),
    Delete(Delete),
    ResetPassword(ResetPassword),
    Ping(Ping),
    Decode(Decode),
    Send(Send),
    // Its many options are no reason for every other command to be as large.
    Bench(Box<Bench>),
    Top(Top),
    Completions(Completions),
    Man(Man),
}

impl Command {
    /// Whether it speaks to a server at all, so that what is said of the way there has to be right.
    pub(crate) fn asks_server(&self) -> bool {
        !matches!(self, Self::Decode(_) | Self::Top(_) | Self::Completions(_) | Self::Man(_))
    }
}

/// Reads `host:port`; a host alone means the default port.
fn addr(text: &str) -> Result<String, String> {
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<Ipv6Addr>() {
        return Ok(format!("[{ip}]:{DEFAULT_PORT}"));
    }
    match text.rsplit_once(':') {
        None if !text.is_empty() => Ok(format!("{text}:{DEFAULT_PORT}")),
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(text.to_owned())
        }
        _ => Err("not host or host:port, as in 127.0.0.1:3001".to_owned()),
    }
}

/// Reads a span of time.
fn timeout(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" | "" => 1000,
        "m" | "min" => 60_000,
        _ => return Err("not a time, as in 5s, 500ms or 1m".to_owned()),
    };
    let number: u32 = number.parse().map_err(|_| "not a time, as in 5s, 500ms or 1m".to_owned())?;
    match number.checked_mul(unit_ms) {
        None | Some(0) => Err("a time between 1ms and 49 days is needed".to_owned()),
        Some(ms) => Ok(Duration::from_millis(ms.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_fault() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn times_are_read() {
        let ms = |text| timeout(text).map(|time| time.as_millis()).ok();
        assert_eq!(
            [ms("5s"), ms("500ms"), ms("1m"), ms("7")],
            [Some(5000), Some(500), Some(60_000), Some(7000)]
        );
        assert!(
            ["", "s", "0", "0ms", "1h", "-1s", "1.5s", "99999999m"]
                .into_iter()
                .all(|text| timeout(text).is_err())
        );
    }

    #[test]
    fn addresses_are_read() {
        let read = |text| addr(text).ok();
        assert_eq!(read("localhost").as_deref(), Some("localhost:3001"));
        assert_eq!(read("10.0.0.1:4000").as_deref(), Some("10.0.0.1:4000"));
        assert_eq!(read("::1").as_deref(), Some("[::1]:3001"));
        assert_eq!(read("[::1]").as_deref(), Some("[::1]:3001"));
        assert_eq!(read("[::1]:9").as_deref(), Some("[::1]:9"));
        assert!(["", ":1", "host:", "host:99999"].into_iter().all(|text| addr(text).is_err()));
    }
}
