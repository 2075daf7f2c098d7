use super::*;

#[derive(Debug, Clone, Copy)]
pub struct ListSessions {
    access: NthLast,
}

impl ModelRequest for ListSessions {
    const WEIGHT: u32 = 2;
    const NEEDS: &[Need] = &[Need::Tokens];

    fn strategy() -> BoxedStrategy<Self> {
        nth_last().prop_map(|access| Self { access }).boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let request = |access_token| user_proto::ListSessions { access_token };
        let Some((token, reply)) = world.read(call, self.access, request).await else { return };
        let mut listed: Vec<_> = reply.sessions.iter().map(|row| row.session_id).collect();
        listed.sort_unstable();
        assert_eq!(listed, world.ledger.live_sessions(token.user));
        for row in &reply.sessions {
            let session = &world.ledger.sessions[&row.session_id];
            let is_own = row.session_id == token.session;
            let used = if is_own { world.now() } else { session.rotated };
            let times = (session.opened / SECOND, used / SECOND);
            assert_eq!(times, (row.created_at.0 as i64, row.last_used_at.0 as i64));
            assert_eq!(row.current.is_some(), row.session_id == token.session);
        }
    }
}
