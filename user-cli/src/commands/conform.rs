use clap::{Args, ValueEnum};
use serde_json::json;

use crate::conform::{self, Case, Report, Unusable, Verdict};
use crate::context::{Context, Needs, Run};
use crate::failure::Failure;
use crate::output;

/// Test the behaviour of a client against a scripted server
///
/// Plays a server that answers late, out of order, wrongly or not at all, and checks what a client
/// in any language does. The driver is a program around that client: it reads JSON lines from stdin
/// and writes JSON lines to stdout, as docs/CONFORMANCE.md describes.
#[derive(Args)]
#[command(after_long_help = "\
Exits with code 1 if a case at the level MUST failed, and with --strict also after a warning or a
skipped case.

Examples:
  user-cli conform -- node driver.js
  user-cli conform --case shutdown --case errors.unknown_class -- python3 driver.py
  user-cli conform --format junit -- ./driver > report.xml
  user-cli conform --list")]
pub(crate) struct Conform {
    /// Run only the case with this id, or the cases of this group; may be repeated
    #[arg(long, value_name = "ID")]
    case: Vec<String>,
    /// Format of the report, text by default; --json is the same as --format json
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Print the cases, and run nothing
    #[arg(long)]
    list: bool,
    /// Count warnings and skipped cases as failures
    #[arg(long)]
    strict: bool,
    /// Number of cases that run at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 6)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Arguments that are not preceded by `--`, for the message
    #[arg(hide = true)]
    misplaced: Vec<String>,
    /// Program that drives the client, with its arguments
    #[arg(last = true, value_name = "DRIVER")]
    driver: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Junit,
}

impl Run for Conform {
    fn needs(&self) -> Needs {
        Needs::Nothing
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        let format = self.format(context.global.json)?;
        self.check_driver()?;
        let cases = self.cases()?;
        if self.list {
            return list(&cases, format);
        }
        let show = |lines: &[String]| match format {
            Format::Text => lines.iter().try_for_each(|line| output::line(line)),
            Format::Json | Format::Junit => Ok(()),
        };
        let running = conform::run_all(cases, &self.driver, self.jobs.into(), show);
        let report = context.runtime.run(running)?.map_err(|error| self.unusable(&error))??;
        match format {
            Format::Text => output::line(&report.summary())?,
            Format::Json => output::json(&report.json())?,
            Format::Junit => output::line(&report.junit())?,
        }
        if self.is_failure(&report) { Err(Failure::Reported) } else { Ok(()) }
    }
}

impl Conform {
    fn format(&self, json: bool) -> Result<Format, Failure> {
        match self.format {
            Some(format) if json && format != Format::Json => Err(Failure::usage(
                "--json cannot be used with another --format",
                "Pass one of the two.",
            )),
            Some(format) => Ok(format),
            None if json => Ok(Format::Json),
            None => Ok(Format::Text),
        }
    }

    /// Checks that the command of the driver is given, and after `--`.
    fn check_driver(&self) -> Result<(), Failure> {
        let example = "user-cli conform -- python3 driver.py";
        if let Some(first) = self.misplaced.first() {
            let command = [self.misplaced.as_slice(), &self.driver].concat().join(" ");
            let hint = format!(
                "The command of the driver follows `--`: user-cli conform -- {command}. A case is \
                 selected by --case {first}."
            );
            return Err(Failure::usage(format!("unexpected argument `{first}`"), hint));
        }
        if self.driver.is_empty() && !self.list {
            let hint = format!("Pass a program and its arguments after `--`: {example}.");
            return Err(Failure::usage("the command of the driver is missing", hint));
        }
        Ok(())
    }

    /// Returns the selected cases.
    fn cases(&self) -> Result<Vec<Case>, Failure> {
        let load = || {
            conform::load().map_err(|error| {
                Failure::usage(
                    format!("internal error: {error}"),
                    "This is a bug in user-cli; please report it.",
                )
            })
        };
        conform::select(load()?, &self.case).or_else(|wanted| {
            let similar = conform::similar(&load()?, &wanted);
            let hint = match similar.as_slice() {
                [] => "`user-cli conform --list` prints all cases.".to_owned(),
                similar => format!(
                    "Similar cases: {}. `user-cli conform --list` prints all.",
                    similar.join(", ")
                ),
            };
            Err(Failure::usage(format!("there is no case and no group `{wanted}`"), hint))
        })
    }

    fn is_failure(&self, report: &Report) -> bool {
        let lesser = report.count(Verdict::Warning) + report.count(Verdict::Skipped);
        report.count(Verdict::Failed) > 0 || (self.strict && lesser > 0)
    }

    fn unusable(&self, error: &Unusable) -> Failure {
        match error {
            Unusable::Driver(error) => Failure::usage(
                format!("cannot start the driver `{}`: {error}", self.driver.join(" ")),
                "Check that the program after `--` exists and can be executed.",
            ),
            Unusable::Server(error) => Failure::usage(
                format!("cannot start the server: {error}"),
                "Check that the temporary folder is writable and that ports are free.",
            ),
        }
    }
}

fn list(cases: &[Case], format: Format) -> Result<(), Failure> {
    for case in cases {
        let (level, section) = (case.level.name(), &case.section);
        match format {
            Format::Json => output::json(&json!({
                "id": case.id, "section": section, "level": level, "title": case.title,
            }))?,
            Format::Text | Format::Junit => {
                output::line(&format!("{:40} {level:6} {section:3} {}", case.id, case.title))?;
            }
        }
    }
    Ok(())
}
