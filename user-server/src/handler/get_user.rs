//! GetUser 0x0A.

use std::borrow::Cow;

use user_proto::{GetUser, UnixSeconds, User};

use super::{Handle, Services, sizes};
use crate::domain::{Profile, Refusal, RequestContext, UseCaseResult};

impl Handle for GetUser<'_> {
    fn check_sizes(&self) -> Result<(), Refusal> {
        sizes::token(&self.access_token)
    }

    async fn handle(self, services: &Services, _: &RequestContext) -> UseCaseResult<User<'static>> {
        Ok(services.users.get(self.access_token.expose()).await?.into())
    }
}

impl From<Profile> for User<'_> {
    fn from(profile: Profile) -> Self {
        Self {
            user_id: profile.id,
            username: Cow::Owned(profile.username),
            email: Cow::Owned(profile.email),
            created_at: UnixSeconds(profile.created_at.seconds()),
        }
    }
}
