//! WatchRevocations 0x21.

use user_proto::{Revocations, WatchRevocations};

use super::{Handle, Services};
use crate::domain::{Fault, Refusal, RequestContext, UseCaseResult};

impl Handle for WatchRevocations<'_> {
    fn check_sizes(&self) -> Result<(), Refusal> {
        Ok(())
    }

    async fn handle(self, _: &Services, _: &RequestContext) -> UseCaseResult<Revocations<'static>> {
        Err(Fault::internal("not implemented").into())
    }
}
