use super::*;

#[derive(Debug, Clone, Copy)]
pub struct Register {
    pub name: usize,
    pub address: usize,
    pub password: usize,
}

impl ModelRequest for Register {
    const WEIGHT: u32 = 12;

    fn requests_code(&self) -> Option<Purpose> {
        Some(Purpose::Registration)
    }

    fn strategy() -> BoxedStrategy<Self> {
        (names(), addresses(), passwords())
            .prop_map(|(name, address, password)| Self { name, address, password })
            .boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let Self { name, address, password } = self;
        let now = world.now();
        let taken = world.ledger.name_taken(name, None);
        let spent = world.attempts.spend("registration", &call.network, (20, HOUR), now);
        let request = user_proto::Register {
            username: NAMES[name].0.into(),
            email: ADDRESSES[address].typed.into(),
            password: PASSWORDS[password].into(),
        };
        let result = world.call(call, request).await;
        let mut stored = None;
        for effect in &result.effects {
            if let Effect::Registered(id) = effect {
                let verification =
                    world.ledger.add_verification(*id, Purpose::Registration, address, now);
                (verification.name, verification.password) = (Some(name), password);
                stored = Some(*id);
            }
        }
        assert!(!(taken && stored.is_some()), "a registration of a taken name was stored");
        let refusals =
            refusals(&[(taken, ErrorCode::USERNAME_TAKEN), (spent, ErrorCode::RATE_LIMITED)]);
        if let Some(reply) = result.expect(!taken, &refusals) {
            assert_eq!(Some(reply.verification_id), stored);
        }
    }
}
