//! The report of a run, as text, JSON and JUnit.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::cases::{Case, Level};
use super::run::{CaseResult, Status};
use crate::format;

/// Number of events that the text shows of a case that failed.
const SHOWN_EVENTS: usize = 30;

/// Meaning of a result for the whole run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// A case at the level MUST failed.
    Failed,
    /// A case at the level SHOULD failed.
    Warning,
    Skipped,
}

impl Verdict {
    pub(super) fn of(case: &Case, result: &CaseResult) -> Self {
        match (&result.status, case.level) {
            (Status::Passed, _) => Self::Passed,
            (Status::Skipped(_), _) => Self::Skipped,
            (Status::Failed(_), Level::Must) => Self::Failed,
            (Status::Failed(_), Level::Should) => Self::Warning,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Warning => "warning",
            Self::Skipped => "skipped",
        }
    }
}

/// Results of a run, in the order of the cases.
pub(crate) struct Report {
    pub(super) results: Vec<(Case, CaseResult)>,
    pub(super) elapsed: Duration,
}

impl Report {
    /// Returns the number of cases with this verdict.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        self.results.iter().filter(|(case, result)| Verdict::of(case, result) == verdict).count()
    }

    /// Returns the last line of the text.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{}: {} passed, {} failed, {}, {} skipped, in {:.1} s",
            format::counted(self.results.len(), "case"),
            self.count(Verdict::Passed),
            self.count(Verdict::Failed),
            format::counted(self.count(Verdict::Warning), "warning"),
            self.count(Verdict::Skipped),
            self.elapsed.as_secs_f64()
        )
    }

    pub(crate) fn json(&self) -> Value {
        let cases: Vec<Value> =
            self.results.iter().map(|(case, result)| entry(case, result)).collect();
        json!({
            "version": 1,
            "passed": self.count(Verdict::Passed),
            "failed": self.count(Verdict::Failed),
            "warnings": self.count(Verdict::Warning),
            "skipped": self.count(Verdict::Skipped),
            "elapsed_ms": millis(self.elapsed),
            "cases": cases,
        })
    }

    /// Returns the report in the format of JUnit. A failed SHOULD is not a failure there.
    pub(crate) fn junit(&self) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        // Writing to a string cannot fail.
        let _ = writeln!(
            xml,
            "<testsuite name=\"user-cli conform\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" \
             time=\"{:.3}\">",
            self.results.len(),
            self.count(Verdict::Failed),
            self.count(Verdict::Skipped),
            self.elapsed.as_secs_f64()
        );
        for (case, result) in &self.results {
            let (group, name) = case.id.split_once('.').unwrap_or(("", &case.id));
            let _ = write!(
                xml,
                "  <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
                escaped(group),
                escaped(name),
                result.elapsed.as_secs_f64()
            );
            let content = match (&result.status, Verdict::of(case, result)) {
                (Status::Passed, _) => String::new(),
                (Status::Skipped(what), _) => {
                    format!("<skipped message=\"{}\"/>", escaped(what))
                }
                (Status::Failed(reasons), Verdict::Warning) => {
                    format!("<system-out>warning: {}</system-out>", escaped(&reasons.join("\n")))
                }
                (Status::Failed(reasons), _) => format!(
                    "<failure message=\"{}\">{}</failure>",
                    escaped(reasons.first().map_or("", String::as_str)),
                    escaped(&details(case, result, reasons).join("\n"))
                ),
            };
            let _ = match content.as_str() {
                "" => writeln!(xml, "/>"),
                content => writeln!(xml, ">{content}</testcase>"),
            };
        }
        xml + "</testsuite>"
    }
}

/// Returns the lines of the text for one case.
pub(super) fn lines(case: &Case, result: &CaseResult) -> Vec<String> {
    let (level, section) = (case.level.name(), &case.section);
    match (&result.status, Verdict::of(case, result)) {
        (Status::Passed, _) => {
            vec![format!("ok    {}  {} ms", case.id, result.elapsed.as_millis())]
        }
        (Status::Skipped(what), _) => {
            let what = what.lines().collect::<Vec<_>>().join(" ");
            vec![format!("skip  {}: not supported: {}", case.id, format::printable(&what))]
        }
        (Status::Failed(reasons), verdict) => {
            let word = if verdict == Verdict::Warning { "warn" } else { "FAIL" };
            let mut lines = vec![format!("{word}  {}  ({level}, section {section})", case.id)];
            let details = details(case, result, reasons);
            let shown = details.iter().flat_map(|detail| indented(detail));
            lines.extend(shown.map(|line| format!("      {line}")));
            lines
        }
    }
}

/// Returns the lines of a text of the driver, all but the first one indented.
fn indented(text: &str) -> impl Iterator<Item = String> {
    text.trim_end().lines().enumerate().map(|(index, line)| {
        let indent = if index == 0 { "" } else { "    " };
        format!("{indent}{}", format::printable(line))
    })
}

fn details(case: &Case, result: &CaseResult, reasons: &[String]) -> Vec<String> {
    let mut lines = vec![format!("expected: the client {}", case.title)];
    lines.extend(reasons.iter().map(|reason| format!("- {reason}")));
    if !result.events.is_empty() {
        lines.push("events:".to_owned());
        let (first, last) = result.events.split_at(result.events.len().min(SHOWN_EVENTS));
        lines.extend(first.iter().cloned());
        if !last.is_empty() {
            lines.push(format!("          and {} more", last.len()));
        }
    }
    if !result.log.is_empty() {
        lines.push("stderr of the driver:".to_owned());
        lines.extend(result.log.iter().map(|line| format!("  {line}")));
    }
    lines
}

fn entry(case: &Case, result: &CaseResult) -> Value {
    let (reasons, unsupported) = match &result.status {
        Status::Passed => (Vec::new(), None),
        Status::Failed(reasons) => (reasons.clone(), None),
        Status::Skipped(what) => (Vec::new(), Some(what)),
    };
    json!({
        "id": case.id,
        "section": case.section,
        "level": case.level.name(),
        "title": case.title,
        "result": Verdict::of(case, result).name(),
        "elapsed_ms": millis(result.elapsed),
        "reasons": reasons,
        "unsupported": unsupported,
        "events": result.events,
        "log": result.log,
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Escapes a text for XML, and replaces characters that XML does not allow.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '"' => out += "&quot;",
            '\n' => out += "&#10;",
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
        out
    })
}
