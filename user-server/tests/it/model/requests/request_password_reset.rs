use super::*;

#[derive(Debug, Clone, Copy)]
pub struct RequestPasswordReset {
    /// An entry of [`ADDRESSES`]; or beyond its end, the address of an account.
    address: usize,
}

impl ModelRequest for RequestPasswordReset {
    const WEIGHT: u32 = 6;

    fn requests_code(&self) -> Option<Purpose> {
        Some(Purpose::PasswordReset)
    }

    fn strategy() -> BoxedStrategy<Self> {
        (0..2 * ADDRESSES.len()).prop_map(|address| Self { address }).boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let listed = self.address % ADDRESSES.len();
        let of_account = world.ledger.accounts.values().nth(listed).map(|account| account.address);
        let address = of_account.filter(|_| self.address >= ADDRESSES.len()).unwrap_or(listed);
        let now = world.now();
        let spent = world.attempts.spend("reset", &call.network, (20, HOUR), now);
        let request = user_proto::RequestPasswordReset { email: ADDRESSES[address].typed.into() };
        let result = world.call(call, request).await;
        let mut stored = None;
        for effect in &result.effects {
            if let Effect::ResetRequested(id) = effect {
                world.ledger.add_verification(*id, Purpose::PasswordReset, address, now);
                stored = Some(*id);
            }
        }
        let refusals = refusals(&[(spent, ErrorCode::RATE_LIMITED)]);
        if let Some(reply) = result.expect(true, &refusals) {
            assert_eq!(Some(reply.verification_id), stored);
        }
    }
}
