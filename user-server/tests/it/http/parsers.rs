//! The parsers of others: the Python client of Prometheus, and promtool.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::left_out;

/// Parses an exposition, and prints how many families and samples it has of which type.
const SCRIPT: &str = "
import sys
if sys.argv[1] == 'text':
    from prometheus_client.parser import text_string_to_metric_families as parse
else:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
families = list(parse(sys.stdin.read()))
for family in families:
    assert family.type in ('counter', 'gauge', 'histogram'), (family.name, family.type)
    assert family.documentation and family.samples, family.name
names = [family.name for family in families]
assert len(names) == len(set(names)), 'a family is declared twice'
assert 'user_server_requests' in names, names
print(len(names))
";

/// Asserts that every parser that is installed accepts an exposition. `kind` is `text` or
/// `openmetrics`.
pub(super) fn accept(kind: &str, body: &str) {
    let has = |program: &str, arguments: &[&str]| {
        let run = Command::new(program).args(arguments).output();
        run.is_ok_and(|output| output.status.success())
    };
    // No other Python finds the modules of Debian packages than Debian's.
    let python = ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(|python| has(python, &["-c", "import prometheus_client.openmetrics"]));
    if let Some(python) = python {
        let families = pipe(python, &["-c", SCRIPT, kind], body);
        assert!(families.trim().parse::<usize>().unwrap() > 30, "{families}");
    } else {
        left_out("metrics in Python (prometheus_client is missing)");
    }
    if kind == "text" {
        match has("promtool", &["--version"]) {
            true => drop(pipe("promtool", &["check", "metrics"], body)),
            false => left_out("metrics in promtool (promtool is missing)"),
        }
    }
}

/// Passes a text to a program, which must succeed, and returns its output.
fn pipe(program: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
