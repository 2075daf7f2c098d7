use super::*;

#[derive(Debug, Clone, Copy)]
pub struct EndSession {
    access: NthLast,
    /// The access token of the session to end, which may be of another account.
    of: NthLast,
}

impl ModelRequest for EndSession {
    const WEIGHT: u32 = 3;
    const NEEDS: &[Need] = &[Need::Tokens];

    fn strategy() -> BoxedStrategy<Self> {
        (nth_last(), nth_last()).prop_map(|(access, of)| Self { access, of }).boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let Some(token) = world.select_access_token(self.access) else { return };
        let Some(of) = world.select_access_token(self.of) else { return };
        let state = world.ledger.token_state(&token, world.now());
        let owned = of.user == token.user;
        let live = owned && !world.ledger.sessions[&of.session].ended;
        let access_token = token.text.as_str().into();
        let request = user_proto::EndSession { access_token, session_id: of.session };
        let result = world.call(call, request).await;
        let mut ended = 0;
        for effect in result.effects.clone() {
            if let Effect::SessionEnded(count) = effect {
                ended += count;
                assert!(count == 0 || live, "no open session of the user");
                if count > 0 {
                    world.ledger.end_session(of.session);
                }
            }
        }
        let reply = result.expect(state == TokenState::Valid, refusals_of_token(state));
        if let Some(reply) = reply {
            assert_eq!((reply.sessions_ended, reply.sessions_ended == 1), (ended, live));
        }
    }
}
