use std::time::{Duration, Instant};

use clap::Args;

use crate::context::{Context, Run};
use crate::failure::Failure;
use crate::options::parse_duration;
use crate::output;
use crate::top::page::Page;
use crate::top::scrape::MetricsUrl;
use crate::top::screen;

/// Show live metrics of a server: requests, connections, password hashing, emails, database and
/// cache
#[derive(Args)]
#[command(after_help = "\
The server serves these metrics if METRICS_ADDR is set. Press q to quit.

Examples:
  user-cli top
  user-cli top --metrics http://10.0.0.7:9464 --interval 5s
  user-cli top --once                  # one interval, as text")]
pub(crate) struct Top {
    /// URL of the server's metrics
    #[arg(
        long,
        env = "USER_SERVER_METRICS",
        value_name = "http://HOST:PORT",
        default_value = "http://127.0.0.1:9464"
    )]
    metrics: MetricsUrl,
    /// Time between two updates
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    interval: Duration,
    /// Print the metrics of one interval as text and exit
    #[arg(long)]
    once: bool,
}

impl Run for Top {
    fn uses_server(&self) -> bool {
        false
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        let scrape = || {
            self.metrics.scrape().map_err(|error| {
                Failure::usage(
                    format!("cannot read {}: {error}", self.metrics),
                    "Set METRICS_ADDR on the server, and pass its address with --metrics.",
                )
            })
        };
        let first = scrape()?;
        let (json, url) = (context.global.json, self.metrics.to_string());
        if self.once || json {
            let start = Instant::now();
            std::thread::sleep(self.interval);
            let page = Page::new(&first, &scrape()?, start.elapsed(), &url);
            let text = if json { page.json().to_string() } else { page.text() };
            return Ok(output::line(&text)?);
        }
        screen::run(&url, self.interval, first, &scrape)
    }
}
