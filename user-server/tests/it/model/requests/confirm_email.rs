use super::*;

#[derive(Debug, Clone, Copy)]
pub struct ConfirmEmail {
    access: NthLast,
    verification: NthLast,
    code: CodeChoice,
}

impl ModelRequest for ConfirmEmail {
    const WEIGHT: u32 = 4;
    const NEEDS: &[Need] = &[Need::Code, Need::Tokens];
    const REDEEMS: Option<Purpose> = Some(Purpose::EmailChange);

    fn strategy() -> BoxedStrategy<Self> {
        (nth_last(), nth_last(), codes())
            .prop_map(|(access, verification, code)| Self { access, verification, code })
            .boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let Some(verification) =
            world.ledger.select_verification(self.verification, Purpose::EmailChange).cloned()
        else {
            return;
        };
        // Mostly the user who requested the change, otherwise any user.
        let owner = verification.user.filter(|_| self.access < 2);
        let Some(token) = world.ledger.select_access_token(self.access, owner, world.now()) else {
            return;
        };
        let (text, now) = (world.entered_code(&verification, self.code), world.now());
        let state = world.ledger.token_state(&token, now);
        let user = Some(token.user);
        let verdict = world.ledger.judge(verification.id, Purpose::EmailChange, user, &text, now);
        let request = user_proto::ConfirmEmail {
            access_token: token.text.as_str().into(),
            verification_id: verification.id,
            code: text.as_str().into(),
        };
        let result = world.call(call, request).await;
        if state != TokenState::Valid {
            assert!(result.effects.is_empty(), "{state:?}: {:?}", result.effects);
            result.expect(false, refusals_of_token(state));
            return;
        }
        world.record_guesses(&result, verification.id);
        let taken = world.ledger.address_taken(verification.address, user);
        if has_effect!(result, Effect::EmailConfirmed) {
            assert!(verdict.may_succeed(), "{verdict:?} changed an address");
            world.assert_emailed(verification.id, &text);
            let before = world.ledger.accounts[&token.user].address;
            world.ledger.set_address(token.user, verification.address);
            world.expect_notice(Notice::EmailChanged, before);
        }
        world.record_consumed_code(&result, &verification, verdict, taken);
        let spent = world.record_wrong_code(call, user);
        let (allowed, mut refusals) =
            outcomes_of_guess(verdict, &[(taken, ErrorCode::EMAIL_TAKEN)]);
        if spent {
            refusals.push(ErrorCode::RATE_LIMITED);
        }
        if let Some(reply) = result.expect(allowed, &refusals) {
            let address = ADDRESSES[verification.address].typed;
            assert_eq!((reply.user_id, &*reply.email), (token.user, address));
        }
    }
}
