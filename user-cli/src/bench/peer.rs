//! Load for a Redis or memcached server: GET, as a baseline of the cost of one request to a server.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::connection::{ParsedReply, Protocol};
use super::counters::Outcome;
use super::mix::Op;
use crate::failure::Failure;

/// Size of each value in bytes, the same as that of a TokenVerified frame.
const VALUE_SIZE: usize = 57;
/// Number of keys written or deleted in one batch.
const BATCH: usize = 500;
/// Timeout of a read while keys are written or deleted.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum length of the first line of a reply.
const MAX_LINE: usize = 4096;
/// Error code under which a GET of a missing key is counted.
const MISSING_KEY: u16 = 0;

/// A protocol with a GET command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// RESP2.
    Redis,
    /// The text protocol.
    Memcached,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Redis, Self::Memcached];

    /// Returns the name of the server, which is also the scheme of its URL.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Memcached => "memcached",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Redis => 6379,
            Self::Memcached => 11211,
        }
    }

    const fn op(self) -> Op {
        match self {
            Self::Redis => Op::RedisGet,
            Self::Memcached => Op::MemcachedGet,
        }
    }

    fn get(self, key: &str) -> Vec<u8> {
        match self {
            Self::Redis => command(&["GET", key]),
            Self::Memcached => format!("get {key}\r\n").into_bytes(),
        }
    }

    fn set(self, key: &str, value: &str) -> Vec<u8> {
        match self {
            Self::Redis => command(&["SET", key, value]),
            Self::Memcached => format!("set {key} 0 0 {}\r\n{value}\r\n", value.len()).into_bytes(),
        }
    }

    fn delete(self, key: &str) -> Vec<u8> {
        match self {
            Self::Redis => command(&["DEL", key]),
            Self::Memcached => format!("delete {key}\r\n").into_bytes(),
        }
    }

    /// Returns true if the line answers a command that sets or deletes.
    fn is_success(self, line: &str) -> bool {
        match self {
            Self::Redis => !line.starts_with('-'),
            Self::Memcached => matches!(line, "STORED" | "DELETED" | "NOT_FOUND"),
        }
    }

    /// Parses the first line of the reply to a GET. Returns the number of bytes that follow it, or
    /// `None` if the key is missing.
    fn parse_get(self, line: &str) -> Option<Option<usize>> {
        let (length, after) = match self {
            Self::Redis if line == "$-1" => return Some(None),
            Self::Redis => (line.strip_prefix('$')?, "\r\n".len()),
            Self::Memcached if line == "END" => return Some(None),
            Self::Memcached => {
                (line.strip_prefix("VALUE ")?.rsplit(' ').next()?, "\r\nEND\r\n".len())
            }
        };
        let length = length.parse::<usize>().ok().filter(|length| *length < 1 << 20)?;
        Some(Some(length + after))
    }
}

/// Address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerUrl {
    pub(crate) kind: Kind,
    pub(crate) addr: String,
}

impl FromStr for PeerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected redis://HOST:PORT or memcached://HOST:PORT without a password, \
                        such as redis://127.0.0.1:6379";
        let (scheme, addr) = text.split_once("://").ok_or(expected)?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == scheme).ok_or(expected)?;
        let addr = addr.trim_end_matches('/');
        match addr.rsplit_once(':') {
            None if !addr.is_empty() && !addr.contains(['@', '/']) => {
                Ok(Self { kind, addr: format!("{addr}:{}", kind.port()) })
            }
            Some((host, port))
                if !host.is_empty()
                    && !addr.contains(['@', '/'])
                    && port.parse::<u16>().is_ok() =>
            {
                Ok(Self { kind, addr: addr.to_owned() })
            }
            _ => Err(expected.to_owned()),
        }
    }
}

/// Keys that were written to a server, and are deleted on drop.
pub(crate) struct Keys {
    url: PeerUrl,
    names: Vec<String>,
    gets: Arc<[Bytes]>,
}

impl Keys {
    /// Writes `count` keys with `prefix` in their names.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses a command.
    pub(crate) fn write(url: &PeerUrl, prefix: &str, count: usize) -> Result<Self, Failure> {
        let names: Vec<_> =
            (0..count).map(|number| format!("user-cli:{prefix}:{number}")).collect();
        let gets = names.iter().map(|name| Bytes::from(url.kind.get(name))).collect();
        let value = "v".repeat(VALUE_SIZE);
        let keys = Self { url: url.clone(), names, gets };
        let written = keys.for_each(|name| url.kind.set(name, &value));
        written.map(|()| keys).map_err(|error| {
            let (name, addr) = (url.kind.name(), &url.addr);
            Failure::usage(
                format!("cannot use the {name} server at {addr}: {error}"),
                format!("Start a {name} server without a password."),
            )
        })
    }

    /// Returns the protocol of the connection `number`, out of `connections`. Each connection
    /// starts with another key.
    pub(crate) fn protocol(&self, number: usize, connections: usize) -> Gets {
        let next = self.gets.len() * number / connections.max(1);
        let (kind, gets) = (self.url.kind, self.gets.clone());
        Gets { kind, gets, next, in_flight: VecDeque::new() }
    }

    /// Sends a command for each key, in batches. Each is answered by one line.
    fn for_each(&self, command: impl Fn(&str) -> Vec<u8>) -> std::io::Result<()> {
        let stream = TcpStream::connect(&self.url.addr)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let mut replies = BufReader::new(&stream);
        for names in self.names.chunks(BATCH) {
            let commands: Vec<u8> = names.iter().flat_map(|name| command(name)).collect();
            (&stream).write_all(&commands)?;
            for _ in names {
                let mut line = String::new();
                (&mut replies).take(MAX_LINE as u64).read_line(&mut line)?;
                if !line.ends_with('\n') || !self.url.kind.is_success(line.trim_end()) {
                    return Err(std::io::Error::other(line.trim_end().to_owned()));
                }
            }
        }
        Ok(())
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // An error is ignored: the keys that remain are small, and their names identify them.
        let _ = self.for_each(|name| self.url.kind.delete(name));
    }
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut text = format!("*{}\r\n", words.len());
    words.iter().for_each(|word| text += &format!("${}\r\n{word}\r\n", word.len()));
    text.into_bytes()
}

/// Protocol of one connection, on which the replies are in the order of the requests.
pub(crate) struct Gets {
    kind: Kind,
    /// Encoded GET commands.
    gets: Arc<[Bytes]>,
    /// Index in `gets` of the next command to send.
    next: usize,
    /// Slots of the requests in flight, the oldest first.
    in_flight: VecDeque<usize>,
}

impl Protocol for Gets {
    fn write_request(&mut self, slot: usize, out: &mut BytesMut) -> Op {
        if let Some(get) = self.gets.get(self.next) {
            out.extend_from_slice(get);
        }
        self.next = if self.next + 1 < self.gets.len() { self.next + 1 } else { 0 };
        self.in_flight.push_back(slot);
        self.kind.op()
    }

    fn parse_reply(&mut self, input: &[u8]) -> Result<Option<ParsedReply>, String> {
        let Some(end) = input.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
            let too_long = || format!("{} sent a line that is too long", self.kind.name());
            return if input.len() < MAX_LINE { Ok(None) } else { Err(too_long()) };
        };
        let line = input.get(..end).unwrap_or_default().trim_ascii_end();
        let reply = std::str::from_utf8(line).ok().and_then(|line| self.kind.parse_get(line));
        let (size, outcome) = match reply {
            Some(None) => (end + 1, Outcome::Refused(MISSING_KEY)),
            Some(Some(after)) => (end + 1 + after, Outcome::Ok),
            None => {
                let line = String::from_utf8_lossy(line);
                return Err(format!("{} replied: {line}", self.kind.name()));
            }
        };
        if input.len() < size {
            return Ok(None);
        }
        let slot = self.in_flight.pop_front().ok_or("received a reply to no request")?;
        Ok(Some(ParsedReply { size, slot, outcome }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_for_the_oldest_request() {
        let gets = [Bytes::from(Kind::Redis.get("k"))].into();
        let mut redis = Gets { kind: Kind::Redis, gets, next: 0, in_flight: VecDeque::new() };
        let mut out = BytesMut::new();
        redis.write_request(3, &mut out);
        redis.write_request(1, &mut out);
        assert_eq!(&out[..21], b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*");
        assert_eq!(redis.parse_reply(b"$3\r\nab"), Ok(None));
        let first = ParsedReply { size: 9, slot: 3, outcome: Outcome::Ok };
        assert_eq!(redis.parse_reply(b"$3\r\nabc\r\n$-1\r\n"), Ok(Some(first)));
        assert_eq!(
            redis.parse_reply(b"$-1\r\n"),
            Ok(Some(ParsedReply { size: 5, slot: 1, outcome: Outcome::Refused(MISSING_KEY) }))
        );
        assert!(redis.parse_reply(b"-ERR unknown\r\n").is_err());
    }

    #[test]
    fn a_value_of_memcached_ends_with_a_line_of_its_own() {
        let gets = [Bytes::from(Kind::Memcached.get("k"))].into();
        let kind = Kind::Memcached;
        let mut memcached = Gets { kind, gets, next: 0, in_flight: VecDeque::new() };
        let mut out = BytesMut::new();
        memcached.write_request(0, &mut out);
        memcached.write_request(1, &mut out);
        assert_eq!(&out[..], b"get k\r\nget k\r\n");
        let reply = b"VALUE k 0 3\r\nabc\r\nEND\r\n";
        for end in 0..reply.len() {
            assert_eq!(memcached.parse_reply(&reply[..end]), Ok(None));
        }
        let found = ParsedReply { size: reply.len(), slot: 0, outcome: Outcome::Ok };
        assert_eq!(memcached.parse_reply(reply), Ok(Some(found)));
        let missing = ParsedReply { size: 5, slot: 1, outcome: Outcome::Refused(MISSING_KEY) };
        assert_eq!(memcached.parse_reply(b"END\r\n"), Ok(Some(missing)));
        assert_eq!(memcached.parse_reply(&[b'x'; MAX_LINE - 1]), Ok(None));
        assert!(memcached.parse_reply(&[b'x'; MAX_LINE]).is_err());
        assert!(memcached.parse_reply(b"SERVER_ERROR out of memory\r\n").is_err());
        assert!(!kind.is_success("SERVER_ERROR out of memory") && kind.is_success("STORED"));
    }

    #[test]
    fn addresses_are_parsed() {
        let addr = |text: &str| text.parse::<PeerUrl>().ok().map(|url| url.addr);
        assert_eq!(addr("redis://127.0.0.1").as_deref(), Some("127.0.0.1:6379"));
        assert_eq!(addr("redis://localhost:7000/").as_deref(), Some("localhost:7000"));
        assert_eq!(addr("memcached://localhost").as_deref(), Some("localhost:11211"));
        assert!(
            ["", "redis://", "http://a", "redis://u:p@a", "redis://a:x", "redis://a:1/2"]
                .iter()
                .all(|t| addr(t).is_none())
        );
    }
}
