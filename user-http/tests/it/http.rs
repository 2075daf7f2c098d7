//! A client of HTTP/1.1 that sends exactly the bytes that a test gives.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Time limit for each step.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// A connection.
pub(crate) struct Http {
    pub(crate) stream: TcpStream,
    input: VecDeque<u8>,
}

/// A reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// Size of status line and headers in bytes.
    pub(crate) head_size: usize,
}

impl Reply {
    /// Returns the value of a header, or `absent`.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(header, _)| header == name);
        let value = found.next().map_or("absent", |(_, value)| value);
        assert!(found.next().is_none(), "{name} occurs twice: {self:?}");
        value
    }
}

impl Reply {
    /// Returns every value of a header.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(header, _)| header == name);
        named.map(|(_, value)| value.as_str())
    }
}

impl Http {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, input: VecDeque::new() }
    }

    /// Sends bytes. The peer may have closed the connection already.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Sends a request and returns its reply.
    pub(crate) fn request(&mut self, head: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(text(head, headers));
        self.reply().expect("a reply")
    }

    /// Returns the next reply, or `None` if the peer has closed the connection.
    pub(crate) fn reply(&mut self) -> Option<Reply> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.byte()?);
        }
        let head_size = head.len();
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap();
                (name.to_ascii_lowercase(), value.trim().to_owned())
            })
            .collect();
        let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let mut body = Vec::new();
        if header("transfer-encoding").is_some_and(|value| value == "chunked") {
            while let size @ 1.. = usize::from_str_radix(self.line()?.trim(), 16).unwrap() {
                for _ in 0..size {
                    body.push(self.byte()?);
                }
                self.line()?;
            }
            self.line()?;
        } else if let Some(length) = header("content-length") {
            for _ in 0..length.parse().unwrap() {
                body.push(self.byte()?);
            }
        }
        Some(Reply {
            status,
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
            head_size,
        })
    }

    /// Returns true if the peer closes the connection within the time limit.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.byte().is_none()
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        while !line.ends_with('\n') {
            line.push(char::from(self.byte()?));
        }
        Some(line)
    }

    fn byte(&mut self) -> Option<u8> {
        if self.input.is_empty() {
            let mut chunk = [0; 16 * 1024];
            let count = match self.stream.read(&mut chunk) {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
                Err(error) => panic!("no reply: {error}"),
            };
            self.input.extend(&chunk[..count]);
        }
        self.input.pop_front()
    }
}

/// Returns the text of a request without a body.
pub(crate) fn text(head: &str, headers: &[(&str, &str)]) -> String {
    let mut text = format!("{head} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str("Host: app.example\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text + "\r\n"
}

/// Sends one request on a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Reply {
    Http::connect(address).request(&format!("GET {path}"), headers)
}
