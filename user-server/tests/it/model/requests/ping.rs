use super::*;

#[derive(Debug, Clone, Copy)]
pub struct Ping;

impl ModelRequest for Ping {
    const WEIGHT: u32 = 1;

    fn strategy() -> BoxedStrategy<Self> {
        Just(Self).boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        assert!(world.call(call, user_proto::Ping {}).await.expect(true, &[]).is_some());
    }
}
