//! The commands about accounts, sessions and codes.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

/// Where a token comes from that is not the stored one.
#[derive(Args)]
pub(crate) struct TokenSource {
    /// The token, instead of the stored one. Others on this machine can see it: prefer
    /// $USER_CLI_TOKEN or --token-stdin
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// Read the token from the first line of stdin; passwords follow it
    #[arg(long, conflicts_with = "token")]
    pub(crate) token_stdin: bool,
}

/// Whether tokens are printed.
#[derive(Args)]
pub(crate) struct ShowTokens {
    /// Print the tokens instead of saying that they are kept
    #[arg(long)]
    pub(crate) show_tokens: bool,
}

/// The code from a mail.
#[derive(Args)]
pub(crate) struct Code {
    /// The code from the mail; asked for where it is missing
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) code: Option<String>,
    /// Which verification the code is for, instead of the last one
    #[arg(long, value_name = "ID")]
    pub(crate) verification_id: Option<Uuid>,
}

/// Create an account. A code is mailed to the address
#[derive(Args)]
#[command(after_help = "\
Examples:
  user-cli register kim kim@example.com
  printf '%s\\n' \"$PASSWORD\" | user-cli register kim kim@example.com --password-stdin")]
pub(crate) struct Register {
    /// 3 to 32 characters, without `@`
    pub(crate) username: String,
    /// Where the code is mailed to
    pub(crate) email: String,
    /// Read the password from the first line of stdin instead of asking
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

/// Enter the code of a registration: the account becomes active and you are logged in
#[derive(Args)]
#[command(after_help = "\
Examples:
  user-cli verify-email --code 123456
  user-cli verify-email --code 123456 --username kim2   # when somebody else was quicker")]
pub(crate) struct VerifyEmail {
    #[command(flatten)]
    pub(crate) code: Code,
    /// Another username than the registered one
    #[arg(long)]
    pub(crate) username: Option<String>,
    #[command(flatten)]
    pub(crate) show: ShowTokens,
}

/// Enter the code of a changed e-mail address
#[derive(Args)]
#[command(after_help = "\
Examples:
  user-cli update --email kim@example.org
  user-cli confirm-email --code 123456")]
pub(crate) struct ConfirmEmail {
    #[command(flatten)]
    pub(crate) code: Code,
    #[command(flatten)]
    pub(crate) token: TokenSource,
}

/// Have a code mailed again
#[derive(Args)]
#[command(after_help = "\
Examples:
  user-cli resend-code                  # of whatever was begun last
  user-cli resend-code --purpose reset")]
pub(crate) struct ResendCode {
    /// Of what the code is, where more than one waits
    #[arg(long, value_enum)]
    pub(crate) purpose: Option<Purpose>,
    /// Which verification, instead of the last one
    #[arg(long, value_name = "ID", conflicts_with = "purpose")]
    pub(crate) verification_id: Option<Uuid>,
}

/// What a code is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Purpose {
    /// A registration
    Registration,
    /// A changed e-mail address
    Email,
    /// A password reset
    Reset,
}

/// Log in, and keep the tokens
#[derive(Args)]
#[command(after_help = "\
Examples:
  user-cli login kim
  printf '%s\\n' \"$PASSWORD\" | user-cli login kim@example.com --password-stdin --json")]
pub(crate) struct Login {
    /// The username or the e-mail address
    pub(crate) login: String,
    /// Read the password from the first line of stdin instead of asking
    #[arg(long)]
    pub(crate) password_stdin: bool,
    #[command(flatten)]
    pub(crate) show: ShowTokens,
}

/// Ask whether an access token is good
#[derive(Args)]
#[command(after_help = "\
The token is --token, --token-stdin, $USER_CLI_TOKEN, or the stored one, in this order.

Examples:
  user-cli verify
  USER_CLI_TOKEN=eyJ0eXAi... user-cli verify --json")]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) token: TokenSource,
}

/// Exchange the refresh token for new tokens, and keep them
#[derive(Args)]
#[command(after_help = "\
--token and --token-stdin are the refresh token here; $USER_CLI_TOKEN is not looked at.

Examples:
  user-cli refresh
  user-cli refresh --token-stdin < refresh-token.txt")]
pub(crate) struct Refresh {
    #[command(flatten)]
    pub(crate) token: TokenSource,
    #[command(flatten)]
    pub(crate) show: ShowTokens,
}

/// End this session, and forget its tokens
#[derive(Args)]
#[command(after_help = "\
Examples:
  user-cli logout
  user-cli logout --all")]
pub(crate) struct Logout {
    /// End every session of the account
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) token: TokenSource,
}

/// Show the account
#[derive(Args)]
#[command(after_help = "\
Examples:
  user-cli get
  user-cli get --json")]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) token: TokenSource,
}

/// Change username, e-mail address or password
#[derive(Args)]
#[command(after_help = "\
A new address or password needs the current password. With --password-stdin the lines of stdin
are, each only where it is needed: the token (--token-stdin), the current password, the new one.

Examples:
  user-cli update --username kim2
  user-cli update --email kim@example.org      # then: user-cli confirm-email
  printf '%s\\n' \"$OLD\" \"$NEW\" | user-cli update --new-password --password-stdin")]
pub(crate) struct Update {
    /// The new username
    #[arg(long)]
    pub(crate) username: Option<String>,
    /// The new e-mail address; it counts once its code is entered
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// Set a new password; it is asked for. Every other session ends
    #[arg(long)]
    pub(crate) new_password: bool,
    /// Read the passwords from stdin instead of asking: first line the current one, second line the
    /// new one
    #[arg(long)]
    pub(crate) password_stdin: bool,
    #[command(flatten)]
    pub(crate) token: TokenSource,
}

/// Delete the account for good, and forget its tokens
#[derive(Args)]
#[command(after_help = "\
Examples:
  user-cli delete
  printf '%s\\n' \"$PASSWORD\" | user-cli delete --password-stdin")]
pub(crate) struct Delete {
    /// Read the password from the first line of stdin instead of asking; the second, after
    /// --token-stdin
    #[arg(long)]
    pub(crate) password_stdin: bool,
    #[command(flatten)]
    pub(crate) token: TokenSource,
}

/// Set a new password without the old one, by a mailed code
#[derive(Args)]
#[command(after_help = "\
Examples:
  user-cli reset-password request kim@example.com
  user-cli reset-password confirm --code 7KQ4M-2XW9D")]
pub(crate) struct ResetPassword {
    #[command(subcommand)]
    pub(crate) step: ResetStep,
}

#[derive(Subcommand)]
pub(crate) enum ResetStep {
    /// Have a code mailed to the account's address
    #[command(after_help = "\
Examples:
  user-cli reset-password request kim@example.com")]
    Request {
        /// The account's e-mail address
        email: String,
    },
    /// Enter the code and set the new password. Every session of the account ends
    #[command(after_help = "\
Examples:
  user-cli reset-password confirm --code 7KQ4M-2XW9D
  printf '%s\\n' \"$NEW\" | user-cli reset-password confirm --code 7KQ4M-2XW9D --password-stdin")]
    Confirm {
        #[command(flatten)]
        code: Code,
        /// Read the new password from the first line of stdin instead of asking
        #[arg(long)]
        password_stdin: bool,
    },
}
