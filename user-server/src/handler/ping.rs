//! Ping 0x7F.

use user_proto::{Ping, Pong};

use super::replies::seconds;
use super::{ClockReading, Handle, Services};
use crate::domain::{Refusal, RequestContext, UseCaseResult};

impl Handle for Ping {
    const IMMEDIATE: bool = true;

    fn check_sizes(&self) -> Result<(), Refusal> {
        Ok(())
    }

    fn answer_now(&self, services: &Services, _: ClockReading) -> Option<UseCaseResult<Pong>> {
        Some(Ok(pong(services)))
    }

    async fn handle(self, services: &Services, _: &RequestContext) -> UseCaseResult<Pong> {
        Ok(pong(services))
    }
}

fn pong(services: &Services) -> Pong {
    Pong {
        max_in_flight: Some(services.limits.max_in_flight),
        idle_timeout: Some(seconds(services.limits.idle_timeout)),
        max_hashing: Some(services.limits.max_hashing),
    }
}
