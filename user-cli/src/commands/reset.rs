//! A new password by a mailed code.

use user_proto::{RequestPasswordReset, ResetPassword};

use super::{Context, Failure, code, verification_id};
use crate::args::{self, Purpose, ResetStep};
use crate::context::Told;
use crate::human::printable;
use crate::secrets;

pub(super) fn run(context: &mut Context<'_>, args: &args::ResetPassword) -> Result<(), Failure> {
    context.load()?;
    match &args.step {
        ResetStep::Request { email } => request(context, email),
        ResetStep::Confirm { code, password_stdin } => confirm(context, code, *password_stdin),
    }
}

fn request(context: &mut Context<'_>, email: &str) -> Result<(), Failure> {
    let requested = context.ask(RequestPasswordReset { email: email.into() })?;
    context.state.await_code(Purpose::Reset, requested.verification_id);
    context.save();
    let told =
        Told::new(format!("If {} has an account, a code is on its way there.", printable(email)));
    context.show(&requested, &told.next("user-cli reset-password confirm --code <CODE>"))?;
    Ok(())
}

fn confirm(
    context: &mut Context<'_>,
    args: &args::Code,
    password_stdin: bool,
) -> Result<(), Failure> {
    let id = verification_id(
        context,
        args.verification_id,
        Some(Purpose::Reset),
        "reset-password request <EMAIL>",
    )?;
    let code = code(context, args)?;
    let password = secrets::new_password(context, "New password", password_stdin)?;
    let reset = context.ask(ResetPassword {
        verification_id: id,
        code: code.as_str().into(),
        new_password: password.as_str().into(),
    })?;
    context.state.forget_code(Purpose::Reset);
    context.save();
    let told = Told::new("The new password counts, and every session of the account has ended.");
    context.show(&reset, &told.next("user-cli login <LOGIN>"))?;
    Ok(())
}
