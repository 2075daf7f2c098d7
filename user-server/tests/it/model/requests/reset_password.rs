use super::*;

#[derive(Debug, Clone, Copy)]
pub struct ResetPassword {
    verification: NthLast,
    code: CodeChoice,
    password: usize,
}

impl ModelRequest for ResetPassword {
    const WEIGHT: u32 = 5;
    const NEEDS: &[Need] = &[Need::Code];
    const REDEEMS: Option<Purpose> = Some(Purpose::PasswordReset);

    fn strategy() -> BoxedStrategy<Self> {
        (nth_last(), codes(), passwords())
            .prop_map(|(verification, code, password)| Self { verification, code, password })
            .boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let Some(verification) =
            world.ledger.select_verification(self.verification, Purpose::PasswordReset).cloned()
        else {
            return;
        };
        let (text, now) = (world.entered_code(&verification, self.code), world.now());
        let verdict =
            world.ledger.judge(verification.id, Purpose::PasswordReset, None, &text, now);
        let request = user_proto::ResetPassword {
            verification_id: verification.id,
            code: text.as_str().into(),
            new_password: PASSWORDS[self.password].into(),
        };
        let result = world.call(call, request).await;
        world.record_guesses(&result, verification.id);
        let reset = has_effect!(result, Effect::PasswordReset);
        let mut sessions = 0;
        if reset {
            assert_eq!(verdict, GuessVerdict::Right, "a password was reset");
            world.assert_emailed(verification.id, &text);
            let user = verification.user.expect("a reset of an account");
            sessions = world.ledger.live_sessions(user).len();
            world.ledger.verification_mut(verification.id).open = false;
            world.ledger.set_password(user, self.password, None);
            world.expect_notice(Notice::PasswordReset, world.ledger.accounts[&user].address);
        }
        if let Some(user) = verification.user.filter(|_| verdict == GuessVerdict::Right) {
            let Account { name, address, .. } = world.ledger.accounts[&user];
            for login in [NAMES[name].1, ADDRESSES[address].key] {
                // The attempts are cleared before the reset: after a reset, they are surely clear.
                world.attempts.clear(login, reset);
            }
            world.attempts.clear_passwords(user, reset);
        }
        let (allowed, refusals) = outcomes_of_guess(verdict, &[]);
        if let Some(reply) = result.expect(allowed, &refusals) {
            assert_eq!(reply.sessions_ended as usize, sessions);
        }
    }
}
