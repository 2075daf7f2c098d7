//! UpdateUser 0x04.

use user_proto::{Secret, UpdateUser, UserUpdated};

use super::replay::Replay;
use super::{Handle, Services, sizes};
use crate::domain::{Email, Refusal, RequestContext, UseCaseResult, Username};
use crate::users::UpdateRequest;

impl Handle for UpdateUser<'_> {
    fn check_sizes(&self) -> Result<(), Refusal> {
        sizes::token(&self.access_token)?;
        self.username.as_deref().map_or(Ok(()), Username::check_size)?;
        self.email.as_deref().map_or(Ok(()), Email::check_size)?;
        if let Some(new) = &self.new_password {
            sizes::new_password(new, "new_password")?;
        }
        self.current_password.as_ref().map_or(Ok(()), sizes::current_password)
    }

    async fn precheck(&self, services: &Services, _: &RequestContext) -> UseCaseResult<()> {
        services.tokens.verify(self.access_token.expose()).await?;
        Ok(update_request(self).fields().map(drop)?)
    }

    async fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> UseCaseResult<UserUpdated<'static>> {
        let request = update_request(&self);
        let updated = services.users.update(self.access_token.expose(), request, context).await?;
        Ok(updated.into())
    }

    async fn replay(
        self,
        services: &Services,
        replay: Replay<'_>,
    ) -> UseCaseResult<UserUpdated<'static>> {
        let token = self.access_token.expose();
        Ok(services.users.updated_before(token, replay.outcome).await?.into())
    }
}

fn update_request<'a>(message: &'a UpdateUser<'_>) -> UpdateRequest<'a> {
    UpdateRequest {
        username: message.username.as_deref(),
        email: message.email.as_deref(),
        new_password: message.new_password.as_ref().map(Secret::expose),
        current_password: message.current_password.as_ref().map(Secret::expose),
    }
}
