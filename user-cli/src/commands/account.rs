//! Accounts: create, show, change, delete.

use user_proto::{DeleteUser, GetUser, Register, UpdateUser};

use super::{Context, Failure};
use crate::args::{self, Purpose};
use crate::context::{Kind, Told};
use crate::human::printable;
use crate::secrets;

pub(super) fn register(context: &mut Context<'_>, args: &args::Register) -> Result<(), Failure> {
    context.load()?;
    let password = secrets::new_password(context, "Password", args.password_stdin)?;
    let registered = context.ask(Register {
        username: args.username.as_str().into(),
        email: args.email.as_str().into(),
        password: password.as_str().into(),
    })?;
    context.state.await_code(Purpose::Registration, registered.verification_id);
    context.save();
    let told =
        Told::new(format!("Registered. A code is on its way to {}.", printable(&args.email)));
    context.show(&registered, &told.next("user-cli verify-email --code <CODE>"))?;
    Ok(())
}

pub(super) fn get(context: &mut Context<'_>, args: &args::Get) -> Result<(), Failure> {
    context.load()?;
    let token = context.token(Kind::Access, &args.token)?;
    let user = context.ask(GetUser { access_token: token.as_str().into() })?;
    context.show(&user, &Told::new("The account."))?;
    Ok(())
}

pub(super) fn update(context: &mut Context<'_>, args: &args::Update) -> Result<(), Failure> {
    if args.username.is_none() && args.email.is_none() && !args.new_password {
        return Err(Failure::usage(
            "there is nothing to change",
            "Give --username, --email or --new-password.",
        ));
    }
    context.load()?;
    let token = context.token(Kind::Access, &args.token)?;
    let needs_current = args.email.is_some() || args.new_password;
    let current = needs_current
        .then(|| secrets::password(context, "Current password", args.password_stdin))
        .transpose()?;
    let new = args
        .new_password
        .then(|| secrets::new_password(context, "New password", args.password_stdin))
        .transpose()?;
    let updated = context.ask(UpdateUser {
        access_token: token.as_str().into(),
        username: args.username.as_deref().map(Into::into),
        email: args.email.as_deref().map(Into::into),
        new_password: new.as_ref().map(|password| password.as_str().into()),
        current_password: current.as_ref().map(|password| password.as_str().into()),
    })?;
    let done = if args.new_password {
        "Updated. Every other session of the account has ended."
    } else {
        "Updated."
    };
    let mut told = Told::new(done);
    if let Some(verification_id) = updated.verification_id {
        context.state.await_code(Purpose::Email, verification_id);
        context.save();
        let email = args.email.as_deref().unwrap_or("the new address");
        told = Told::new(format!(
            "{done} A code is on its way to {}; until then the old address counts.",
            printable(email)
        ))
        .next("user-cli confirm-email --code <CODE>");
    }
    context.show(&updated, &told)?;
    Ok(())
}

pub(super) fn delete(context: &mut Context<'_>, args: &args::Delete) -> Result<(), Failure> {
    context.load()?;
    let token = context.token(Kind::Access, &args.token)?;
    let password = secrets::password(context, "Current password", args.password_stdin)?;
    let deleted = context.ask(DeleteUser {
        access_token: token.as_str().into(),
        current_password: password.as_str().into(),
    })?;
    context.forget_session(&token, Some(&deleted.user_id.to_string()));
    context.show(&deleted, &Told::new("Deleted. All sessions of the account have ended."))?;
    Ok(())
}
