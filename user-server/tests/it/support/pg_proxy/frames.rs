//! Frames of the PostgreSQL protocol, version 3.0.

use std::collections::HashMap;
use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;

/// Status of a session outside of a transaction.
pub const IDLE: u8 = b'I';

/// Requests that the server answers together.
pub struct Batch {
    pub bytes: Vec<u8>,
    frames: usize,
    /// Statements in the batch.
    pub text: String,
    pub executes: bool,
    is_query: bool,
}

impl Batch {
    /// Reads up to the next Query, Sync or Terminate. `prepared` contains the text of each
    /// statement by its name.
    pub async fn read(
        from: &mut OwnedReadHalf,
        prepared: &mut HashMap<Vec<u8>, String>,
    ) -> io::Result<Self> {
        let mut batch = Self {
            bytes: Vec::new(),
            frames: 0,
            text: String::new(),
            executes: false,
            is_query: false,
        };
        loop {
            let (kind, frame) = read_frame(from).await?;
            let mut strings = frame[5..].split(|byte| *byte == 0);
            let mut string = || strings.next().unwrap_or_default().to_vec();
            match kind {
                b'P' => {
                    let (name, text) = (string(), string());
                    prepared.insert(name, String::from_utf8_lossy(&text).into_owned());
                }
                b'B' => {
                    let (_, name) = (string(), string());
                    batch.executes = true;
                    batch.text += prepared.get(&name).map_or("", String::as_str);
                }
                b'Q' => {
                    (batch.executes, batch.is_query) = (true, true);
                    batch.text += &String::from_utf8_lossy(&string());
                }
                _ => {}
            }
            batch.frames += 1;
            batch.bytes.extend_from_slice(&frame);
            if matches!(kind, b'Q' | b'S' | b'X' | b'p') {
                return Ok(batch);
            }
        }
    }

    pub fn is_ping(&self) -> bool {
        self.frames == 1 && self.bytes[0] == b'S'
    }

    /// Returns true if the batch makes a change permanent, in a session of this status.
    pub fn commits(&self, status: u8) -> bool {
        let text = self.text.to_ascii_uppercase();
        let changes = ["INSERT ", "UPDATE ", "DELETE "].iter().any(|word| text.contains(word));
        // A heartbeat is no part of any request.
        let changes = changes && !text.contains("INTO NODES");
        let calls = text.contains("_V1(") || text.contains("_V2(");
        match self.is_query {
            true => text.starts_with("COMMIT"),
            false => self.executes && status == IDLE && (changes || calls),
        }
    }
}

/// Reads one frame after the start of a session. Returns its type, and all its bytes.
pub async fn read_frame(from: &mut OwnedReadHalf) -> io::Result<(u8, Vec<u8>)> {
    let kind = from.read_u8().await?;
    let length = from.read_u32().await?;
    let mut frame = vec![kind];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.resize(length as usize + 1, 0);
    from.read_exact(&mut frame[5..]).await?;
    Ok((kind, frame))
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

pub fn query(statement: &str) -> Vec<u8> {
    frame(b'Q', format!("{statement}\0").as_bytes())
}

/// Returns the reply of a server that refuses a request, and the status after it.
pub fn refusal(code: &str, status: u8) -> Vec<u8> {
    let error = format!("SERROR\0VERROR\0C{code}\0Mrefused by the proxy\0\0");
    let mut reply = frame(b'E', error.as_bytes());
    reply.extend_from_slice(&frame(b'Z', &[status]));
    reply
}
