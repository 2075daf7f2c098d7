//! GetKeys 0x20.

use std::borrow::Cow;

use user_proto::{GetKeys, Keys, UnixMillis};

use super::replies::seconds;
use super::{Handle, Services};
use crate::domain::{Refusal, RequestContext, UseCaseResult};

impl Handle for GetKeys {
    fn check_sizes(&self) -> Result<(), Refusal> {
        Ok(())
    }

    async fn handle(self, services: &Services, _: &RequestContext) -> UseCaseResult<Keys<'static>> {
        let published = services.tokens.published_keys();
        Ok(Keys {
            jwks: Cow::Owned(published.jwks),
            access_life: seconds(published.access_life),
            refresh_after: seconds(published.refresh_after),
            now_ms: u64::try_from(services.tokens.time().0).ok().map(UnixMillis),
        })
    }
}
