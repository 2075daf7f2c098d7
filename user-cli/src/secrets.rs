//! Reads passwords, codes and tokens: from the terminal without echo, or from the lines of stdin.

use std::io::{self, BufRead, IsTerminal, Read};

use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::output;
use crate::runtime::Runtime;

/// Secret text, zeroized on drop.
pub(crate) type SecretText = Zeroizing<String>;

/// Maximum length of a line in bytes. A longer secret would not fit into a frame.
const MAX_LINE: u64 = 64 * 1024;

/// Reads an existing password, from stdin or with one prompt.
pub(crate) fn password(
    runtime: &Runtime,
    prompt: &str,
    from_stdin: bool,
) -> Result<SecretText, Failure> {
    if from_stdin { line(runtime, "password") } else { prompt_hidden(runtime, prompt) }
}

/// Reads a password to be set, from stdin or with two prompts, since it is typed without echo.
pub(crate) fn new_password(
    runtime: &Runtime,
    prompt: &str,
    from_stdin: bool,
) -> Result<SecretText, Failure> {
    if from_stdin {
        return line(runtime, "new password");
    }
    let first = prompt_hidden(runtime, prompt)?;
    let second = prompt_hidden(runtime, &format!("{prompt} again"))?;
    if first == second {
        Ok(first)
    } else {
        Err(Failure::usage("the passwords do not match", "Enter the same password twice."))
    }
}

/// Prompts for an emailed code. It is echoed, since it is short-lived and easy to mistype.
pub(crate) fn code(runtime: &Runtime) -> Result<SecretText, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "cannot prompt for the code: stdin is not a terminal",
            "Pass the code with --code.",
        ));
    }
    output::prompt("Code: ");
    let typed = runtime.run_blocking(|| {
        let mut typed = Zeroizing::new(String::with_capacity(MAX_LINE as usize));
        io::stdin().lock().take(MAX_LINE).read_line(&mut typed).map(|read| (read, typed))
    })?;
    let (read, typed) = typed.map_err(|error| {
        Failure::usage(format!("cannot read the code: {error}"), "Pass the code with --code.")
    })?;
    if read == 0 {
        // Ctrl-D leaves the cursor behind the prompt.
        output::error_line("");
    }
    non_empty("code", Zeroizing::new(typed.trim().to_owned()))
}

/// Reads the next line of stdin, without its line ending. `name` is the name of the secret in error
/// messages.
pub(crate) fn line(runtime: &Runtime, name: &'static str) -> Result<SecretText, Failure> {
    runtime.run_blocking(move || read_line(&mut io::stdin().lock(), name))?
}

fn read_line(input: &mut impl BufRead, name: &str) -> Result<SecretText, Failure> {
    let hint =
        format!("Pass the {name} as a line of UTF-8 text on stdin; see --help for the order.");
    // Allocated in full, so that no reallocation leaves a copy of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LINE as usize));
    let read = input.take(MAX_LINE).read_until(b'\n', &mut bytes);
    read.map_err(|error| Failure::usage(format!("cannot read stdin: {error}"), &hint))?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::usage(format!("the {name} is not valid UTF-8"), &hint))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::usage(format!("stdin contains no line with the {name}"), &hint));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

fn prompt_hidden(runtime: &Runtime, prompt: &str) -> Result<SecretText, Failure> {
    // On Ctrl-C, rpassword raises the signal before it restores the terminal. If the signal ended
    // the process, the terminal would stay without echo.
    runtime.catch_interrupts();
    match rpassword::prompt_password(format!("{prompt}: ")) {
        Ok(typed) => non_empty(&prompt.to_lowercase(), Zeroizing::new(typed)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(Failure::Interrupted),
        // Ctrl-D.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            output::error_line("");
            non_empty(&prompt.to_lowercase(), Zeroizing::default())
        }
        Err(_) => Err(Failure::usage(
            format!("cannot prompt for the {}: there is no terminal", prompt.to_lowercase()),
            "Pass it as a line of stdin with --password-stdin.",
        )),
    }
}

/// Returns what was typed, unless that is nothing.
fn non_empty(name: &str, typed: SecretText) -> Result<SecretText, Failure> {
    match typed.is_empty() {
        false => Ok(typed),
        true => Err(Failure::usage(
            format!("no {name} was entered; nothing was sent"),
            format!("Run the command again and type the {name}."),
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed, as it should")]
    use super::*;

    #[test]
    fn lines_are_read_one_by_one_without_their_ends() {
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
