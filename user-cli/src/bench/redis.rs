//! A Redis in the server's place: GET over RESP2, as a measure of what a question to a server costs
//! at least.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::link::{Dialogue, Heard};
use super::mix::Op;
use super::tally::Verdict;
use crate::failure::Failure;

/// The size of a frame of TokenVerified.
const VALUE: usize = 57;
/// How many keys are written or deleted in one go.
const BATCH: usize = 500;
/// An answer that takes longer while keys are written is none.
const PATIENCE: Duration = Duration::from_secs(10);
/// What no GET is answered with here: the key is there.
const MISSING: u16 = 0;

/// Where a Redis is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedisUrl {
    pub(super) addr: String,
}

impl FromStr for RedisUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            "not a Redis to compare with, as in redis://127.0.0.1:6379: one without a password";
        let addr = text.strip_prefix("redis://").ok_or(wrong)?.trim_end_matches('/');
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
            _ => Err(wrong.to_owned()),
        }
    }
}

/// Keys that are there while this value is.
pub(super) struct Keys {
    addr: String,
    names: Vec<String>,
    gets: Arc<[Bytes]>,
}

impl Keys {
    /// Writes so many keys under a name that no other run has.
    pub(super) fn write(url: &RedisUrl, word: &str, count: usize) -> Result<Self, Failure> {
        let names: Vec<_> = (0..count).map(|number| format!("user-cli:{word}:{number}")).collect();
        let gets = names.iter().map(|name| Bytes::from(command(&["GET", name]))).collect();
        let value = "v".repeat(VALUE);
        let keys = Self { addr: url.addr.clone(), names, gets };
        let done = keys.all(|name| command(&["SET", name, &value]));
        done.map(|()| keys).map_err(|error| {
            Failure::usage(
                format!("the Redis at {} can not be used: {error}", url.addr),
                "Start one without a password.",
            )
        })
    }

    pub(super) fn dialogue(&self, number: usize, of: usize) -> Redis {
        let turn = self.gets.len() * number / of.max(1);
        Redis { gets: self.gets.clone(), turn, asked: VecDeque::new() }
    }

    fn all(&self, command: impl Fn(&str) -> Vec<u8>) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(&self.addr)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        for names in self.names.chunks(BATCH) {
            let commands: Vec<u8> = names.iter().flat_map(|name| command(name)).collect();
            stream.write_all(&commands)?;
            let mut answers = 0;
            let mut buffer = [0; 4096];
            while answers < names.len() {
                let read = stream.read(&mut buffer)?;
                let came = buffer.get(..read).unwrap_or_default();
                if read == 0 || came.first() == Some(&b'-') {
                    return Err(std::io::Error::other(
                        String::from_utf8_lossy(came).trim().to_owned(),
                    ));
                }
                answers += came.iter().filter(|byte| **byte == b'\n').count();
            }
        }
        Ok(())
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // There is nobody to tell; the keys are small, and named for what they are.
        let _ = self.all(|name| command(&["DEL", name]));
    }
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut text = format!("*{}\r\n", words.len());
    words.iter().for_each(|word| text += &format!("${}\r\n{word}\r\n", word.len()));
    text.into_bytes()
}

/// One connection: answers come in the order of questions.
pub(super) struct Redis {
    gets: Arc<[Bytes]>,
    turn: usize,
    asked: VecDeque<usize>,
}

impl Dialogue for Redis {
    fn ask(&mut self, slot: usize, out: &mut BytesMut) -> Op {
        if let Some(get) = self.gets.get(self.turn) {
            out.extend_from_slice(get);
        }
        self.turn = if self.turn + 1 < self.gets.len() { self.turn + 1 } else { 0 };
        self.asked.push_back(slot);
        Op::RedisGet
    }

    fn hear(&mut self, input: &[u8]) -> Result<Option<Heard>, String> {
        let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let (size, verdict) = match input.get(..end + 1) {
            Some(b"$-1\r\n") => (end + 1, Verdict::Refused(MISSING)),
            Some([b'$', digits @ .., b'\r', b'\n']) => {
                let length = std::str::from_utf8(digits)
                    .ok()
                    .and_then(|digits| digits.parse::<usize>().ok());
                let length = length
                    .filter(|length| *length < 1 << 20)
                    .ok_or("that is no answer of a Redis")?;
                (end + 1 + length + 2, Verdict::Good)
            }
            line => {
                let line = String::from_utf8_lossy(line.unwrap_or_default()).trim().to_owned();
                return Err(format!("the Redis says: {line}"));
            }
        };
        if input.len() < size {
            return Ok(None);
        }
        let slot = self.asked.pop_front().ok_or("an answer came that nobody awaits")?;
        Ok(Some(Heard { size, slot, verdict }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_for_the_oldest_question() {
        let gets = [Bytes::from(command(&["GET", "k"]))].into();
        let mut redis = Redis { gets, turn: 0, asked: VecDeque::new() };
        let mut out = BytesMut::new();
        redis.ask(3, &mut out);
        redis.ask(1, &mut out);
        assert_eq!(&out[..21], b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*");
        assert_eq!(redis.hear(b"$3\r\nab"), Ok(None));
        let first = Heard { size: 9, slot: 3, verdict: Verdict::Good };
        assert_eq!(redis.hear(b"$3\r\nabc\r\n$-1\r\n"), Ok(Some(first)));
        assert_eq!(
            redis.hear(b"$-1\r\n"),
            Ok(Some(Heard { size: 5, slot: 1, verdict: Verdict::Refused(MISSING) }))
        );
        assert!(redis.hear(b"-ERR unknown\r\n").is_err());
    }

    #[test]
    fn addresses_are_read() {
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
