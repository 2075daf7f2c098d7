//! The subcommands. Each one is a file with its arguments, its call and its output.

mod bench;
mod completions;
mod confirm_email;
mod conform;
mod decode;
mod delete;
mod dev_cert;
mod end_session;
mod get;
mod login;
mod logout;
mod man;
mod ping;
mod refresh;
mod register;
mod resend_code;
mod reset_password;
mod send;
mod sessions;
mod token;
mod top;
mod update;
mod verify;
mod verify_email;

use clap::Subcommand;

use crate::context::{Context, Needs, Run};
use crate::failure::Failure;

/// Declares the enum of all subcommands, with methods that call the selected one.
macro_rules! commands {
    ($($name:ident($command:ty),)*) => {
        #[derive(Subcommand)]
        pub(crate) enum Command {
            $($name($command),)*
        }

        impl Command {
            /// Returns the parts of the server that the command needs.
            pub(crate) fn needs(&self) -> Needs {
                match self { $(Self::$name(command) => command.needs(),)* }
            }

            /// Executes the command and prints its result.
            pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
                match self { $(Self::$name(command) => command.run(context),)* }
            }
        }
    };
}

// In the order of the help.
commands! {
    Register(register::Register),
    VerifyEmail(verify_email::VerifyEmail),
    ConfirmEmail(confirm_email::ConfirmEmail),
    ResendCode(resend_code::ResendCode),
    Login(login::Login),
    Verify(verify::Verify),
    Token(token::Token),
    Refresh(refresh::Refresh),
    Logout(logout::Logout),
    Sessions(sessions::Sessions),
    EndSession(end_session::EndSession),
    Get(get::Get),
    Update(update::Update),
    Delete(delete::Delete),
    ResetPassword(reset_password::ResetPassword),
    Ping(ping::Ping),
    Decode(decode::Decode),
    Send(send::Send),
    // Boxed because its options are much larger than those of the other commands.
    Bench(Box<bench::Bench>),
    Top(top::Top),
    Conform(conform::Conform),
    DevCert(dev_cert::DevCert),
    Completions(completions::Completions),
    Man(man::Man),
}
