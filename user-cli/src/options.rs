//! Options that several commands share, and the parsers of their values.

use std::io::{self, IsTerminal, Read};
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use uuid::Uuid;

use crate::failure::Failure;
use crate::hex;

/// Port of the server if the address contains none.
const DEFAULT_PORT: u16 = 3001;

/// Options of every command.
#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Address of the server, as host or host:port
    ///
    /// Without it, the address of the profile applies, or else $USER_CLI_ADDR, or else
    /// 127.0.0.1:3001.
    #[arg(long, global = true, value_parser = parse_addr)]
    pub(crate) addr: Option<String>,
    /// Profile of a server in the configuration file
    ///
    /// A profile sets the address and the TLS options, in place of the environment variables. The
    /// default is $USER_CLI_PROFILE.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Print one JSON object per result, including tokens, and errors as JSON on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Time to wait for a reply, such as 5s, 500ms or 1m; also sent to the server as the deadline
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Print every frame in hex on stderr. Frames contain passwords, codes and tokens in plain text
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// IP address of the end user that the request is made for
    ///
    /// The server accepts it only from a trusted peer.
    #[arg(long, global = true, value_name = "IP", hide_short_help = true)]
    pub(crate) client_address: Option<IpAddr>,
    /// Idempotency key (random UUID) for the first change that the command makes
    ///
    /// Repeating the command with the same key within a day returns the same reply and makes no
    /// further change.
    #[arg(long, global = true, value_name = "UUID", hide_short_help = true)]
    #[arg(value_parser = parse_uuid)]
    pub(crate) idempotency_key: Option<Uuid>,
    /// Connect with TLS 1.3; trusts the public certificate authorities unless --ca is given
    ///
    /// Also set by $USER_CLI_TLS=1.
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) tls: bool,
    /// Connect with TLS 1.3 and trust only the certificate authorities in this PEM file
    ///
    /// Also set by $USER_CLI_CA.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) ca: Option<PathBuf>,
    /// Name expected in the server's certificate, if it is not the host in the address
    ///
    /// Also set by $USER_CLI_SERVER_NAME.
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub(crate) server_name: Option<String>,
    /// Client certificate in PEM, for a server that requires one
    ///
    /// Also set by $USER_CLI_CERT.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) cert: Option<PathBuf>,
    /// Private key of the client certificate, in PEM
    ///
    /// Also set by $USER_CLI_KEY.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) key: Option<PathBuf>,
    /// Send passwords, codes and tokens without TLS to an address that is not loopback
    ///
    /// Everyone on the network can then read them. Also set by $USER_CLI_ALLOW_PLAINTEXT=1.
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) allow_plaintext: bool,
}

/// Bytes in hex, from the arguments or from stdin.
#[derive(Args)]
pub(crate) struct HexBytes {
    /// Bytes in hex; spaces, colons, commas, underscores and 0x prefixes are ignored
    ///
    /// Without arguments, or with `-`, the bytes are read from a pipe on stdin: hex, or the bytes
    /// themselves.
    hex: Vec<String>,
}

impl HexBytes {
    /// Decodes the bytes.
    ///
    /// # Errors
    /// If stdin is a terminal or cannot be read, or if the text is not hex.
    pub(crate) fn read(&self) -> Result<Vec<u8>, Failure> {
        const HINT: &str = "Pass pairs of hex digits, such as 00000005 7f 00000001.";
        if self.hex.iter().any(|argument| argument != "-") {
            return hex::parse(&self.hex.join(" ")).map_err(|text| Failure::usage(text, HINT));
        }
        let mut stdin = io::stdin().lock();
        if self.hex.is_empty() && stdin.is_terminal() {
            return Err(Failure::usage("no bytes to read", HINT));
        }
        let mut bytes = Vec::new();
        stdin
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::usage(format!("cannot read stdin: {error}"), HINT))?;
        if bytes.is_empty() {
            return Err(Failure::usage("stdin is empty", HINT));
        }
        match std::str::from_utf8(&bytes) {
            // Text never contains such a byte, and the length of a frame nearly always does.
            Ok(text) if !bytes.contains(&0) => {
                hex::parse(text).map_err(|text| Failure::usage(text, HINT))
            }
            _ => Ok(bytes),
        }
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Parses an email address. The server knows the exact rule; this finds what is mistyped, before a
/// password is asked for.
pub(crate) fn parse_email(text: &str) -> Result<String, String> {
    let is_address = text.rsplit_once('@').is_some_and(|(local, domain)| {
        let labels_are_there = domain.split('.').all(|label| !label.is_empty());
        !local.is_empty() && domain.contains('.') && labels_are_there
    });
    if !is_address || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("expected an address such as name@example.com".to_owned());
    }
    Ok(text.to_owned())
}

/// Parses a new username, as [`parse_email`] does.
pub(crate) fn parse_username(text: &str) -> Result<String, String> {
    // The server counts after a mapping, which leaves the number of ASCII characters alone.
    let wrong_size = text.is_ascii() && !(3..=32).contains(&text.len());
    if wrong_size || text.is_empty() || text.contains(|c: char| c == '@' || c.is_whitespace()) {
        return Err("expected 3 to 32 characters, without `@` and spaces".to_owned());
    }
    Ok(text.to_owned())
}

/// Parses `host:port`; a host alone gets the default port.
pub(crate) fn parse_addr(text: &str) -> Result<String, String> {
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<Ipv6Addr>() {
        return Ok(format!("[{ip}]:{DEFAULT_PORT}"));
    }
    match text.rsplit_once(':') {
        None if !text.is_empty() => Ok(format!("{text}:{DEFAULT_PORT}")),
        Some((host, port)) if !host.is_empty() && !host.contains('/') && is_port(port) => {
            Ok(text.to_owned())
        }
        _ => {
            Err("expected host or host:port, such as 127.0.0.1:3001, with a port from 1 to 65535 \
                  and without http://"
                .to_owned())
        }
    }
}

/// Parses a flag in an environment variable: `1`, `true`, `yes` or `on`, and `0`, `false`, `no` or
/// `off`, in upper or lower case.
pub(crate) fn parse_flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("expected 1 or 0".to_owned()),
    }
}

/// Parses an id.
pub(crate) fn parse_uuid(text: &str) -> Result<Uuid, String> {
    Uuid::try_parse(text)
        .map_err(|_| "not a UUID, such as f3ea5f62-924c-447c-ab4e-261a4b2dd125".to_owned())
}

/// Parses a duration as [`parse_duration`] does, which may be 0.
pub(crate) fn parse_duration_or_zero(text: &str) -> Result<Duration, String> {
    match text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse() {
        Ok(0_u32) => Ok(Duration::ZERO),
        _ => parse_duration(text),
    }
}

/// Parses a duration with a unit (`ms`, `s`, `m` or `min`); a number alone is in seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "expected a duration such as 5s, 500ms or 1m";
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => 1,
        "s" | "" => 1000,
        "m" | "min" => 60_000,
        _ => return Err(EXPECTED.to_owned()),
    };
    let number: u32 = number.parse().map_err(|_| EXPECTED.to_owned())?;
    match number.checked_mul(unit_ms) {
        None | Some(0) => Err("expected a duration from 1ms to 49 days".to_owned()),
        Some(ms) => Ok(Duration::from_millis(ms.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed() {
        let ms = |text| parse_duration(text).map(|time| time.as_millis()).ok();
        assert_eq!(
            [ms("5s"), ms("500ms"), ms("1m"), ms("7")],
            [Some(5000), Some(500), Some(60_000), Some(7000)]
        );
        assert!(
            ["", "s", "0", "0ms", "1h", "-1s", "1.5s", "99999999m"]
                .into_iter()
                .all(|text| parse_duration(text).is_err())
        );
    }

    #[test]
    fn addresses_are_parsed() {
        let parsed = |text| parse_addr(text).ok();
        assert_eq!(parsed("localhost").as_deref(), Some("localhost:3001"));
        assert_eq!(parsed("10.0.0.1:4000").as_deref(), Some("10.0.0.1:4000"));
        assert_eq!(parsed("::1").as_deref(), Some("[::1]:3001"));
        assert_eq!(parsed("[::1]").as_deref(), Some("[::1]:3001"));
        assert_eq!(parsed("[::1]:9").as_deref(), Some("[::1]:9"));
        assert!(
            ["", ":1", "host:", "host:0", "host:99999", "http://host", "http://host:3001"]
                .into_iter()
                .all(|text| parse_addr(text).is_err())
        );
    }

    #[test]
    fn a_mistyped_address_or_username_is_found() {
        for address in ["kim@example.com", "k+i.m@b\u{fc}cher.example", "\"a@b\"@c.example"] {
            assert_eq!(parse_email(address).as_deref(), Ok(address));
        }
        for other in [
            "",
            "notanemail",
            "kim@",
            "@example.com",
            "kim@example",
            "kim@.com",
            "kim@a..b",
            "k m@a.b",
        ] {
            assert!(parse_email(other).is_err(), "{other}");
        }
        let longest = "k".repeat(32);
        for name in ["kim", "\u{130}x", longest.as_str(), &"\u{e9}".repeat(33)] {
            assert_eq!(parse_username(name).as_deref(), Ok(name));
        }
        for other in ["", "ab", "kim@example.com", "kim smith", &"k".repeat(33)] {
            assert!(parse_username(other).is_err(), "{other}");
        }
    }
}
