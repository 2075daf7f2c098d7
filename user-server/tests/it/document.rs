//! The documents at the root of the repository, read as tests need them.

use std::path::Path;

/// A document's text.
pub fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of the first table under a heading, without the table's own heading.
pub fn rows_under(text: &str, heading: &str) -> Vec<Vec<String>> {
    let mut lines =
        text.lines().skip_while(|line| *line != heading).skip_while(|line| !line.starts_with('|'));
    assert!(lines.next().is_some(), "no table under `{heading}`");
    lines.skip(1).take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// The words of a cell that are set as code.
pub fn words(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn cells(line: &str) -> Vec<String> {
    line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}
