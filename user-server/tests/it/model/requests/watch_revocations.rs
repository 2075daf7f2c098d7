use super::*;

/// A watch from the start or from an unknown cursor, which returns everything.
#[derive(Debug, Clone, Copy)]
pub struct WatchRevocations {
    unknown_cursor: bool,
}

impl ModelRequest for WatchRevocations {
    const WEIGHT: u32 = 2;

    fn strategy() -> BoxedStrategy<Self> {
        any::<bool>().prop_map(|unknown_cursor| Self { unknown_cursor }).boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let cursor: &[u8] = if self.unknown_cursor { &[7; 24] } else { &[] };
        let request = user_proto::WatchRevocations { cursor: cursor.into(), wait_ms: 0 };
        let reply = world.call(call, request).await.expect(true, &[]).unwrap();
        assert_eq!(reply.more, 0);
        let of_kind = |kind| {
            let rows = reply.entries.iter().filter(move |row| row.kind == kind);
            rows.map(|row| uuid::Uuid::from_slice(&row.id).unwrap()).collect::<Vec<_>>()
        };
        let (sessions, users) = (of_kind(1), of_kind(2));
        assert_eq!(sessions.len() + users.len(), reply.entries.len());
        let ledger = &world.ledger;
        assert!(sessions.iter().all(|id| ledger.sessions[id].ended), "a session has not ended");
        assert!(!users.iter().any(|id| ledger.accounts.contains_key(id)), "a user exists");
        for token in &ledger.access_tokens {
            if ledger.token_state(token, world.now()) == TokenState::Ended {
                let (session, user) = (token.session, token.user);
                assert!(sessions.contains(&session) || users.contains(&user), "{session}");
            }
        }
    }
}
