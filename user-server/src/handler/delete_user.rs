//! DeleteUser 0x05.

use user_proto::{DeleteUser, UserDeleted};

use super::replay::Replay;
use super::{Handle, Services, sizes};
use crate::domain::{Refusal, RequestContext, UseCaseResult};

impl Handle for DeleteUser<'_> {
    fn check_sizes(&self) -> Result<(), Refusal> {
        sizes::token(&self.access_token)?;
        sizes::current_password(&self.current_password)
    }

    async fn precheck(&self, services: &Services, _: &RequestContext) -> UseCaseResult<()> {
        services.tokens.verify(self.access_token.expose()).await.map(drop)
    }

    async fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> UseCaseResult<UserDeleted> {
        let (token, password) = (self.access_token.expose(), self.current_password.expose());
        let user_id = services.users.delete(token, password, context).await?;
        Ok(UserDeleted { user_id })
    }

    async fn replay(self, _: &Services, replay: Replay<'_>) -> UseCaseResult<UserDeleted> {
        Ok(UserDeleted { user_id: replay.user_id()? })
    }
}
