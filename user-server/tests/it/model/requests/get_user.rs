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
        let request = |access_token| user_proto::GetUser { access_token };
        let Some((token, user)) = world.read(call, self.access, request).await else { return };
        let account = &world.ledger.accounts[&token.user];
        assert_eq!(user.user_id, token.user);
        assert_eq!(
            (&*user.username, &*user.email),
            (NAMES[account.name].0, ADDRESSES[account.address].typed)
        );
    }
}
