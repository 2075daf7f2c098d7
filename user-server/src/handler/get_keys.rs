//! GetKeys 0x20.

use std::borrow::Cow;

use user_proto::{GetKeys, Keys, UnixMillis};

use super::replies::seconds;
use super::{ClockReading, Handle, Services};
use crate::domain::{Refusal, RequestContext, Timestamp, UseCaseResult};

impl Handle for GetKeys {
    const IMMEDIATE: bool = true;

    fn check_sizes(&self) -> Result<(), Refusal> {
        Ok(())
    }

    fn answer_now(
        &self,
        services: &Services,
        clocks: ClockReading,
    ) -> Option<UseCaseResult<Keys<'static>>> {
        Some(Ok(keys(services, clocks.time)))
    }

    async fn handle(self, services: &Services, _: &RequestContext) -> UseCaseResult<Keys<'static>> {
        Ok(keys(services, services.tokens.time()))
    }
}

fn keys(services: &Services, now: Timestamp) -> Keys<'static> {
    let published = services.tokens.published_keys();
    Keys {
        jwks: Cow::Owned(published.jwks),
        access_life: seconds(published.access_life),
        refresh_after: seconds(published.refresh_after),
        now_ms: u64::try_from(now.0).ok().map(UnixMillis),
    }
}
