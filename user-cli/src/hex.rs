//! Bytes as hex, read leniently and written plainly.

use std::fmt::Write;

use crate::failure::Failure;

/// Reads what people paste: spaces, colons, commas, underscores and `0x` do not matter.
pub(crate) fn parse(text: &str) -> Result<Vec<u8>, Failure> {
    let wrong = |what: String| {
        Failure::usage(what, "Give pairs of hex digits, as in 00000005 7f 00000001.")
    };
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for token in text.split(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | '_')) {
        let token = token.strip_prefix("0x").or_else(|| token.strip_prefix("0X")).unwrap_or(token);
        for c in token.chars() {
            // The character itself is left out where it may be part of a secret.
            let digit = c
                .to_digit(16)
                .ok_or_else(|| wrong("there is a character that is no hex digit".to_owned()))?;
            let digit = u8::try_from(digit).unwrap_or_default();
            match high.take() {
                None => high = Some(digit),
                Some(high) => bytes.push(high << 4 | digit),
            }
        }
    }
    match (high, bytes.is_empty()) {
        (Some(_), _) => Err(wrong("the number of hex digits is odd".to_owned())),
        (None, true) => Err(wrong("there is no hex digit".to_owned())),
        (None, false) => Ok(bytes),
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]
    use super::*;

    #[test]
    fn it_reads_what_people_paste() {
        for pasted in ["00ff7f", "00 FF 7f", "0x00,0xff,0x7f", "00:ff:7f", "0 0ff\n7f", "00_ff_7f"]
        {
            assert_eq!(parse(pasted).unwrap(), [0x00, 0xff, 0x7f], "{pasted}");
        }
        assert_eq!(text(&[0, 255, 127]), "00ff7f");
    }

    #[test]
    fn it_says_what_is_wrong() {
        for wrong in ["", "  ", "0", "000", "0g", "hello", "é"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
