use super::*;

#[derive(Debug, Clone, Copy)]
pub struct GetUser {
    access: NthLast,
}

impl ModelRequest for GetUser {
    const WEIGHT: u32 = 2;
    const NEEDS: &[Need] = &[Need::Tokens];

    fn strategy() -> BoxedStrategy<Self> {
        nth_last().prop_map(|access| Self { access }).boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let Some(token) = world.select_access_token(self.access) else { return };
        let state = world.ledger.token_state(&token, world.now());
        let request = user_proto::GetUser { access_token: token.text.as_str().into() };
        let result = world.call(call, request).await;
        let reply = result.expect(state == TokenState::Valid, refusals_of_token(state));
        if let Some(user) = reply {
            let account = &world.ledger.accounts[&token.user];
            assert_eq!(user.user_id, token.user);
            assert_eq!(
                (&*user.username, &*user.email),
                (NAMES[account.name].0, ADDRESSES[account.address].typed)
            );
        }
    }
}
