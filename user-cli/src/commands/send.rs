use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use user_proto::client::{self, ConnectError, Stream};
use user_proto::{frame, limits};

use crate::context::{Context, Needs, Run};
use crate::explain::{self, Direction};
use crate::failure::Failure;
use crate::options::HexBytes;
use crate::{output, show, tls};

/// Send raw bytes to the server, valid or not, and decode its replies
#[derive(Args)]
#[command(after_long_help = "\
Exits with code 1 if the server replies with an error.

Examples:
  user-cli send 00000005 7f 00000001            # a ping
  user-cli send 00000004 7f 000000              # a frame that is too short")]
pub(crate) struct Send {
    #[command(flatten)]
    bytes: HexBytes,
    /// Show passwords, codes and tokens
    #[arg(long)]
    show_secrets: bool,
}

impl Run for Send {
    fn needs(&self) -> Needs {
        Needs::Connection
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        let bytes = self.bytes.read()?;
        let frames = explain::frames(&bytes, Some(Direction::Request));
        if frames.iter().any(explain::Explained::may_contain_secrets) {
            context.endpoint.check_secrets()?;
        }
        let default = Duration::from_millis(limits::DEFAULT_DEADLINE_MS.into());
        let timeout = context.global.timeout.unwrap_or(default);
        let mut stream = context.runtime.run(send(context, &bytes, timeout))??;

        let expected = expected_replies(&bytes);
        let (mut replies, mut refused) = (0, false);
        let reading = read_replies(&mut stream, timeout, |frame| {
            if context.global.verbose {
                show::frame(client::Direction::Received, frame);
            }
            for explained in explain::frames(frame, Some(Direction::Reply)) {
                refused |= explained.is_error_reply();
                replies += usize::from(!explained.concerns_connection());
                explained.print(context.global.json, self.show_secrets)?;
            }
            Ok(expected == 0 || replies < expected)
        });
        let ended = context.runtime.run(reading)??;
        if let Some(reason) = ended {
            output::error_line(&format!("note: {reason}"));
            if !refused && replies < expected.max(1) {
                return Err(Failure::usage(
                    format!("no reply from {}", context.endpoint),
                    "Check with `user-cli decode` how the server interprets these bytes.",
                ));
            }
        }
        if refused { Err(Failure::Reported) } else { Ok(()) }
    }
}

/// Connects and writes the bytes. Each of the two may take as long as `timeout`.
async fn send(context: &Context<'_>, bytes: &[u8], timeout: Duration) -> Result<Stream, Failure> {
    let endpoint = &context.endpoint;
    let failed = |action: &str, error: &dyn std::fmt::Display| {
        Failure::usage(
            format!("{endpoint}: cannot {action}: {error}"),
            "Check that the server is running, and check its address and --timeout.",
        )
    };
    let connected =
        tokio::time::timeout(timeout, tls::connect(&endpoint.addr, context.tls())).await;
    let mut stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(ConnectError::Handshake(reason))) => {
            return Err(context.call_failure(client::Error::Handshake(reason), false));
        }
        Ok(Err(error)) => return Err(failed("connect", &error)),
        Err(_) => return Err(failed("connect", &"timed out")),
    };
    if context.global.verbose {
        show::frame(client::Direction::Sent, bytes);
    }
    let written = tokio::time::timeout(timeout, async {
        stream.write_all(bytes).await?;
        stream.flush().await
    });
    match written.await {
        Ok(Ok(())) => Ok(stream),
        Ok(Err(error)) => Err(failed("send", &error)),
        Err(_) => Err(failed("send", &"timed out; the server is not reading")),
    }
}

/// Returns the number of replies to expect for `bytes`: one per frame. Returns 0 if the bytes end
/// inside a frame or a length is invalid, since the server then may send any number of frames.
fn expected_replies(bytes: &[u8]) -> usize {
    let explained = explain::frames(bytes, Some(Direction::Request));
    if explained.iter().all(explain::Explained::is_whole) { explained.len() } else { 0 }
}

/// Passes each received frame to `on_frame` until that returns false. If no more frames can be read
/// before that, returns the cause.
async fn read_replies(
    stream: &mut Stream,
    timeout: Duration,
    mut on_frame: impl FnMut(&[u8]) -> Result<bool, Failure>,
) -> Result<Option<String>, Failure> {
    let deadline = tokio::time::Instant::now() + timeout;
    let mut input = Vec::new();
    loop {
        match frame::split(&input) {
            Ok(Some((_, size))) => {
                let following = input.split_off(size);
                if !on_frame(&input)? {
                    return Ok(None);
                }
                input = following;
                continue;
            }
            Ok(None) => {}
            Err(error) => return Ok(Some(format!("the server sent an invalid frame: {error}"))),
        }
        match tokio::time::timeout_at(deadline, stream.read_buf(&mut input)).await {
            Ok(Ok(0)) => return Ok(Some("the server closed the connection".to_owned())),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                let cause = client::CloseReason::from(error);
                return Ok(Some(format!("the connection was lost: {cause}")));
            }
            Err(_) => return Ok(Some("timed out waiting for a reply".to_owned())),
        }
    }
}
