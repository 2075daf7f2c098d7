use super::*;

#[derive(Debug, Clone, Copy)]
pub struct UpdateUser {
    access: NthLast,
    name: Option<usize>,
    address: Option<usize>,
    password: Option<usize>,
    current_password: PasswordChoice,
}

impl ModelRequest for UpdateUser {
    const WEIGHT: u32 = 14;
    const NEEDS: &[Need] = &[Need::Tokens];

    fn requests_code(&self) -> Option<Purpose> {
        self.address.map(|_| Purpose::EmailChange)
    }

    fn strategy() -> BoxedStrategy<Self> {
        (
            nth_last(),
            weighted(0.4, names()),
            weighted(0.5, addresses()),
            weighted(0.4, passwords()),
            current_passwords(),
        )
            .prop_map(|(access, name, address, password, current_password)| Self {
                access,
                name,
                address,
                password,
                current_password,
            })
            .boxed()
    }

    async fn run(self, world: &mut World, call: CallContext) {
        let Self { name, address, password, .. } = self;
        let Some(token) = world.select_access_token(self.access) else { return };
        let now = world.now();
        let state = world.ledger.token_state(&token, now);
        let account = world.ledger.accounts.get(&token.user).cloned();
        let stored = account.as_ref().map(|account| account.password);
        let (current, right) = entered_password(self.current_password, stored);
        let request = user_proto::UpdateUser {
            access_token: token.text.as_str().into(),
            username: name.map(|name| NAMES[name].0.into()),
            email: address.map(|address| ADDRESSES[address].typed.into()),
            new_password: password.map(|password| PASSWORDS[password].into()),
            current_password: current.map(Into::into),
        };
        let result = world.call(call, request).await;
        let (TokenState::Valid, Some(account)) = (state, account) else {
            assert!(result.effects.is_empty(), "{state:?}: {:?}", result.effects);
            result.expect(false, refusals_of_token(state));
            return;
        };
        let user = token.user;
        let needs_password = address.is_some() || password.is_some();
        let admission = if needs_password {
            world.password_admission(current, &token)
        } else {
            Admission::Allowed
        };
        let right = right || !needs_password;
        let new_address =
            address.filter(|address| ADDRESSES[*address].key != ADDRESSES[account.address].key);
        let nothing = name.is_none() && new_address.is_none() && password.is_none();
        let taken = name.is_some_and(|name| world.ledger.name_taken(name, Some(user)));
        let mut pending = None;
        for effect in result.effects.clone() {
            if let Effect::Updated { verification } = effect {
                assert!(
                    right && admission != Admission::Refused && !nothing && !taken,
                    "an update that the model refuses"
                );
                assert_eq!(verification.is_some(), new_address.is_some());
                pending = verification;
                if let Some(name) = name {
                    world.ledger.accounts.get_mut(&user).unwrap().name = name;
                }
                if let Some(password) = password {
                    world.ledger.set_password(user, password, Some(token.session));
                    world.expect_notice(Notice::PasswordChanged, account.address);
                }
                if let (Some(id), Some(address)) = (verification, new_address) {
                    world.ledger.void_codes(user, Some(Purpose::EmailChange));
                    let verification =
                        world.ledger.add_verification(id, Purpose::EmailChange, address, now);
                    verification.user = Some(user);
                }
            }
        }
        if needs_password {
            world.record_password(&result, &token, right || current.is_none());
        }
        let spent = world.spend_update(call, user, (name, new_address, password));
        let refused = [(nothing, ErrorCode::NOTHING_TO_UPDATE), (taken, ErrorCode::USERNAME_TAKEN)];
        let (allowed, mut refusals) = outcomes_of_password(admission, right, &refused);
        if spent {
            refusals.push(ErrorCode::RATE_LIMITED);
        }
        if let Some(reply) = result.expect(allowed, &refusals) {
            let account = &world.ledger.accounts[&user];
            assert_eq!(
                (&*reply.username, &*reply.email),
                (NAMES[account.name].0, ADDRESSES[account.address].typed)
            );
            assert_eq!(reply.verification_id, pending);
        }
    }
}
