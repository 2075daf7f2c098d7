//! Hex encoding: lenient when parsing, plain when writing.

use std::fmt::Write;

/// Parses hex digits; ignores whitespace, colons, commas, underscores and `0x` prefixes.
///
/// # Errors
/// A message if a character is not a hex digit, a digit is left over, or there are no digits.
pub(crate) fn parse(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for token in text.split(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | '_')) {
        let token = token.strip_prefix("0x").or_else(|| token.strip_prefix("0X")).unwrap_or(token);
        for c in token.chars() {
            // The message does not quote the character, which may be part of a secret.
            let digit = c.to_digit(16).ok_or_else(|| {
                "the input contains a character that is not a hex digit".to_owned()
            })?;
            let digit = u8::try_from(digit).unwrap_or_default();
            match high.take() {
                None => high = Some(digit),
                Some(high) => bytes.push(high << 4 | digit),
            }
        }
    }
    match (high, bytes.is_empty()) {
        (Some(_), _) => Err("the number of hex digits is odd".to_owned()),
        (None, true) => Err("the input contains no hex digits".to_owned()),
        (None, false) => Ok(bytes),
    }
}

/// Encodes bytes as lowercase hex digits.
pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]
    use super::*;

    #[test]
    fn common_notations_are_parsed() {
        for pasted in ["00ff7f", "00 FF 7f", "0x00,0xff,0x7f", "00:ff:7f", "0 0ff\n7f", "00_ff_7f"]
        {
            assert_eq!(parse(pasted).unwrap(), [0x00, 0xff, 0x7f], "{pasted}");
        }
        assert_eq!(encode(&[0, 255, 127]), "00ff7f");
    }

    #[test]
    fn invalid_hex_is_rejected() {
        for wrong in ["", "  ", "0", "000", "0g", "hello", "é"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
