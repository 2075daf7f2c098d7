//! Register 0x01.

use user_proto::{Register, Registered};

use super::replay::Replay;
use super::{Handle, Services, sizes};
use crate::domain::{Refusal, RequestContext, UseCaseResult};

impl Handle for Register<'_> {
    const NEEDS_KEY: bool = true;

    fn too_large(&self) -> Option<Refusal> {
        sizes::username(&self.username)
            .or_else(|| sizes::email(&self.email))
            .or_else(|| sizes::new_password(&self.password, "password"))
    }

    fn hashes(&self) -> bool {
        true
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
