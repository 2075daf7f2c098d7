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
        let request = |access_token| user_proto::VerifyToken { access_token };
        world.read(call, self.access, request).await;
    }
}
