//! UpdateUser 0x04.

use user_proto::{Secret, UpdateUser, UserUpdated};

use super::replay::Replay;
use super::{Handle, Services, sizes};
use crate::domain::{Refusal, RequestContext, UseCaseResult};
use crate::users::UpdateRequest;

impl Handle for UpdateUser<'_> {
    fn too_large(&self) -> Option<Refusal> {
        sizes::token(&self.access_token)
            .or_else(|| self.username.as_deref().and_then(sizes::username))
            .or_else(|| self.email.as_deref().and_then(sizes::email))
            .or_else(|| {
                self.new_password.as_ref().and_then(|new| sizes::new_password(new, "new_password"))
            })
            .or_else(|| self.current_password.as_ref().and_then(sizes::current_password))
    }

    fn hashes(&self) -> bool {
        self.email.is_some() || self.new_password.is_some()
    }

    async fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> UseCaseResult<UserUpdated<'static>> {
        let request = UpdateRequest {
            username: self.username.as_deref(),
            email: self.email.as_deref(),
            new_password: self.new_password.as_ref().map(Secret::expose),
            current_password: self.current_password.as_ref().map(Secret::expose),
        };
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
