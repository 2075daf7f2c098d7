//! Load for a Redis server: GET over RESP2, as a baseline of the cost of one request to a server.

use std::collections::VecDeque;
use std::io::{Read, Write};
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
/// Error code under which a GET of a missing key is counted.
const MISSING_KEY: u16 = 0;

/// Address of a Redis server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedisUrl {
    pub(crate) addr: String,
}

impl FromStr for RedisUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            "expected redis://HOST:PORT without a password, such as redis://127.0.0.1:6379";
        let addr = text.strip_prefix("redis://").ok_or(expected)?.trim_end_matches('/');
        match addr.rsplit_once(':') {
            None if !addr.is_empty() && !addr.contains(['@', '/']) => {
                Ok(Self { addr: format!("{addr}:6379") })
            }
            Some((host, port))
                if !host.is_empty()
                    && !addr.contains(['@', '/'])
                    && port.parse::<u16>().is_ok() =>
            {
                Ok(Self { addr: addr.to_owned() })
            }
            _ => Err(expected.to_owned()),
        }
    }
}

/// Keys that were written to a Redis server, and are deleted on drop.
pub(crate) struct Keys {
    addr: String,
    names: Vec<String>,
    gets: Arc<[Bytes]>,
}

impl Keys {
    /// Writes `count` keys with `prefix` in their names.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses a command.
    pub(crate) fn write(url: &RedisUrl, prefix: &str, count: usize) -> Result<Self, Failure> {
        let names: Vec<_> =
            (0..count).map(|number| format!("user-cli:{prefix}:{number}")).collect();
        let gets = names.iter().map(|name| Bytes::from(command(&["GET", name]))).collect();
        let value = "v".repeat(VALUE_SIZE);
        let keys = Self { addr: url.addr.clone(), names, gets };
        let written = keys.for_each(|name| command(&["SET", name, &value]));
        written.map(|()| keys).map_err(|error| {
            Failure::usage(
                format!("cannot use the Redis server at {}: {error}", url.addr),
                "Start a Redis server without a password.",
            )
        })
    }

    /// Returns the protocol of the connection `number`, out of `connections`. Each connection
    /// starts with another key.
    pub(crate) fn protocol(&self, number: usize, connections: usize) -> Redis {
        let next = self.gets.len() * number / connections.max(1);
        Redis { gets: self.gets.clone(), next, in_flight: VecDeque::new() }
    }

    /// Sends a command for each key, in batches.
    fn for_each(&self, command: impl Fn(&str) -> Vec<u8>) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(&self.addr)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        for names in self.names.chunks(BATCH) {
            let commands: Vec<u8> = names.iter().flat_map(|name| command(name)).collect();
            stream.write_all(&commands)?;
            let mut replies = 0;
            let mut buffer = [0; 4096];
            while replies < names.len() {
                let read = stream.read(&mut buffer)?;
                let received = buffer.get(..read).unwrap_or_default();
                if read == 0 || received.first() == Some(&b'-') {
                    return Err(std::io::Error::other(
                        String::from_utf8_lossy(received).trim().to_owned(),
                    ));
                }
                replies += received.iter().filter(|byte| **byte == b'\n').count();
            }
        }
        Ok(())
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // An error is ignored: the keys that remain are small, and their names identify them.
        let _ = self.for_each(|name| command(&["DEL", name]));
    }
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut text = format!("*{}\r\n", words.len());
    words.iter().for_each(|word| text += &format!("${}\r\n{word}\r\n", word.len()));
    text.into_bytes()
}

/// Protocol of one connection to Redis, which replies in the order of the requests.
pub(crate) struct Redis {
    /// Encoded GET commands.
    gets: Arc<[Bytes]>,
    /// Index in `gets` of the next command to send.
    next: usize,
    /// Slots of the requests in flight, the oldest first.
    in_flight: VecDeque<usize>,
}

impl Protocol for Redis {
    fn write_request(&mut self, slot: usize, out: &mut BytesMut) -> Op {
        if let Some(get) = self.gets.get(self.next) {
            out.extend_from_slice(get);
        }
        self.next = if self.next + 1 < self.gets.len() { self.next + 1 } else { 0 };
        self.in_flight.push_back(slot);
        Op::RedisGet
    }

    fn parse_reply(&mut self, input: &[u8]) -> Result<Option<ParsedReply>, String> {
        let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let (size, outcome) = match input.get(..end + 1) {
            Some(b"$-1\r\n") => (end + 1, Outcome::Refused(MISSING_KEY)),
            Some([b'$', digits @ .., b'\r', b'\n']) => {
                let length = std::str::from_utf8(digits)
                    .ok()
                    .and_then(|digits| digits.parse::<usize>().ok());
                let length = length
                    .filter(|length| *length < 1 << 20)
                    .ok_or("received a reply that is not from Redis")?;
                (end + 1 + length + 2, Outcome::Ok)
            }
            line => {
                let line = String::from_utf8_lossy(line.unwrap_or_default()).trim().to_owned();
                return Err(format!("Redis replied: {line}"));
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
        let gets = [Bytes::from(command(&["GET", "k"]))].into();
        let mut redis = Redis { gets, next: 0, in_flight: VecDeque::new() };
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
    fn addresses_are_parsed() {
        let addr = |text: &str| text.parse::<RedisUrl>().ok().map(|url| url.addr);
        assert_eq!(addr("redis://127.0.0.1").as_deref(), Some("127.0.0.1:6379"));
        assert_eq!(addr("redis://localhost:7000/").as_deref(), Some("localhost:7000"));
        assert!(
            ["", "redis://", "http://a", "redis://u:p@a", "redis://a:x", "redis://a:1/2"]
                .iter()
                .all(|t| addr(t).is_none())
        );
    }
}
