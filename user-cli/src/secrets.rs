//! Passwords, codes and tokens on their way in: from the terminal without echo, or from the lines
//! of stdin.

use std::io::{self, BufRead, IsTerminal, Read};

use zeroize::Zeroizing;

use crate::context::Context;
use crate::failure::Failure;
use crate::output;

/// A secret that was typed; wiped when it is dropped.
pub(crate) type Typed = Zeroizing<String>;

/// A line longer than the longest frame is no password.
const LONGEST_LINE: u64 = 64 * 1024;

/// A password that exists: asked for once.
pub(crate) fn password(
    context: &Context<'_>,
    prompt: &str,
    from_stdin: bool,
) -> Result<Typed, Failure> {
    if from_stdin { line(context, "password") } else { ask(context, prompt) }
}

/// A password that is being set: asked for twice, since nobody sees what they type.
pub(crate) fn new_password(
    context: &Context<'_>,
    prompt: &str,
    from_stdin: bool,
) -> Result<Typed, Failure> {
    if from_stdin {
        return line(context, "new password");
    }
    let first = ask(context, prompt)?;
    let second = ask(context, &format!("{prompt} again"))?;
    if first == second {
        Ok(first)
    } else {
        Err(Failure::usage("the two passwords differ", "Type the same one twice."))
    }
}

/// The code from a mail, with echo: it is short-lived and meant to be compared.
pub(crate) fn code(context: &Context<'_>) -> Result<Typed, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "there is no terminal to ask for the code",
            "Give it with --code.",
        ));
    }
    output::prompt("Code: ");
    let typed = line(context, "code")?;
    Ok(Zeroizing::new(typed.trim().to_owned()))
}

/// The next line of stdin.
pub(crate) fn line(context: &Context<'_>, what: &'static str) -> Result<Typed, Failure> {
    context.blocking(move || read_line(&mut io::stdin().lock(), what))?
}

fn read_line(input: &mut impl BufRead, what: &str) -> Result<Typed, Failure> {
    let mend =
        format!("Give the {what} as a line of UTF-8 on stdin; see --help for the order of lines.");
    // Room for all, so that no growing buffer leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_LINE as usize));
    let read = input.take(LONGEST_LINE).read_until(b'\n', &mut bytes);
    read.map_err(|error| Failure::usage(format!("can not read stdin: {error}"), &mend))?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::usage(format!("the {what} is not UTF-8"), &mend))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::usage(format!("stdin has no line with the {what}"), &mend));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

fn ask(context: &Context<'_>, prompt: &str) -> Result<Typed, Failure> {
    // On Ctrl-C the prompt raises the signal before it gives the terminal back. Where that ended
    // the process, the terminal would stay without echo.
    context.outlive_interrupts();
    match rpassword::prompt_password(format!("{prompt}: ")) {
        Ok(typed) => Ok(Zeroizing::new(typed)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(Failure::Interrupted),
        Err(_) => Err(Failure::usage(
            format!("there is no terminal to ask for: {}", prompt.to_lowercase()),
            "Give it as a line of stdin, with --password-stdin.",
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]
    use super::*;

    #[test]
    fn lines_are_taken_one_by_one_without_their_ends() {
        let mut input = io::Cursor::new("old pass \r\nnew\n\nlast");
        let mut next =
            || read_line(&mut input, "password").ok().map(|typed| typed.as_str().to_owned());
        assert_eq!(next().unwrap(), "old pass ");
        assert_eq!(next().unwrap(), "new");
        assert_eq!(next(), None);
        assert_eq!(next().unwrap(), "last");
        assert_eq!(next(), None);
    }
}
