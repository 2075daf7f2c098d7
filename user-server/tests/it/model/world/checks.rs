//! Comparison of the service with the model: the emails that a worker claims, and after each step
//! the accounts, sessions and tokens.

use user_proto::VerifyToken;
use user_server::domain::{ClaimedMail, Clock, CodeGenerator, LoginKey, MailKind, Notice, Purpose};
use uuid::Uuid;

use super::{CallContext, World};
use crate::model::expectations::refusals_of_token;
use crate::model::ledger::{DAY, HOUR, TokenState, Verification};
use crate::model::values::{ADDRESSES, NAMES};

/// Number of access tokens that are checked after each step.
const CHECKED_TOKENS: usize = 4;

impl World {
    /// Runs the checks of `fsck` on the whole database.
    pub(super) async fn inspect(&self) {
        let bounds = user_server::admin::bounds(self.config.code_life);
        for invariant in self.store.inspect(&bounds, self.clock.now()).await.unwrap() {
            assert_eq!(invariant.violations, 0, "{invariant}");
        }
    }

    /// Asserts that a claimed email has a cause, its row, and a budget.
    pub(super) fn check_claimed(&mut self, email: ClaimedMail) {
        let new = !self.emails.contains_key(&email.id);
        match &email.kind {
            MailKind::Code { purpose, verification_id, generation, kid } => {
                self.check_code(&email, new, *verification_id, *purpose);
                let text = self.otp.code(*verification_id, *purpose, *generation, kid).unwrap();
                let now = self.now();
                self.ledger.record_code(*verification_id, *generation, text, now);
            }
            MailKind::Notice(Notice::AlreadyRegistered) if new => {
                self.check_already_registered(&email);
            }
            MailKind::Notice(notice) if new => {
                let mailbox = &email.recipient.mailbox;
                let mut expected = 0;
                // One notice covers all that were queued since the last one.
                for covered in self.notices.iter_mut().filter(|expected| {
                    expected.notice == *notice
                        && expected.mailbox == *mailbox
                        && expected.email.is_none()
                }) {
                    covered.email = Some(email.id);
                    expected += 1;
                }
                assert!(expected > 0, "{notice:?} to {mailbox} has no cause");
            }
            MailKind::Notice(_) => {}
        }
        self.emails.insert(email.id, email);
    }

    fn check_code(&mut self, email: &ClaimedMail, new: bool, id: Uuid, purpose: Purpose) {
        let found = self.ledger.verification(id).expect("the row of an email");
        let address = found.address;
        assert_eq!(found.purpose, purpose);
        let to = match found.user.filter(|_| purpose == Purpose::PasswordReset) {
            Some(user) => self.ledger.accounts[&user].address,
            None => address,
        };
        assert_eq!(email.recipient.mailbox, ADDRESSES[to].mailbox);
        if new {
            let now = self.now();
            self.email_budgets.spend(address, purpose, now);
        }
    }

    fn check_already_registered(&mut self, email: &ClaimedMail) {
        let mailbox = &email.recipient.mailbox;
        let address = ADDRESSES.iter().find(|address| address.mailbox == mailbox).unwrap();
        let entered =
            |v: &Verification| ADDRESSES[v.address].key == address.key && (v.dead || v.was_known);
        assert!(self.ledger.verifications.iter().any(entered), "nobody entered {mailbox}");
        let now = self.now();
        let last = self.already_registered.insert(address.key.to_owned(), now);
        assert!(last.is_none_or(|last| last + HOUR <= now), "two notices within an hour");
    }

    /// Asserts that a verification without competitors for its mail slot has been issued a code.
    pub(super) fn check_queue(&self) {
        let now = self.now();
        let budget = |address: usize| ADDRESSES[address].budget;
        for v in &self.ledger.verifications {
            let competitors = self
                .ledger
                .verifications
                .iter()
                .filter(|o| o.purpose == v.purpose && budget(o.address) == budget(v.address));
            let waits = v.open
                && !v.dead
                && !v.voided
                && !v.was_known
                && v.issued.is_none()
                && v.created > now - DAY
                && v.resends == 0
                && v.guesses < 5;
            assert!(!(waits && competitors.count() == 1), "no email was created for {v:?}");
        }
    }

    /// Compares the stored rows, and the tokens on every node, with the model.
    pub(super) async fn check(&mut self) {
        let now = self.clock.now();
        for node in &self.nodes {
            node.core.revocation_reader(&self.store).load(now).await.unwrap();
        }
        for node in 0..self.nodes.len() {
            self.check_tokens(node).await;
        }
        self.check_users().await;
        for (id, session) in &self.ledger.sessions {
            let found = self.store.session(*id).await.unwrap().map(|found| found.user_id);
            assert_eq!(
                found,
                (!session.ended).then_some(session.user),
                "session {id}: {session:?}"
            );
        }
    }

    async fn check_users(&self) {
        let mut found = Vec::new();
        for (index, (_, key)) in NAMES.iter().enumerate() {
            let user = self.store.user_by_login(LoginKey::Username(key)).await.unwrap();
            let expected = self.ledger.account_by_name(index).map(|(id, _)| id);
            assert_eq!(user.as_ref().map(|user| user.id), expected, "{key}");
            found.extend(user);
        }
        for (index, address) in ADDRESSES.iter().enumerate() {
            let user = self.store.user_by_login(LoginKey::Email(address.key)).await.unwrap();
            let expected = self.ledger.account_by_address(index).map(|(id, _)| id);
            assert_eq!(user.as_ref().map(|user| user.id), expected, "{}", address.key);
        }
        for user in found {
            let expected = &self.ledger.accounts[&user.id];
            assert_eq!(user.username, NAMES[expected.name].0);
            assert_eq!(user.email, ADDRESSES[expected.address].typed);
            assert_eq!(user.credentials, expected.credentials, "changes of the password");
        }
    }

    /// Verifies the last access tokens on a node.
    pub(super) async fn check_tokens(&mut self, node: usize) {
        let last = self.ledger.access_tokens.iter().rev().take(CHECKED_TOKENS);
        let tokens: Vec<_> = last.cloned().collect();
        for token in tokens {
            let state = self.ledger.token_state(&token, self.now());
            let call = CallContext { node, network: None, fault: None };
            let request = VerifyToken { access_token: token.text.as_str().into() };
            let result = self.call(call, request).await;
            let reply = result.expect(state == TokenState::Valid, refusals_of_token(state));
            if let Some(verified) = reply {
                assert_eq!((verified.user_id, verified.session_id), (token.user, token.session));
            }
        }
    }
}
