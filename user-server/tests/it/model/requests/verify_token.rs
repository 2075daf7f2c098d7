use super::*;

#[derive(Debug, Clone, Copy)]
pub struct VerifyToken {
    access: NthLast,
}

impl ModelRequest for VerifyToken {
    const WEIGHT: u32 = 4;
    const NEEDS: &[Need] = &[Need::Tokens];

    fn strategy() -> BoxedStrategy<Self> {
        nth_last().prop_map(|access| Self { access }).boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let Some(token) = world.select_access_token(self.access) else { return };
        let state = world.ledger.token_state(&token, world.now());
        let request = user_proto::VerifyToken { access_token: token.text.as_str().into() };
        let result = world.call(call, request).await;
        result.expect(state == TokenState::Valid, refusals_of_token(state));
    }
}
