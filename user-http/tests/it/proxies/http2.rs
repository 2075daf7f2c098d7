//! A client of HTTP/2 without TLS that sends exactly the fields that a test gives.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::http::TIMEOUT;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A connection for one request, which is stream 1.
pub(super) struct Http2 {
    stream: TcpStream,
}

/// The reply to a request, or the part of it that arrived.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// `None` if the stream or the connection was closed without a reply.
    pub(super) status: Option<u16>,
    pub(super) body: String,
}

impl Http2 {
    pub(super) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut client = Self { stream };
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        client.frame(SETTINGS, 0, 0, &[]);
        client
    }

    /// Sends a request without a body, and returns its reply.
    pub(super) fn request(mut self, fields: &[(&str, &str)]) -> Reply {
        self.frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(fields));
        self.reply()
    }

    /// Sends a request with a body and headers after it, and returns its reply.
    pub(super) fn request_with_trailers(
        mut self,
        fields: &[(&str, &str)],
        trailers: &[(&str, &str)],
    ) -> Reply {
        self.frame(HEADERS, END_HEADERS, 1, &block(fields));
        self.frame(DATA, 0, 1, b"a body");
        self.frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(trailers));
        self.reply()
    }

    /// Sends a request, keeps its stream open, and returns the status of its reply.
    pub(super) fn open(&mut self, fields: &[(&str, &str)]) -> Option<u16> {
        self.frame(HEADERS, END_HEADERS, 1, &block(fields));
        loop {
            match self.next_frame()? {
                (HEADERS, _, block) => return Some(status(&block)),
                (RST_STREAM | GOAWAY, ..) => return None,
                _ => {}
            }
        }
    }

    fn reply(&mut self) -> Reply {
        let mut reply = Reply::default();
        let mut body = Vec::new();
        while let Some((kind, flags, payload)) = self.next_frame() {
            match kind {
                HEADERS => reply.status = reply.status.or(Some(status(&payload))),
                DATA => body.extend(payload),
                RST_STREAM | GOAWAY => break,
                _ => continue,
            }
            if flags & END_STREAM != 0 {
                break;
            }
        }
        reply.body = String::from_utf8_lossy(&body).into_owned();
        reply
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.send(&[&head, payload].concat());
    }

    /// Sends bytes. The peer may have closed the connection already.
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Returns type, flags and payload of the next frame, or `None` if the connection is closed.
    fn next_frame(&mut self) -> Option<(u8, u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let [a, b, c, kind, flags, ..] = head;
        let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap()];
        self.stream.read_exact(&mut payload).ok()?;
        if kind == SETTINGS && flags == 0 {
            self.frame(SETTINGS, 1, 0, &[]);
        }
        Some((kind, flags, payload))
    }
}

/// Returns the header block of these fields (RFC 7541): literals without indexing and Huffman code.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            match text.len() {
                length @ 0..127 => block.push(u8::try_from(length).unwrap()),
                length => {
                    let mut rest = length - 127;
                    block.push(127);
                    while rest >= 128 {
                        block.push(u8::try_from(rest % 128).unwrap() | 128);
                        rest /= 128;
                    }
                    block.push(u8::try_from(rest).unwrap());
                }
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

/// Returns the status, which is the first field of a header block.
fn status(block: &[u8]) -> u16 {
    // The table may be resized first.
    let field = &block[block.iter().position(|byte| byte >> 5 != 1).unwrap()..];
    match field[0] {
        byte @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(byte - 0x88)],
        // A literal with the name from the table.
        0x08..=0x0e | 0x18..=0x1e | 0x48..=0x4e => {
            let length = usize::from(field[1] & 0x7f);
            let value = &field[2..2 + length];
            let digits = if field[1] & 0x80 == 0 { value.to_vec() } else { huffman(value) };
            String::from_utf8(digits).unwrap().parse().unwrap()
        }
        byte => panic!("not a status: {byte:#x}"),
    }
}

/// Decodes three digits: 0 to 2 have codes of 5 bits, and 3 to 9 of 6 bits.
fn huffman(code: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> =
        code.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let mut rest = &bits[..];
    let number = |bits: &[u8]| bits.iter().fold(0, |sum, bit| sum * 2 + bit);
    let mut digits = Vec::new();
    while digits.len() < 3 {
        let short = number(&rest[..5]);
        let (digit, length) = if short < 3 { (short, 5) } else { (number(&rest[..6]) - 0x16, 6) };
        digits.push(b'0' + digit);
        rest = &rest[length..];
    }
    digits
}
