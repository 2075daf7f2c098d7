//! Text that is printed on a terminal although others have chosen it.

/// Escapes the characters of a text that control a terminal, except line breaks.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        let is_format = matches!(
            letter,
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        );
        if is_format || letter.is_control() && letter != '\n' {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn a_text_cannot_control_the_terminal() {
        assert_eq!(printable("Ünal\nnext"), "Ünal\nnext");
        assert_eq!(
            printable("a\u{1b}[31mb\u{9b}\u{202e}\r"),
            "a\\u{1b}[31mb\\u{9b}\\u{202e}\\u{d}"
        );
    }
}
