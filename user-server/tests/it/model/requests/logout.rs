use super::*;

#[derive(Debug, Clone, Copy)]
enum TokenChoice {
    Access(NthLast),
    Refresh(NthLast),
}

#[derive(Debug, Clone, Copy)]
pub struct Logout {
    token: TokenChoice,
    all: bool,
}

impl ModelRequest for Logout {
    const WEIGHT: u32 = 5;
    const NEEDS: &[Need] = &[Need::Tokens];

    fn strategy() -> BoxedStrategy<Self> {
        let tokens = prop_oneof![
            nth_last().prop_map(TokenChoice::Access),
            nth_last().prop_map(TokenChoice::Refresh),
        ];
        (tokens, any::<bool>()).prop_map(|(token, all)| Self { token, all }).boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let now = world.now();
        // The counter of a refresh token, if one is presented.
        let mut counter = None;
        let (text, session, expired) = match self.token {
            TokenChoice::Access(access) => {
                let Some(token) = world.select_access_token(access) else { return };
                // An expired access token still ends its own session.
                let state = world.ledger.token_state(&token, now);
                (token.text, token.session, self.all && state == TokenState::Expired)
            }
            TokenChoice::Refresh(refresh) => {
                let all = world.ledger.refresh_tokens.iter();
                let Some(token) = nth_last_of(all, refresh).cloned() else { return };
                counter = Some(token.counter);
                (token.text, token.session, now / SECOND * SECOND >= token.expires)
            }
        };
        let live = !expired && !world.ledger.sessions[&session].ended;
        let user = world.ledger.sessions[&session].user;
        let of_session = &world.ledger.sessions[&session];
        let superseded = live
            && counter.is_some_and(|counter| {
                counter != of_session.counter
                    && (counter + 1 != of_session.counter || now - of_session.rotated > GRACE)
            });
        let live = live && !superseded;
        let all_sessions = self.all.then_some(());
        let request = user_proto::Logout { token: text.as_str().into(), all_sessions };
        let result = world.call(call, request).await;
        let mut ended = 0;
        for effect in result.effects.clone() {
            match effect {
                Effect::SessionEnded(count) => {
                    ended = count;
                    assert!(count == 0 || live, "a session ended twice");
                    if count > 0 {
                        world.ledger.end_session(session);
                    }
                }
                Effect::AllSessionsEnded(count) => {
                    ended = count;
                    assert!(live, "a token without a session ended others");
                    assert_eq!(count as usize, world.ledger.live_sessions(user).len());
                    world.ledger.end_all_sessions(user, None);
                    world.ledger.void_codes(user, None);
                }
                Effect::ReuseDetected => {
                    assert!(superseded, "a session was ended by a token that is still accepted");
                    world.ledger.end_session(session);
                }
                _ => {}
            }
        }
        let refusals = refusals(&[
            (expired, ErrorCode::TOKEN_EXPIRED),
            (!expired && !live, ErrorCode::SESSION_REVOKED),
        ]);
        if let Some(reply) = result.expect(live, &refusals) {
            assert_eq!(reply.sessions_ended, ended);
        }
    }
}
