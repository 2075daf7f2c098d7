use super::*;
use crate::model::ledger::VERIFICATION_LIFE;

/// Minimum time between two requests for the email of one verification.
const RESEND_AFTER: i64 = 60 * SECOND;
/// Maximum number of resends of one verification.
const MAX_RESENDS: u32 = 10;

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
        let now = world.now();
        let soon = now < verification.requested + RESEND_AFTER;
        let exhausted = verification.resends >= MAX_RESENDS
            && now < verification.created + VERIFICATION_LIFE;
        let early = verification.open && (soon || exhausted);
        let allowed = verification.open && !early;
        let spent = allowed && world.attempts.spend("resend", &call.network, (60, HOUR), now);
        let refusals = refusals(&[
            (early || spent, ErrorCode::RATE_LIMITED),
            (!verification.open, ErrorCode::CODE_EXPIRED),
        ]);
        let request = user_proto::ResendCode { verification_id: verification.id };
        let result = world.call(call, request).await;
        if has_effect!(result, Effect::CodeResent) {
            assert!(allowed, "a resend that had to be refused");
            world.ledger.resent(verification.id, now);
        }
        result.expect(allowed, &refusals);
    }
}
