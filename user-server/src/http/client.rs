//! A client for the health checks and metrics of a server, for `status`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Maximum time for connecting, and for each read and write.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum size of an answer in bytes.
const MAX_SIZE: u64 = 4 * 1024 * 1024;

/// Requests a path, and returns the status code and the body.
///
/// # Errors
/// If the server does not answer, or not in HTTP.
pub fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MAX_SIZE).read_to_end(&mut answer)?;
    let not_http = || io::Error::other("the answer is not HTTP");
    let answer = String::from_utf8(answer).map_err(|_| not_http())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(not_http)?;
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(not_http)?;
    Ok((status, body.to_owned()))
}
