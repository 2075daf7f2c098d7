//! What each command does: gather what it needs, ask, remember, show. Everything is asked of the
//! person before the server is connected to, so that no connection waits for somebody who types.

mod account;
mod frames;
mod reset;
mod session;
mod shell;
mod verification;

use uuid::Uuid;

use crate::args::{Code, Command, Purpose};
use crate::bench;
use crate::context::Context;
use crate::failure::Failure;
use crate::secrets::{self, Typed};
use crate::top;

pub(crate) fn run(context: &mut Context<'_>, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Register(args) => account::register(context, args),
        Command::Get(args) => account::get(context, args),
        Command::Update(args) => account::update(context, args),
        Command::Delete(args) => account::delete(context, args),
        Command::VerifyEmail(args) => verification::verify_email(context, args),
        Command::ConfirmEmail(args) => verification::confirm_email(context, args),
        Command::ResendCode(args) => verification::resend_code(context, args),
        Command::Login(args) => session::login(context, args),
        Command::Verify(args) => session::verify(context, args),
        Command::Refresh(args) => session::refresh(context, args),
        Command::Logout(args) => session::logout(context, args),
        Command::ResetPassword(args) => reset::run(context, args),
        Command::Ping(_) => frames::ping(context),
        Command::Decode(args) => frames::decode(context, args),
        Command::Send(args) => frames::send(context, args),
        Command::Bench(args) => bench::run(context, args),
        Command::Top(args) => top::run(args, context.global.json),
        Command::Completions(args) => shell::completions(args),
        Command::Man(args) => shell::man(args),
    }
}

/// The verification that a code is for: the given one, or the last one of its purpose.
fn verification_id(
    context: &Context<'_>,
    given: Option<Uuid>,
    purpose: Option<Purpose>,
    begin: &str,
) -> Result<Uuid, Failure> {
    given.or_else(|| context.state.awaited(purpose)).ok_or_else(|| {
        Failure::usage(
            format!("no code is awaited from {}", context.global.addr),
            format!(
                "Begin with user-cli {begin}, or name the verification with --verification-id."
            ),
        )
    })
}

/// The code that was given, or the one that is typed now.
fn code(context: &Context<'_>, args: &Code) -> Result<Typed, Failure> {
    match &args.code {
        Some(code) => Ok(code.clone().into()),
        None => secrets::code(context),
    }
}
