//! The Wireshark dissector, run by tshark on traffic that was recorded from a server, and on every
//! vector.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::files::{self, Direction, Level, from_hex, path};
use crate::machine::DISSECTOR;

/// Traffic of user-cli and a server: ping, register, login, verify, sessions and others.
const RECORDED: &str = "wireshark/traffic.pcap";
const SERVER: u16 = 3001;
const CLIENT: u16 = 40_000;
/// Bytes in one segment, so that long frames span several.
const SEGMENT: usize = 1200;

/// A capture of one TCP connection, in the format of libpcap.
struct Capture {
    bytes: Vec<u8>,
    /// Bytes that each side has sent: the client, and the server.
    sent: [u32; 2],
}

impl Capture {
    fn new() -> Self {
        // Magic, version 2.4, no offset, no precision, the largest packet, and raw IP.
        let mut bytes = 0xA1B2_C3D4_u32.to_be_bytes().to_vec();
        bytes.extend([0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 101]);
        Self { bytes, sent: [0, 0] }
    }

    /// Adds the segments of a frame.
    fn frame(&mut self, direction: Direction, frame: &[u8]) {
        let (from, [source, target]) = match direction {
            Direction::Request => (0, [CLIENT, SERVER]),
            Direction::Reply => (1, [SERVER, CLIENT]),
        };
        for segment in frame.chunks(SEGMENT) {
            let mut packet = vec![0x45, 0];
            packet.extend(u16::try_from(40 + segment.len()).unwrap().to_be_bytes());
            packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
            packet.extend(source.to_be_bytes());
            packet.extend(target.to_be_bytes());
            packet.extend(self.sent[from].to_be_bytes());
            packet.extend(self.sent[1 - from].to_be_bytes());
            packet.extend([0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0]);
            packet.extend(segment);
            let size = u32::try_from(packet.len()).unwrap().to_be_bytes();
            self.bytes.extend([0; 8]);
            self.bytes.extend([size, size].concat());
            self.bytes.extend(packet);
            self.sent[from] += u32::try_from(segment.len()).unwrap();
        }
    }
}

/// Runs tshark, and returns a line for each packet with a frame, with these fields. Returns `None`
/// without tshark.
fn tshark(capture: &Path, fields: &[&str], more: &[&str]) -> Option<Vec<Vec<String>>> {
    let mut command = Command::new("tshark");
    command
        .arg("-r")
        .arg(capture)
        .arg("-X")
        .arg(format!("lua_script:{}", path(DISSECTOR).display()));
    command.args(["-d", &format!("tcp.port=={SERVER},userservice"), "-Y", "userservice"]);
    command.args(["-T", "fields", "-E", "separator=|", "-E", "aggregator=;"]).args(more);
    for field in fields {
        command.args(["-e", field]);
    }
    let Ok(output) = command.output() else {
        std::io::stderr()
            .write_all(b"left out: the Wireshark dissector (tshark is missing)\n")
            .unwrap();
        return None;
    };
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !stderr.contains("Lua"), "{stderr}");
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect())
}

#[test]
fn recorded_traffic_is_dissected_completely() {
    let fields = ["userservice.name", "userservice.malformed", "userservice.username"];
    let Some(lines) = tshark(&path(RECORDED), &fields, &[]) else { return };
    let messages: Vec<&str> = lines.iter().flat_map(|line| line[0].split(';')).collect();
    for message in [
        "Ping",
        "Pong",
        "Register",
        "Registered",
        "VerifyEmail",
        "EmailVerified",
        "VerifyToken",
        "TokenVerified",
        "GetUser",
        "User",
        "Sessions",
        "Logout",
        "LoggedOut",
        "Login",
        "ErrorReply",
    ] {
        assert!(messages.contains(&message), "{message}: {messages:?}");
    }
    assert!(lines.iter().all(|line| line[1].is_empty()), "{lines:?}");
    assert!(lines.iter().any(|line| line[2] == "kim"), "{lines:?}");
}

#[test]
fn every_vector_is_dissected_and_secrets_are_shown_on_request_only() {
    let mut capture = Capture::new();
    let vectors = files::valid().vectors;
    for vector in &vectors {
        capture.frame(vector.direction, &from_hex(&vector.hex));
    }
    let folder = tempfile();
    let file = folder.join("valid.pcap");
    std::fs::write(&file, &capture.bytes).unwrap();
    let fields = [
        "userservice.name",
        "userservice.request_id",
        "userservice.malformed",
        "userservice.access_token",
        "userservice.retry_after_ms",
    ];
    let Some(lines) = tshark(&file, &fields, &[]) else { return };
    assert_eq!(lines.len(), vectors.len(), "a line for each frame");
    for (line, vector) in lines.iter().zip(&vectors) {
        let expected = [vector.message.clone(), vector.id.to_string(), String::new()];
        assert_eq!(line[..3], expected, "{}", vector.name);
        let retry = vector.fields.get("retry_after_ms").map(ToString::to_string);
        assert_eq!(line[4], retry.unwrap_or_default(), "{}", vector.name);
        let is_hidden = line[3].is_empty() || line[3].ends_with("bytes]");
        assert!(is_hidden, "{}: {}", vector.name, line[3]);
    }
    let shown = ["-o", "userservice.show_secrets:TRUE"];
    let lines = tshark(&file, &["userservice.access_token"], &shown).unwrap();
    assert!(lines.iter().any(|line| line[0] == crate::samples::ACCESS), "{lines:?}");
}

#[test]
fn malformed_messages_are_reported() {
    let Some(_) = tshark(&path(RECORDED), &["userservice.request_id"], &[]) else { return };
    let folder = tempfile();
    let file = folder.join("invalid.pcap");
    // The dissector checks the structure, not the values.
    let structural = |field: &str| field == "tail";
    let invalid = files::invalid().vectors;
    let chosen: Vec<_> = invalid
        .iter()
        .filter(|vector| {
            vector.level == Level::Message && vector.field.as_deref().is_some_and(structural)
        })
        .collect();
    assert!(chosen.len() > 50);
    let mut capture = Capture::new();
    for vector in &chosen {
        capture.frame(vector.direction, &from_hex(&vector.hex));
    }
    std::fs::write(&file, &capture.bytes).unwrap();
    let lines = tshark(&file, &["userservice.malformed"], &[]).unwrap();
    assert_eq!(lines.len(), chosen.len());
    for (line, vector) in lines.iter().zip(chosen) {
        assert_eq!(line[0], "tail", "{}", vector.name);
    }
}

/// Returns a new folder in the target directory.
fn tempfile() -> std::path::PathBuf {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default().replace("::", "-");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
