//! The service behind the proxy: it answers with the head of the request that it received.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A backend with the weaknesses that a proxy has to make up for: it takes a body for the next
/// request, except at `/read`, and headers after a chunked body for headers of the request.
pub(super) struct Backend {
    pub(super) port: u16,
    heads: Heads,
}

type Heads = Arc<Mutex<Vec<String>>>;

impl Backend {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Heads::default();
        let received = Arc::clone(&heads);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, heads) = (stream.unwrap(), Arc::clone(&received));
                thread::spawn(move || serve(stream, &heads));
            }
        });
        Self { port, heads }
    }

    /// Returns the number of requests since the last call.
    pub(super) fn take_requests(&self) -> usize {
        self.take_heads().len()
    }

    /// Returns the heads of all requests since the last call.
    pub(super) fn take_heads(&self) -> Vec<String> {
        std::mem::take(&mut self.heads.lock().unwrap())
    }
}

/// Answers requests until the peer closes the connection, or asks to close it after a reply.
fn serve(stream: TcpStream, heads: &Heads) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(mut head) = section(&mut reader) {
        heads.lock().unwrap().push(head.clone());
        let received = Received::from(&head);
        if received.values("transfer-encoding").contains(&"chunked") {
            head += &chunked_body(&mut reader);
        }
        if head.contains("/read") {
            let length = received.values("content-length").concat().parse().unwrap_or(0);
            let mut body = vec![0; length];
            let _ = reader.read_exact(&mut body);
            head += &String::from_utf8_lossy(&body);
        }
        let upgrade =
            received.values("upgrade").iter().any(|name| name.eq_ignore_ascii_case("websocket"));
        // The reply to the key of the example in RFC 6455, which the tests send.
        if upgrade && head.contains("/echo") {
            let reply = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                         Upgrade: websocket\r\n\
                         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
            let _ = writer.write_all(reply.as_bytes());
            let _ = std::io::copy(&mut reader, &mut writer);
            return;
        }
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
        let closed = received.values("connection").contains(&"close");
        if writer.write_all(reply.as_bytes()).is_err() || closed {
            return;
        }
    }
}

/// Returns the lines up to the next empty one, or `None` if the connection ends before it.
fn section(reader: &mut impl BufRead) -> Option<String> {
    let mut lines = String::new();
    loop {
        let mut line = Vec::new();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return None,
            Ok(_) if line == b"\r\n" => return Some(lines),
            Ok(_) => lines += &String::from_utf8_lossy(&line),
        }
    }
}

/// Reads a chunked body, and returns the headers that follow it.
fn chunked_body(reader: &mut impl BufRead) -> String {
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return String::new();
        }
        let size = line.trim().split(';').next().unwrap_or_default();
        match u64::from_str_radix(size, 16) {
            Ok(size @ 1..) => {
                let _ = std::io::copy(&mut reader.take(size + 2), &mut std::io::sink());
            }
            _ => return section(reader).unwrap_or_default(),
        }
    }
}

/// Answers every request at an address with what `reply` contains at that time.
pub(super) fn answer_always(address: SocketAddr, reply: &Arc<Mutex<String>>) {
    let listener = TcpListener::bind(address).unwrap();
    let reply = Arc::clone(reply);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, reply) = (stream.unwrap(), Arc::clone(&reply));
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while section(&mut reader).is_some() {
                    let text = reply.lock().unwrap().clone();
                    if stream.write_all(text.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
}

/// The headers that the backend received, in the order of their arrival.
#[derive(Debug)]
pub(super) struct Received(Vec<(String, String)>);

impl Received {
    pub(super) fn from(body: &str) -> Self {
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim().to_owned()))
        };
        Self(body.lines().skip(1).filter_map(header).collect())
    }

    /// Returns the values of all headers that a backend with CGI names reads as `name`, which is in
    /// lower case.
    pub(super) fn values(&self, name: &str) -> Vec<&str> {
        let alike = |other: &str| {
            let other = other.to_ascii_lowercase();
            other.replace(|c: char| !c.is_ascii_alphanumeric(), "-") == name
        };
        self.0.iter().filter(|(other, _)| alike(other)).map(|(_, value)| value.as_str()).collect()
    }
}
