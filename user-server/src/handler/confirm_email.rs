//! ConfirmEmail 0x0D.

use user_proto::{ConfirmEmail, EmailConfirmed};

use super::replay::Replay;
use super::{Handle, Services, sizes};
use crate::domain::{Purpose, Refusal, RequestContext, UseCaseResult};
use crate::users::UpdatedUser;

impl Handle for ConfirmEmail<'_> {
    fn check_sizes(&self) -> Result<(), Refusal> {
        sizes::token(&self.access_token)?;
        sizes::code(&self.code)
    }

    async fn precheck(&self, services: &Services, context: &RequestContext) -> UseCaseResult<()> {
        let owner = services.tokens.verify(self.access_token.expose()).await?.user_id;
        let (id, network) = (self.verification_id, context.network);
        services.users.otp.check_guess(id, Purpose::EmailChange, Some(owner), network).await
    }

    async fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> UseCaseResult<EmailConfirmed<'static>> {
        let (token, code) = (self.access_token.expose(), self.code.expose());
        let user = services.users.confirm_email(token, self.verification_id, code, context).await?;
        Ok(UpdatedUser { user, verification_id: None }.into())
    }

    async fn replay(
        self,
        services: &Services,
        replay: Replay<'_>,
    ) -> UseCaseResult<EmailConfirmed<'static>> {
        let token = self.access_token.expose();
        Ok(services.users.updated_before(token, replay.outcome).await?.into())
    }
}
