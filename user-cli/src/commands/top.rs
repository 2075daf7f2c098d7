use std::time::{Duration, Instant};

use clap::Args;

use crate::config;
use crate::context::{Context, Needs, Run};
use crate::environment;
use crate::failure::Failure;
use crate::options::parse_duration;
use crate::output;
use crate::top::metrics::Metrics;
use crate::top::page::Page;
use crate::top::scrape::MetricsUrl;
use crate::top::screen;

/// Show live metrics of a server: requests, connections, password hashing, emails, database and
/// cache
#[derive(Args)]
#[command(after_long_help = "\
The server serves these metrics if METRICS_ADDR is set. Press q to quit.

Examples:
  user-cli top
  user-cli top --metrics http://10.0.0.7:9464 --interval 5s
  user-cli top --once                  # one interval, as text")]
pub(crate) struct Top {
    /// URL of the server's metrics
    ///
    /// Without it, the metrics of the profile apply, or else $USER_CLI_METRICS, or else
    /// http://127.0.0.1:9464.
    #[arg(long, value_name = "http://HOST:PORT")]
    metrics: Option<MetricsUrl>,
    /// Time between two updates
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    interval: Duration,
    /// Print the metrics of one interval as text and exit
    #[arg(long)]
    once: bool,
}

impl Run for Top {
    fn needs(&self) -> Needs {
        Needs::Nothing
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        let (metrics, source) = self.metrics(context)?;
        let scrape = || {
            metrics.scrape().map_err(|error| {
                Failure::usage(
                    format!("cannot read {metrics} ({source}): {error}"),
                    "Set METRICS_ADDR on the server, and pass its address with --metrics.",
                )
            })
        };
        let first = scrape()?;
        let (json, url) = (context.global.json, metrics.to_string());
        if self.once || json {
            let start = Instant::now();
            std::thread::sleep(self.interval);
            let metrics = Metrics::new(&first, &scrape()?, start.elapsed(), &url);
            if json {
                output::json(&metrics)?;
            } else {
                output::line(&Page::new(&metrics).text())?;
            }
            return Ok(());
        }
        screen::run(&url, self.interval, first, &scrape)
    }
}

impl Top {
    /// Returns the URL of the metrics and its source.
    ///
    /// # Errors
    /// If the profile or an environment variable is invalid.
    fn metrics(&self, context: &Context<'_>) -> Result<(MetricsUrl, String), Failure> {
        if let Some(url) = &self.metrics {
            return Ok((url.clone(), "from --metrics".to_owned()));
        }
        if let Some(profile) = config::selected_profile(context.global)? {
            let source = format!("from the profile `{}`", profile.name);
            let Some(text) = profile.settings.metrics else {
                return Err(Failure::usage(
                    format!("the profile `{}` has no metrics", profile.name),
                    "Add a line such as metrics = \"http://10.0.0.7:9464\" to it, or pass --metrics.",
                ));
            };
            return match text.parse() {
                Ok(url) => Ok((url, source)),
                Err(expected) => Err(Failure::usage(
                    format!("invalid value \"{text}\" for metrics {source}: {expected}"),
                    "Correct the profile.",
                )),
            };
        }
        let variable = environment::parsed("USER_CLI_METRICS", |text| text.parse())?;
        Ok(match variable {
            Some(url) => (url, "from $USER_CLI_METRICS".to_owned()),
            None => (MetricsUrl::local(), "the default address".to_owned()),
        })
    }
}
