use super::*;

#[derive(Debug, Clone, Copy)]
pub struct RefreshToken {
    refresh: NthLast,
}

impl ModelRequest for RefreshToken {
    const WEIGHT: u32 = 10;
    const NEEDS: &[Need] = &[Need::Tokens];
    const ISSUES_TOKENS: bool = true;

    fn strategy() -> BoxedStrategy<Self> {
        nth_last().prop_map(|refresh| Self { refresh }).boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let all = world.ledger.refresh_tokens.iter();
        let Some(token) = nth_last_of(all, self.refresh).cloned() else { return };
        let now = world.now();
        let session = world.ledger.sessions[&token.session].clone();
        let expired = now / SECOND * SECOND >= token.expires;
        let live = !expired && !session.ended;
        let current = live && token.counter == session.counter;
        let repeated =
            live && token.counter + 1 == session.counter && now - session.rotated <= GRACE;
        let request = user_proto::RefreshToken { refresh_token: token.text.as_str().into() };
        let result = world.call(call, request).await;
        if has_effect!(result, Effect::Refreshed) {
            assert!(current, "a session advanced by a refresh token that is not the current one");
            let session = world.ledger.sessions.get_mut(&token.session).unwrap();
            (session.counter, session.rotated) = (session.counter + 1, now);
        }
        if has_effect!(result, Effect::ReuseDetected) {
            assert!(
                live && !current && !repeated,
                "a session was ended by a refresh token that was still accepted"
            );
            world.ledger.end_session(token.session);
        }
        let refusals = refusals(&[
            (expired, ErrorCode::TOKEN_EXPIRED),
            (!expired, ErrorCode::SESSION_REVOKED),
        ]);
        let allowed = current || repeated;
        let spent =
            current && world.attempts.spend("refresh", &token.session, (60, 2 * HOUR), now);
        let limited: &[ErrorCode] = if spent { &[ErrorCode::RATE_LIMITED] } else { &[] };
        if let Some(reply) = result.expect(allowed, if allowed { limited } else { &refusals }) {
            assert_eq!(reply.session_id, token.session);
            world.record_tokens(&reply);
        }
    }
}
