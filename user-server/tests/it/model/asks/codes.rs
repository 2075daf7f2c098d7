//! Everything that a mailed code proves: registrations, changes of address, resets.

use super::*;

impl World {
    pub(super) async fn register(&mut self, at: At, name: usize, address: usize, password: usize) {
        let now = self.now();
        let taken = self.ledger.name_taken(name, None);
        let spent = self.attempts.spend("registration", at.network, now);
        let (username, email) = (NAMES[name].0.into(), ADDRESSES[address].shown.into());
        let answered =
            self.call(at, Register { username, email, password: PASSWORDS[password].into() }).await;
        let mut written = None;
        for event in &answered.events {
            if let Effect::Registered(id) = event {
                let verification =
                    self.ledger.wait_for_code(*id, Purpose::Registration, address, now);
                (verification.name, verification.password) = (Some(name), password);
                written = Some(*id);
            }
        }
        assert!(!(taken && written.is_some()), "the courtesy");
        let refusals =
            refusals(&[(taken, ErrorCode::USERNAME_TAKEN), (spent, ErrorCode::RATE_LIMITED)]);
        if let Some(reply) = answered.expect(!taken, &refusals) {
            assert_eq!(Some(reply.verification_id), written);
        }
    }

    pub(super) async fn verify_email(
        &mut self,
        at: At,
        code_of: Ago,
        code: Code,
        name: Option<usize>,
    ) {
        let Some(of) = self.ledger.pick(code_of, Purpose::Registration).cloned() else { return };
        let (text, now) = (self.entered(&of, code), self.now());
        let look = self.ledger.look(of.id, Purpose::Registration, None, &text, now);
        let username = name.map(|name| NAMES[name].0.into());
        let request = VerifyEmail { verification_id: of.id, code: text.as_str().into(), username };
        let answered = self.call(at, request).await;
        self.take_guesses(&answered, of.id);
        let address_taken = self.ledger.address_taken(of.address, None);
        let name_taken = name.or(of.name).is_some_and(|name| self.ledger.name_taken(name, None));
        for event in answered.events.clone() {
            if let Effect::Activated { user, session } = event {
                assert!(matches!(look, Look::Right | Look::Perhaps), "{look:?} has made a user");
                self.assert_sent(of.id, &text);
                self.ledger.activate(of.id, name, user, session, now);
            }
        }
        self.take_waste(&answered, &of, look, address_taken);
        let (may, refusals) = after_code(
            look,
            &[(address_taken, ErrorCode::EMAIL_TAKEN), (name_taken, ErrorCode::USERNAME_TAKEN)],
        );
        if let Some(reply) = answered.expect(may, &refusals) {
            take_grant!(self, reply);
        }
    }

    pub(super) async fn resend(&mut self, at: At, code_of: Ago) {
        let Some(of) = nth_last(self.ledger.verifications.iter(), code_of).cloned() else { return };
        let unclear = of.open && (of.dead || of.was_known);
        let soon = of.open
            && of.issued.as_ref().is_some_and(|issued| self.now() < issued.at + RESEND_AFTER);
        let refusals = refusals(&[
            (soon || unclear, ErrorCode::RATE_LIMITED),
            (!of.open || unclear, ErrorCode::CODE_EXPIRED),
        ]);
        let may = of.open && (!soon || unclear);
        self.call(at, ResendCode { verification_id: of.id }).await.expect(may, &refusals);
    }

    pub(super) async fn request_reset(&mut self, at: At, wanted: usize) {
        let owned =
            self.ledger.users.values().nth(wanted % ADDRESSES.len()).map(|user| user.address);
        let address =
            owned.filter(|_| wanted >= ADDRESSES.len()).unwrap_or(wanted % ADDRESSES.len());
        let now = self.now();
        let spent = self.attempts.spend("reset", at.network, now);
        let answered =
            self.call(at, RequestPasswordReset { email: ADDRESSES[address].shown.into() }).await;
        let mut written = None;
        for event in &answered.events {
            if let Effect::ResetRequested(id) = event {
                self.ledger.wait_for_code(*id, Purpose::PasswordReset, address, now);
                written = Some(*id);
            }
        }
        if let Some(reply) = answered.expect(true, &refusals(&[(spent, ErrorCode::RATE_LIMITED)])) {
            assert_eq!(Some(reply.verification_id), written);
        }
    }

    pub(super) async fn reset(&mut self, at: At, code_of: Ago, code: Code, password: usize) {
        let Some(of) = self.ledger.pick(code_of, Purpose::PasswordReset).cloned() else { return };
        let (text, now) = (self.entered(&of, code), self.now());
        let look = self.ledger.look(of.id, Purpose::PasswordReset, None, &text, now);
        let (code, new_password) = (text.as_str().into(), PASSWORDS[password].into());
        let answered =
            self.call(at, ResetPassword { verification_id: of.id, code, new_password }).await;
        self.take_guesses(&answered, of.id);
        let mut living = 0;
        if came!(answered, Effect::Reset) {
            assert_eq!(look, Look::Right, "a password was reset");
            self.assert_sent(of.id, &text);
            let user = of.user.expect("a reset of somebody");
            living = self.ledger.living(user).len();
            self.ledger.set_password(user, password, None);
            self.owe(Notice::PasswordReset, self.ledger.users[&user].address);
        }
        if let Some(user) = of.user.filter(|_| look == Look::Right) {
            let Account { name, address, .. } = self.ledger.users[&user];
            for login in [NAMES[name].1, ADDRESSES[address].key] {
                // Before the reset, so that it is done where the reset is.
                self.attempts.clear(login, came!(answered, Effect::Reset));
            }
        }
        let (may, refusals) = after_code(look, &[]);
        if let Some(reply) = answered.expect(may, &refusals) {
            assert_eq!(reply.sessions_ended as usize, living);
        }
    }

    pub(super) async fn confirm_email(&mut self, at: At, access: Ago, code_of: Ago, code: Code) {
        let Some(of) = self.ledger.pick(code_of, Purpose::EmailChange).cloned() else { return };
        // Mostly who asked for the change; else anybody.
        let asker = of.user.filter(|_| access < 2);
        let Some(token) = self.ledger.pick_access(access, asker, self.now()) else { return };
        let (text, now) = (self.entered(&of, code), self.now());
        let worth = self.ledger.worth(&token, now);
        let look = self.ledger.look(of.id, Purpose::EmailChange, Some(token.user), &text, now);
        let (access_token, code) = (token.text.as_str().into(), text.as_str().into());
        let answered =
            self.call(at, ConfirmEmail { access_token, verification_id: of.id, code }).await;
        if worth != Worth::Good {
            assert!(answered.events.is_empty(), "{worth:?}: {:?}", answered.events);
            answered.expect(false, worth_refusals(worth));
            return;
        }
        self.take_guesses(&answered, of.id);
        let taken = self.ledger.address_taken(of.address, Some(token.user));
        if came!(answered, Effect::Confirmed) {
            assert!(matches!(look, Look::Right | Look::Perhaps), "{look:?} has changed an address");
            self.assert_sent(of.id, &text);
            let before = self.ledger.users[&token.user].address;
            self.ledger.set_address(token.user, of.address);
            self.owe(Notice::EmailChanged, before);
        }
        self.take_waste(&answered, &of, look, taken);
        let (may, refusals) = after_code(look, &[(taken, ErrorCode::EMAIL_TAKEN)]);
        if let Some(reply) = answered.expect(may, &refusals) {
            assert_eq!((reply.user_id, &*reply.email), (token.user, ADDRESSES[of.address].shown));
        }
    }
}
