//! Accounts and sessions, by the tokens of their owners.

use super::*;

impl World {
    pub(super) async fn verify_token(&mut self, at: At, access: Ago) {
        let Some(token) = self.access(access) else { return };
        let worth = self.ledger.worth(&token, self.now());
        let answered =
            self.call(at, VerifyToken { access_token: token.text.as_str().into() }).await;
        answered.expect(worth == Worth::Good, worth_refusals(worth));
    }

    pub(super) async fn refresh(&mut self, at: At, refresh: Ago) {
        let Some(token) = nth_last(self.ledger.refresh.iter(), refresh).cloned() else { return };
        let now = self.now();
        let session = self.ledger.sessions[&token.session].clone();
        let expired = now / SECOND * SECOND >= token.expires;
        let lives = !expired && !session.ended;
        let current = lives && token.counter == session.counter;
        let again = lives && token.counter + 1 == session.counter && now - session.rotated <= GRACE;
        let answered =
            self.call(at, RefreshToken { refresh_token: token.text.as_str().into() }).await;
        if came!(answered, Effect::Refreshed) {
            assert!(
                current,
                "a refresh token that is not the current one has moved its session on"
            );
            let session = self.ledger.sessions.get_mut(&token.session).unwrap();
            (session.counter, session.rotated) = (session.counter + 1, now);
        }
        if came!(answered, Effect::Stolen) {
            assert!(lives && !current && !again, "a session was ended for a token that was good");
            self.ledger.end(token.session);
        }
        let refusals = refusals(&[
            (expired, ErrorCode::TOKEN_EXPIRED),
            (!expired, ErrorCode::SESSION_REVOKED),
        ]);
        let may = current || again;
        if let Some(reply) = answered.expect(may, if may { &[] } else { &refusals }) {
            assert_eq!(reply.session_id, token.session);
            take_grant!(self, reply);
        }
    }

    pub(super) async fn logout(&mut self, at: At, token: Token, all: bool) {
        let now = self.now();
        let (text, session, expired) = match token {
            Token::Access(ago) => {
                let Some(token) = self.access(ago) else { return };
                // One that has expired still ends its own session.
                let expired = all && self.ledger.worth(&token, now) == Worth::Expired;
                (token.text, token.session, expired)
            }
            Token::Refresh(ago) => {
                let Some(token) = nth_last(self.ledger.refresh.iter(), ago).cloned() else {
                    return;
                };
                (token.text, token.session, now / SECOND * SECOND >= token.expires)
            }
        };
        let lives = !expired && !self.ledger.sessions[&session].ended;
        let user = self.ledger.sessions[&session].user;
        let request = Logout { token: text.as_str().into(), all_sessions: all.then_some(()) };
        let answered = self.call(at, request).await;
        let mut ended = 0;
        for event in answered.events.clone() {
            match event {
                Effect::Ended(count) => {
                    ended = count;
                    assert!(count == 0 || lives, "a session has ended twice");
                    if count > 0 {
                        self.ledger.end(session);
                    }
                }
                Effect::EndedAll(count) => {
                    ended = count;
                    assert!(lives, "a token without a session has ended others");
                    assert_eq!(count as usize, self.ledger.living(user).len());
                    self.ledger.end_all(user, None);
                    self.ledger.void(user, None);
                }
                _ => {}
            }
        }
        let refusals = refusals(&[
            (expired, ErrorCode::TOKEN_EXPIRED),
            (!expired && !lives, ErrorCode::SESSION_REVOKED),
        ]);
        if let Some(reply) = answered.expect(lives, &refusals) {
            assert_eq!(reply.sessions_ended, ended);
        }
    }

    pub(super) async fn user(&mut self, at: At, access: Ago) {
        let Some(token) = self.access(access) else { return };
        let worth = self.ledger.worth(&token, self.now());
        let answered = self.call(at, GetUser { access_token: token.text.as_str().into() }).await;
        if let Some(user) = answered.expect(worth == Worth::Good, worth_refusals(worth)) {
            let account = &self.ledger.users[&token.user];
            assert_eq!(user.user_id, token.user);
            assert_eq!(
                (&*user.username, &*user.email),
                (NAMES[account.name].0, ADDRESSES[account.address].shown)
            );
        }
    }

    pub(super) async fn update(
        &mut self,
        at: At,
        access: Ago,
        (name, address, password): (Option<usize>, Option<usize>, Option<usize>),
        proof: Proof,
    ) {
        let Some(token) = self.access(access) else { return };
        let now = self.now();
        let worth = self.ledger.worth(&token, now);
        let account = self.ledger.users.get(&token.user).cloned();
        let (current, right) = presented(proof, account.as_ref().map(|user| user.password));
        let request = UpdateUser {
            access_token: token.text.as_str().into(),
            username: name.map(|name| NAMES[name].0.into()),
            email: address.map(|address| ADDRESSES[address].shown.into()),
            new_password: password.map(|password| PASSWORDS[password].into()),
            current_password: current.map(Into::into),
        };
        let answered = self.call(at, request).await;
        let (Worth::Good, Some(account)) = (worth, account) else {
            assert!(answered.events.is_empty(), "{worth:?}: {:?}", answered.events);
            answered.expect(false, worth_refusals(worth));
            return;
        };
        let user = token.user;
        let key = NAMES[account.name].1;
        let proves = address.is_some() || password.is_some();
        let gate = if proves { self.attempts.gate(key, at.network, now) } else { Gate::Open };
        let right = right || !proves;
        let new_address =
            address.filter(|address| ADDRESSES[*address].key != ADDRESSES[account.address].key);
        let nothing = name.is_none() && new_address.is_none() && password.is_none();
        let taken = name.is_some_and(|name| self.ledger.name_taken(name, Some(user)));
        let mut waits = None;
        for event in answered.events.clone() {
            if let Effect::Changed { verification } = event {
                assert!(right && gate != Gate::Shut && !nothing && !taken, "changed without leave");
                assert_eq!(verification.is_some(), new_address.is_some());
                waits = verification;
                if let Some(name) = name {
                    self.ledger.users.get_mut(&user).unwrap().name = name;
                }
                if let Some(password) = password {
                    self.ledger.set_password(user, password, Some(token.session));
                    self.owe(Notice::PasswordChanged, account.address);
                }
                if let (Some(id), Some(address)) = (verification, new_address) {
                    self.ledger.void(user, Some(Purpose::EmailChange));
                    let verification =
                        self.ledger.wait_for_code(id, Purpose::EmailChange, address, now);
                    verification.user = Some(user);
                }
            }
        }
        if proves {
            self.settle_attempt(&answered, key, at, right);
        }
        let refused = [(nothing, ErrorCode::NOTHING_TO_UPDATE), (taken, ErrorCode::USERNAME_TAKEN)];
        let (may, refusals) = after_proof(gate, right, &refused);
        if let Some(reply) = answered.expect(may, &refusals) {
            let account = &self.ledger.users[&user];
            assert_eq!(
                (&*reply.username, &*reply.email),
                (NAMES[account.name].0, ADDRESSES[account.address].shown)
            );
            assert_eq!(reply.verification_id, waits);
        }
    }

    pub(super) async fn delete(&mut self, at: At, access: Ago, proof: Proof) {
        let Some(token) = self.access(access) else { return };
        let now = self.now();
        let worth = self.ledger.worth(&token, now);
        let account = self.ledger.users.get(&token.user).cloned();
        let (current, right) = presented(proof, account.as_ref().map(|user| user.password));
        let current = current.unwrap_or(NO_PASSWORD).into();
        let answered = self
            .call(
                at,
                DeleteUser { access_token: token.text.as_str().into(), current_password: current },
            )
            .await;
        let (Worth::Good, Some(account)) = (worth, account) else {
            assert!(answered.events.is_empty(), "{worth:?}: {:?}", answered.events);
            answered.expect(false, worth_refusals(worth));
            return;
        };
        let key = NAMES[account.name].1;
        let gate = self.attempts.gate(key, at.network, now);
        if came!(answered, Effect::Deleted) {
            assert!(right && gate != Gate::Shut, "deleted without leave");
            self.ledger.delete(token.user);
            self.owe(Notice::Deleted, account.address);
        }
        self.settle_attempt(&answered, key, at, right);
        let (may, refusals) = after_proof(gate, right, &[]);
        if let Some(reply) = answered.expect(may, &refusals) {
            assert_eq!(reply.user_id, token.user);
        }
    }
}
