//! Faults of the mailer: one that sends to the model, with planned results.

use std::sync::Mutex;

use async_trait::async_trait;
use user_server::domain::*;
use uuid::Uuid;

/// Result of sending an email.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryResult {
    Sent,
    TemporaryError,
    PermanentError,
    /// The email is sent, but a temporary error is reported.
    SentWithError,
}

/// An email that was sent.
#[derive(Debug, Clone)]
pub struct SentEmail {
    pub id: Uuid,
    pub to: String,
    pub code: Option<String>,
}

/// A mailer with planned results.
#[derive(Default)]
pub struct FaultyMailer {
    /// Results in rotation, and the number of emails so far.
    state: Mutex<(Vec<DeliveryResult>, usize)>,
    sent: Mutex<Vec<SentEmail>>,
    unsent: Mutex<Vec<(Uuid, DeliveryResult)>>,
}

impl FaultyMailer {
    pub fn plan(&self, results: &[DeliveryResult]) {
        *self.state.lock().unwrap() = (results.to_vec(), 0);
    }

    /// Returns the emails that were sent and those that were not, since the last call.
    pub fn take(&self) -> (Vec<SentEmail>, Vec<(Uuid, DeliveryResult)>) {
        (
            std::mem::take(&mut *self.sent.lock().unwrap()),
            std::mem::take(&mut *self.unsent.lock().unwrap()),
        )
    }
}

#[async_trait]
impl Mailer for FaultyMailer {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let result = {
            let mut state = self.state.lock().unwrap();
            let number = state.1;
            state.1 += 1;
            state.0.get(number % state.0.len().max(1)).copied().unwrap_or(DeliveryResult::Sent)
        };
        if matches!(result, DeliveryResult::Sent | DeliveryResult::SentWithError) {
            let sent = SentEmail { id: mail.id, to: mail.to.clone(), code: mail.code.clone() };
            self.sent.lock().unwrap().push(sent);
        } else {
            self.unsent.lock().unwrap().push((mail.id, result));
        }
        match result {
            DeliveryResult::Sent => Ok(()),
            DeliveryResult::TemporaryError | DeliveryResult::SentWithError => {
                Err(SendError::Service("not now".to_owned()))
            }
            DeliveryResult::PermanentError => Err(SendError::Recipient("never".to_owned())),
        }
    }
}
