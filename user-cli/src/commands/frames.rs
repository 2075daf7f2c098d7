//! The connection and its frames: ping, explain bytes, send bytes.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use user_proto::client::{NoStream, Stream};
use user_proto::{Ping, client, frame, limits};

use super::{Context, Failure};
use crate::args;
use crate::context::{Told, show_frame};
use crate::explain::{self, Explained, Verdict};
use crate::{hex, output, tls};

pub(super) fn ping(context: &Context<'_>) -> Result<(), Failure> {
    // The first one connects; the second one measures.
    let begun = Instant::now();
    context.ask(Ping {})?;
    let connected = begun.elapsed();
    let begun = Instant::now();
    let pong = context.ask(Ping {})?;
    let round_trip = begun.elapsed();
    let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let rows = [
        ("round_trip_ms", ms(round_trip).into(), format!("{:.3} ms", ms(round_trip))),
        ("first_reply_ms", ms(connected).into(), format!("{:.3} ms", ms(connected))),
    ];
    context.show_with(&pong, &rows, &Told::new(format!("{} answers.", context.global.addr)))?;
    Ok(())
}

pub(super) fn decode(context: &Context<'_>, args: &args::Decode) -> Result<(), Failure> {
    let bytes = read_hex(&args.hex)?;
    let mut is_refused = false;
    for explained in explain::frames(&bytes, args.direction) {
        is_refused |= explained.is_refused();
        show(context, &explained, args.show_secrets)?;
    }
    if is_refused { Err(Failure::Said) } else { Ok(()) }
}

pub(super) fn send(context: &Context<'_>, args: &args::Send) -> Result<(), Failure> {
    let bytes = read_hex(&args.hex)?;
    let patience =
        context.global.timeout.unwrap_or(Duration::from_millis(limits::DEFAULT_DEADLINE_MS.into()));
    let addr = &context.global.addr;
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Failure::usage(
            format!("{addr}: {what}: {error}"),
            "Look whether the server runs, and at --addr and --timeout.",
        )
    };
    let sent = async {
        let connected = tokio::time::timeout(patience, tls::connect(addr, context.tls())).await;
        let mut stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(NoStream::Handshake(why))) => {
                return Err(context.failed(client::Error::Handshake(why), false));
            }
            Ok(Err(error)) => return Err(failed("can not connect", &error)),
            Err(_) => return Err(failed("can not connect", &"no answer in time")),
        };
        if context.global.verbose {
            show_frame(client::Direction::Sent, &bytes);
        }
        let written = tokio::time::timeout(patience, async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        });
        match written.await {
            Ok(Ok(())) => Ok(stream),
            Ok(Err(error)) => Err(failed("can not send", &error)),
            Err(_) => Err(failed("can not send", &"the server does not read")),
        }
    };
    let mut stream = context.until_interrupted(sent)??;

    let awaited = requests_in(&bytes);
    let (mut replies, mut refused) = (0, false);
    let reading = read_replies(&mut stream, patience, |frame| {
        if context.global.verbose {
            show_frame(client::Direction::Received, frame);
        }
        for explained in explain::frames(frame, Some(args::Direction::Reply)) {
            refused |= explained.is_error_reply();
            replies += usize::from(!explained.is_about_the_connection());
            show(context, &explained, args.show_secrets)?;
        }
        Ok(awaited == 0 || replies < awaited)
    });
    let ended = context.until_interrupted(reading)??;
    if let Some(ended) = ended {
        output::complain(&format!("note: {ended}"));
        if !refused && replies < awaited.max(1) {
            return Err(Failure::usage(
                format!("{addr}: no reply to what was sent"),
                "See with user-cli decode what the server makes of it.",
            ));
        }
    }
    if refused { Err(Failure::Said) } else { Ok(()) }
}

/// How many replies these bytes are worth: one for each whole frame. None where they end inside a
/// frame or framing is lost, since then the server has more to say.
fn requests_in(bytes: &[u8]) -> usize {
    let explained = explain::frames(bytes, Some(args::Direction::Request));
    let whole = explained
        .iter()
        .all(|frame| matches!(frame.verdict, Verdict::Message { .. } | Verdict::Bad(_)));
    if whole { explained.len() } else { 0 }
}

/// Hands over each frame that comes, until that says that it was the last; otherwise why there are
/// no more.
async fn read_replies(
    stream: &mut Stream,
    patience: Duration,
    mut each: impl FnMut(&[u8]) -> Result<bool, Failure>,
) -> Result<Option<String>, Failure> {
    let deadline = tokio::time::Instant::now() + patience;
    let mut input = Vec::new();
    loop {
        match frame::split(&input) {
            Ok(Some((_, size))) => {
                let rest = input.split_off(size);
                if !each(&input)? {
                    return Ok(None);
                }
                input = rest;
                continue;
            }
            Ok(None) => {}
            Err(error) => return Ok(Some(format!("what came is no frame: {error}"))),
        }
        match tokio::time::timeout_at(deadline, stream.read_buf(&mut input)).await {
            Ok(Ok(0)) => return Ok(Some("the server closed the connection".to_owned())),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                return Ok(Some(format!(
                    "the connection was lost: {}",
                    client::Cause::from(error)
                )));
            }
            Err(_) => return Ok(Some("nothing more came in time".to_owned())),
        }
    }
}

fn show(context: &Context<'_>, explained: &Explained<'_>, reveal: bool) -> io::Result<()> {
    if context.global.json {
        output::line(&explained.json(reveal).to_string())
    } else {
        output::line(&explained.text(reveal))
    }
}

fn read_hex(arguments: &[String]) -> Result<Vec<u8>, Failure> {
    if arguments.iter().any(|argument| argument != "-") {
        return hex::parse(&arguments.join(" "));
    }
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text).map_err(|error| {
        Failure::usage(format!("can not read stdin: {error}"), "Give the bytes in hex, as text.")
    })?;
    hex::parse(&text)
}
