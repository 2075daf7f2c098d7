//! The class and the meaning of error codes, and the guess of the protocol that a peer speaks.

use user_proto::frame::FrameError;
use user_proto::{ErrorClass, ErrorCode};

#[test]
fn the_high_byte_is_the_class() {
    use ErrorClass::{Conflict, Identity, Input, Protocol, Server, SlowDown, Unknown};
    let classes = [Unknown, Protocol, Input, Identity, Conflict, SlowDown, Server, Unknown];
    for (high, class) in (0..).zip(classes) {
        for low in [0x00, 0x01, 0xFF] {
            assert_eq!(ErrorCode(high << 8 | low).class(), class, "{high:02x}{low:02x}");
        }
    }
    for code in ErrorCode::ALL {
        assert_ne!(code.class(), Unknown, "{code:?}");
    }
}

#[test]
fn a_code_of_a_later_version_has_the_meaning_of_its_class() {
    assert_eq!(ErrorCode::BUSY.meaning(), "The server is overloaded. Nothing was done.");
    let later = |high: u16| ErrorCode(high << 8 | 0xFF).meaning();
    assert_eq!(later(5), "The server cannot execute the request now. Nothing was done.");
    assert_eq!(later(7), "Error of a later version. Do not retry.");
    let all: std::collections::BTreeSet<_> = (1..8).map(later).collect();
    assert_eq!(all.len(), 7, "each class has its own meaning: {all:?}");
}

#[test]
fn a_code_is_displayed_by_its_name() {
    assert_eq!(ErrorCode::INVALID_TOKEN.to_string(), "INVALID_TOKEN");
    assert_eq!(format!("{:?}", ErrorCode::INVALID_TOKEN), "0303 INVALID_TOKEN");
    assert_eq!(format!("{:?} {0}", ErrorCode(0x05FF)), "05FF UNKNOWN UNKNOWN");
}

#[test]
fn another_protocol_is_recognized_by_its_first_bytes() {
    let guess = |bytes: &[u8; 4]| FrameError::TooLong(u32::from_be_bytes(*bytes)).looks_like();
    assert_eq!(guess(&[0x16, 0x03, 0x01, 0x02]), Some("TLS"));
    assert_eq!(guess(&[0x16, 0x04, 0x01, 0x02]), None);
    assert_eq!(guess(b"SSH-"), Some("SSH"));
    for method in [b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"DELE", b"PATC", b"CONN", b"PRI "]
    {
        assert_eq!(guess(method), Some("HTTP"));
    }
    for (first, protocol) in [
        (b"220 ", "SMTP or FTP"),
        (b"220-", "SMTP or FTP"),
        (b"554 ", "SMTP"),
        (b"-ERR", "Redis"),
        (b"*1\r\n", "Redis"),
        (b"E\0\0\0", "PostgreSQL"),
    ] {
        assert_eq!(guess(first), Some(protocol), "{first:?}");
    }
    // A length in the wrong byte order is the mistake of a client.
    for other in [b"EHLO", b"E\0\0\x5a", b"\x5a\0\0\0", b"*a\r\n"] {
        assert_eq!(guess(other), None, "{other:?}");
    }
    assert_eq!(FrameError::TooShort(4).looks_like(), None);
}
