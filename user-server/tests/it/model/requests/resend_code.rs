use super::*;

/// Minimum time between two emails of one verification.
const RESEND_AFTER: i64 = 60 * SECOND;

#[derive(Debug, Clone, Copy)]
pub struct ResendCode {
    verification: NthLast,
}

impl ModelRequest for ResendCode {
    const WEIGHT: u32 = 4;
    const NEEDS: &[Need] = &[Need::Code];

    fn strategy() -> BoxedStrategy<Self> {
        nth_last().prop_map(|verification| Self { verification }).boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let all = world.ledger.verifications.iter();
        let Some(verification) = nth_last_of(all, self.verification).cloned() else { return };
        let unsure = verification.open && (verification.dead || verification.was_known);
        let issued = verification.issued.as_ref();
        let soon = verification.open
            && issued.is_some_and(|issued| world.now() < issued.at + RESEND_AFTER);
        let refusals = refusals(&[
            (soon || unsure, ErrorCode::RATE_LIMITED),
            (!verification.open || unsure, ErrorCode::CODE_EXPIRED),
        ]);
        let allowed = verification.open && (!soon || unsure);
        let request = user_proto::ResendCode { verification_id: verification.id };
        world.call(call, request).await.expect(allowed, &refusals);
    }
}
