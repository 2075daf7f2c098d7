use super::*;

#[derive(Debug, Clone, Copy)]
pub struct VerifyEmail {
    pub verification: NthLast,
    pub code: CodeChoice,
    /// Name that replaces the one of the registration.
    pub name: Option<usize>,
}

impl ModelRequest for VerifyEmail {
    const WEIGHT: u32 = 12;
    const NEEDS: &[Need] = &[Need::Code];
    const REDEEMS: Option<Purpose> = Some(Purpose::Registration);
    const ISSUES_TOKENS: bool = true;

    fn strategy() -> BoxedStrategy<Self> {
        (nth_last(), codes(), weighted(0.2, names()))
            .prop_map(|(verification, code, name)| Self { verification, code, name })
            .boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let Some(verification) =
            world.ledger.select_verification(self.verification, Purpose::Registration).cloned()
        else {
            return;
        };
        let (text, now) = (world.entered_code(&verification, self.code), world.now());
        let verdict =
            world.ledger.judge(verification.id, Purpose::Registration, None, &text, now);
        let request = user_proto::VerifyEmail { username: self.name.map(|name| NAMES[name].0.into()), ..user_proto::VerifyEmail::new(verification.id, text.as_str().into()) };
        let result = world.call(call, request).await;
        world.record_guesses(&result, verification.id);
        let address_taken = world.ledger.address_taken(verification.address, None);
        let name = self.name.or(verification.name);
        let name_taken = name.is_some_and(|name| world.ledger.name_taken(name, None));
        for effect in result.effects.clone() {
            if let Effect::Activated { user, session } = effect {
                assert!(verdict.may_succeed(), "{verdict:?} created an account");
                world.assert_emailed(verification.id, &text);
                world.ledger.activate(verification.id, self.name, user, session, now);
            }
        }
        world.record_consumed_code(&result, &verification, verdict, address_taken);
        let spent = world.record_wrong_code(call, None);
        let (allowed, mut refusals) = outcomes_of_guess(
            verdict,
            &[(address_taken, ErrorCode::EMAIL_TAKEN), (name_taken, ErrorCode::USERNAME_TAKEN)],
        );
        if spent {
            refusals.push(ErrorCode::RATE_LIMITED);
        }
        if let Some(reply) = result.expect(allowed, &refusals) {
            world.record_tokens(&reply);
        }
    }
}
