use std::time::{Duration, Instant};

use clap::Args;

use crate::context::{Context, Needs, Run};
use crate::failure::Failure;
use crate::show::Summary;

/// Measure the round-trip time to the server and show its limits
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  user-cli ping
  user-cli ping --addr users.example.com:3001 --json
  user-cli ping --addr users.example.com --ca authority.pem --cert me.pem --key me.key")]
pub(crate) struct Ping {}

impl Run for Ping {
    fn needs(&self) -> Needs {
        Needs::Connection
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        // The first ping opens the connection, the second one measures it.
        let start = Instant::now();
        context.call(user_proto::Ping {})?;
        let first_reply = start.elapsed();
        let start = Instant::now();
        let pong = context.call(user_proto::Ping {})?;
        let round_trip = start.elapsed();
        let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let timings = [
            ("round_trip_ms", ms(round_trip).into(), format!("{:.3} ms", ms(round_trip))),
            ("first_reply_ms", ms(first_reply).into(), format!("{:.3} ms", ms(first_reply))),
        ];
        let summary = Summary::new(format!("{} is responding.", context.endpoint.addr));
        context.show_with(&pong, &timings, &summary)?;
        Ok(())
    }
}
