//! A live view of a server, from what it tells at /metrics. It knows the names of the figures, and
//! nothing else of the server.

mod page;
mod scrape;
mod screen;

use std::time::Instant;

use crate::args::Top;
use crate::failure::Failure;
use crate::output;
use page::Page;

pub(crate) use scrape::MetricsUrl;

pub(crate) fn run(args: &Top, json: bool) -> Result<(), Failure> {
    let look = || {
        args.metrics.look().map_err(|error| {
            let mend = "Set METRICS_ADDR for the server, and name it with --metrics.";
            Failure::usage(format!("{} tells nothing: {error}", args.metrics), mend)
        })
    };
    let first = look()?;
    if args.once || json {
        let began = Instant::now();
        std::thread::sleep(args.interval);
        let page = Page::of(&first, &look()?, began.elapsed(), &args.metrics.to_string());
        let text = if json { page.json().to_string() } else { page.text() };
        return Ok(output::line(&text)?);
    }
    screen::run(args, first, &look)
}
