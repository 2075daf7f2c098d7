//! Cells of CSV files that a spreadsheet would execute as formulas. A username may begin with `=`,
//! and opening an export must not execute text that a user has chosen.

use std::borrow::Cow;

/// The apostrophe before the content of a cell, with which spreadsheets show it as text.
const MARK: char = '\'';

/// Returns the content of a CSV cell for `text`, with a [`MARK`] in front if it would be a formula.
/// A text that begins with a mark and would be a formula without it gets another one, so that
/// [`unmark`] is exact.
pub(super) fn mark(text: &str) -> Cow<'_, str> {
    if is_formula(text.trim_start_matches(MARK)) {
        Cow::Owned(format!("{MARK}{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Removes the [`MARK`] that an export has added to a cell.
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
