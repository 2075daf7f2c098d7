use super::*;

#[derive(Debug, Clone, Copy)]
pub struct GetKeys;

impl ModelRequest for GetKeys {
    const WEIGHT: u32 = 1;

    fn strategy() -> BoxedStrategy<Self> {
        Just(Self).boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let reply = world.call(call, user_proto::GetKeys {}).await.expect(true, &[]).unwrap();
        assert_eq!(reply.now_ms.map(|now| now.0 as i64), Some(world.now()));
    }
}
