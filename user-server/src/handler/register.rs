//! Register 0x01.

use user_proto::{Register, Registered};

use super::replay::Replay;
use super::{Handle, Services, sizes};
use crate::domain::{Email, Refusal, RequestContext, UseCaseResult, Username};

impl Handle for Register<'_> {
    const NEEDS_KEY: bool = true;

    fn check_sizes(&self) -> Result<(), Refusal> {
        Username::check_size(&self.username)?;
        Email::check_size(&self.email)?;
        sizes::new_password(&self.password, "password")
    }

    async fn precheck(&self, services: &Services, _: &RequestContext) -> UseCaseResult<()> {
        let password = self.password.expose();
        services.users.check_registration(&self.username, &self.email, password).await.map(drop)
    }

    async fn handle(
        self,
        services: &Services,
        context: &RequestContext,
    ) -> UseCaseResult<Registered> {
        let password = self.password.expose();
        let sent = services.users.register(&self.username, &self.email, password, context).await?;
        Ok(sent.into())
    }

    async fn replay(self, services: &Services, replay: Replay<'_>) -> UseCaseResult<Registered> {
        Ok(replay.code_sent(services)?.into())
    }
}
