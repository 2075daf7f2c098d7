use super::*;

#[derive(Debug, Clone, Copy)]
pub struct DeleteUser {
    access: NthLast,
    current_password: PasswordChoice,
}

impl ModelRequest for DeleteUser {
    const WEIGHT: u32 = 3;
    const NEEDS: &[Need] = &[Need::Tokens];

    fn strategy() -> BoxedStrategy<Self> {
        (nth_last(), current_passwords())
            .prop_map(|(access, current_password)| Self { access, current_password })
            .boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let Some(token) = world.select_access_token(self.access) else { return };
        let now = world.now();
        let state = world.ledger.token_state(&token, now);
        let account = world.ledger.accounts.get(&token.user).cloned();
        let stored = account.as_ref().map(|account| account.password);
        let (current, right) = entered_password(self.current_password, stored);
        let request = user_proto::DeleteUser {
            access_token: token.text.as_str().into(),
            current_password: current.unwrap_or(WRONG_PASSWORD).into(),
        };
        let result = world.call(call, request).await;
        let (TokenState::Valid, Some(account)) = (state, account) else {
            assert!(result.effects.is_empty(), "{state:?}: {:?}", result.effects);
            result.expect(false, refusals_of_token(state));
            return;
        };
        let admission = world.password_admission(current, &token);
        if has_effect!(result, Effect::Deleted) {
            assert!(
                right && admission != Admission::Refused,
                "a deletion that the model refuses"
            );
            world.ledger.delete_account(token.user);
            world.expect_notice(Notice::Deleted, account.address);
        }
        world.record_password(&result, &token, right);
        let (allowed, refusals) = outcomes_of_password(admission, right, &[]);
        if let Some(reply) = result.expect(allowed, &refusals) {
            assert_eq!(reply.user_id, token.user);
        }
    }
}
