//! Codes from mails: enter them, have them sent again.

use user_proto::{ConfirmEmail, ResendCode, VerifyEmail};

use super::{Context, Failure, code, verification_id};
use crate::args::{self, Purpose};
use crate::context::{Kind, Told};

pub(super) fn verify_email(
    context: &mut Context<'_>,
    args: &args::VerifyEmail,
) -> Result<(), Failure> {
    context.load()?;
    let id = verification_id(
        context,
        args.code.verification_id,
        Some(Purpose::Registration),
        "register",
    )?;
    let code = code(context, &args.code)?;
    let verified = context.ask(VerifyEmail {
        verification_id: id,
        code: code.as_str().into(),
        username: args.username.as_deref().map(Into::into),
    })?;
    context.state.forget_code(Purpose::Registration);
    let kept = context.keep_session(&verified);
    context.show(
        &verified,
        &kept
            .told("Verified: the account is active, and you are logged in.", args.show.show_tokens),
    )?;
    Ok(())
}

pub(super) fn confirm_email(
    context: &mut Context<'_>,
    args: &args::ConfirmEmail,
) -> Result<(), Failure> {
    context.load()?;
    let id = verification_id(
        context,
        args.code.verification_id,
        Some(Purpose::Email),
        "update --email <EMAIL>",
    )?;
    let token = context.token(Kind::Access, &args.token)?;
    let code = code(context, &args.code)?;
    let confirmed = context.ask(ConfirmEmail {
        access_token: token.as_str().into(),
        verification_id: id,
        code: code.as_str().into(),
    })?;
    context.state.forget_code(Purpose::Email);
    context.save();
    context.show(&confirmed, &Told::new("Confirmed: the new address counts."))?;
    Ok(())
}

pub(super) fn resend_code(
    context: &mut Context<'_>,
    args: &args::ResendCode,
) -> Result<(), Failure> {
    context.load()?;
    let id = verification_id(context, args.verification_id, args.purpose, "register")?;
    let resent = context.ask(ResendCode { verification_id: id })?;
    context.show(&resent, &Told::new("The code is on its way again."))?;
    Ok(())
}
