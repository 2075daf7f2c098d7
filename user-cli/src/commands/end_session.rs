use clap::Args;
use uuid::Uuid;

use crate::context::{Context, Run};
use crate::failure::Failure;
use crate::options::parse_uuid;
use crate::session::{TokenKind, TokenOptions};
use crate::show::Summary;

/// End one session of the account
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  user-cli sessions
  user-cli end-session f3ea5f62-924c-447c-ab4e-261a4b2dd125")]
pub(crate) struct EndSession {
    /// Id of the session, from `user-cli sessions`
    #[arg(value_parser = parse_uuid)]
    session_id: Uuid,
    #[command(flatten)]
    token: TokenOptions,
}

impl Run for EndSession {
    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        context.load()?;
        let token = context.token(TokenKind::Access, &self.token)?;
        let request = user_proto::EndSession::new(token.as_str().into(), self.session_id);
        let ended = context.call(request)?;
        let stored = context.state.session.as_ref();
        if stored.is_some_and(|stored| stored.session_id == self.session_id.to_string()) {
            context.forget_session(token.as_str(), None);
        }
        if ended.sessions_ended == 0 {
            return Err(Failure::NotFound {
                message: format!("the account has no open session {}", self.session_id),
                hint: "List the open sessions with `user-cli sessions`.".to_owned(),
            });
        }
        context.show(&ended, &Summary::new("The session has ended."))?;
        Ok(())
    }
}
