//! Cells of CSV files that a spreadsheet would execute as formulas. A username may begin with `=`,
//! and whoever opens an export should not run what a user has chosen.

use std::borrow::Cow;

/// The mark, with which spreadsheets show a cell as text.
const MARK: char = '\'';

/// Returns the text of a cell, marked if it would be a formula. A text that begins with a mark and
/// would be one without it is marked once more, so that [`unmark`] is exact.
pub(super) fn mark(text: &str) -> Cow<'_, str> {
    if is_formula(text.trim_start_matches(MARK)) {
        Cow::Owned(format!("{MARK}{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Removes the mark of a cell that an export has marked.
pub(super) fn unmark(text: &str) -> &str {
    match text.strip_prefix(MARK) {
        Some(rest) if is_formula(rest.trim_start_matches(MARK)) => rest,
        _ => text,
    }
}

fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_marked_and_comes_back_unchanged() {
        for text in ["=1+1", "+1", "-1", "@sum", "\tx", "'=1", "''=1", "\r="] {
            assert_eq!(mark(text), format!("'{text}"));
        }
        for text in ["", "ada", "'ada", "a=1", "''", "$2b$", "1-1"] {
            assert_eq!(mark(text), text);
        }
        for text in ["=1+1", "'=1", "''@", "ada", "'ada", "", "'"] {
            assert_eq!(unmark(&mark(text)), text);
        }
    }
}
