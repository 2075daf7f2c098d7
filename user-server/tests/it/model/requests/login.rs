use super::*;

/// A login, or several in a row.
#[derive(Debug, Clone, Copy)]
pub struct Login {
    login: LoginChoice,
    password: PasswordChoice,
    times: usize,
}

impl ModelRequest for Login {
    const WEIGHT: u32 = 9;
    const ISSUES_TOKENS: bool = true;

    fn strategy() -> BoxedStrategy<Self> {
        let logins = prop_oneof![
            5 => names().prop_map(LoginChoice::Username),
            3 => addresses().prop_map(LoginChoice::Address),
            1 => Just(LoginChoice::Unknown),
        ];
        let times = prop_oneof![8 => Just(1usize), 1 => 2..9usize];
        (logins, current_passwords(), times)
            .prop_map(|(login, password, times)| Self { login, password, times })
            .boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        for time in 0..self.times {
            // An injected fault concerns the first login only.
            let fault = call.fault.filter(|_| time == 0);
            self.run_once(world, CallContext { fault, ..call }).await;
        }
    }
}

impl Login {
    async fn run_once(self, world: &mut World, call: CallContext) {
        let now = world.now();
        let (login, key) = match self.login {
            LoginChoice::Username(name) => NAMES[name],
            LoginChoice::Address(address) => (ADDRESSES[address].typed, ADDRESSES[address].key),
            LoginChoice::Unknown => (UNKNOWN_LOGIN, UNKNOWN_LOGIN),
        };
        let account = match self.login {
            LoginChoice::Username(name) => world.ledger.account_by_name(name),
            LoginChoice::Address(address) => world.ledger.account_by_address(address),
            LoginChoice::Unknown => None,
        };
        let account = account.map(|(id, account)| (id, account.clone()));
        let stored = account.as_ref().map(|(_, account)| account.password);
        let (password, right) = entered_password(self.password, stored);
        let admission = world.attempts.admission(key, call.network, now);
        let request = user_proto::Login::new(login.into(), password.unwrap_or(WRONG_PASSWORD).into());
        let result = world.call(call, request).await;
        for effect in &result.effects {
            if let Effect::SessionOpened { session } = effect {
                let (user, _) = account.as_ref().expect("a session without an account");
                assert!(
                    right && admission != Admission::Refused,
                    "a session without its password"
                );
                world.ledger.open_session(*session, *user, now);
            }
        }
        world.record_attempt(&result, key, call, right);
        let (allowed, mut refusals) = outcomes_of_password(admission, right, &[]);
        let user = account.as_ref().map(|(user, _)| *user);
        if right && world.attempts.spend("session", &user, (100, 2 * HOUR), now) {
            refusals.push(ErrorCode::RATE_LIMITED);
        }
        if let Some(reply) = result.expect(allowed, &refusals) {
            world.record_tokens(&reply);
        }
    }
}
