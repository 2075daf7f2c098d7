//! The service behind the proxy: it answers with the head of the request that it received.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub(super) struct Backend {
    pub(super) port: u16,
    requests: Arc<AtomicUsize>,
}

impl Backend {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, counter) = (stream.unwrap(), Arc::clone(&counter));
                thread::spawn(move || serve(stream, &counter));
            }
        });
        Self { port, requests }
    }

    /// Returns the number of requests since the last call.
    pub(super) fn take_requests(&self) -> usize {
        self.requests.swap(0, Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, requests: &AtomicUsize) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        loop {
            let mut line = Vec::new();
            match reader.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line == b"\r\n" => break,
                Ok(_) => head += &String::from_utf8_lossy(&line),
            }
        }
        requests.fetch_add(1, Ordering::SeqCst);
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
        if writer.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
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
        let alike = |other: &str| other.to_ascii_lowercase().replace(['_', '.'], "-") == name;
        self.0.iter().filter(|(other, _)| alike(other)).map(|(_, value)| value.as_str()).collect()
    }
}
