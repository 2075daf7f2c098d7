//! One-time codes: derived, never stored. A code is computed from an HMAC of its verification, so a
//! stolen database reveals no code, and a repeated email contains the same code.

use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::{
    Adjustment, AuditEvent, AuditKind, Change, ClientNetwork, Clock, CodeGenerator, Codes, Fault,
    Guess, GuessCharge, Purpose, RecordedOutcome, Refusal, RequestContext, ResendResult,
    UseCaseResult,
};
use crate::keys::KeyRing;
use crate::outbox::{GUESSES, resend_policy};
use crate::throttle::Throttle;

/// Alphabet of Crockford's Base32, which has no I, L, O or U.
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Service that derives, checks and resends one-time codes (OTP).
pub struct Otp {
    codes: Arc<dyn Codes>,
    throttle: Arc<Throttle>,
    clock: Arc<dyn Clock>,
    keys: Arc<KeyRing>,
    life: Duration,
}

impl Otp {
    /// Creates a service for codes that expire `life` after their email is sent.
    #[must_use]
    pub fn new(
        codes: Arc<dyn Codes>,
        throttle: Arc<Throttle>,
        clock: Arc<dyn Clock>,
        keys: Arc<KeyRing>,
        life: Duration,
    ) -> Self {
        Self { codes, throttle, clock, keys, life }
    }

    /// Returns the name of the server key that new codes are derived from. If every key is retired,
    /// returns the name of a retired key, with which no code is issued.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.keys.signing().unwrap_or_else(|| self.keys.configured()).kid
    }

    /// Counts a guess at a code and compares it with the code. Returns a [`Guess`] if the guess is
    /// correct, with which the code is then used up. If `user_id` is given, only codes of that user
    /// are accepted.
    ///
    /// # Errors
    /// `InvalidCode` for a wrong code; `CodeExpired` for the correct code after it has expired, and
    /// for any code if the verification is unknown or has no guesses left; `RateLimited` if the
    /// network or the user has guessed too often. A client that does not have the code cannot tell
    /// from the error whether, or when, the email was sent.
    pub async fn check(
        &self,
        id: Uuid,
        purpose: Purpose,
        user_id: Option<Uuid>,
        code: &[u8],
        network: Option<ClientNetwork>,
    ) -> UseCaseResult<Guess> {
        let lookup = self.throttle.unknown_ids.charge(network, Instant::now())?;
        let charge = match purpose {
            Purpose::Registration | Purpose::EmailChange => {
                self.throttle.charge_of_guess(network, user_id)
            }
            // Its codes have 50 bits.
            Purpose::PasswordReset => Adjustment::nothing(),
        };
        let now = self.clock.now();
        let charge = self.codes.charge_guess(id, purpose, user_id, GUESSES, charge, now).await?;
        if !matches!(charge, GuessCharge::Unknown) {
            self.throttle.unknown_ids.refund(network, lookup, Instant::now());
        }
        let guess = match charge {
            GuessCharge::Charged(guess) => guess,
            GuessCharge::Spent | GuessCharge::Unknown => {
                return Err(Refusal::CodeExpired.into());
            }
            GuessCharge::TooMany(retry_after) => {
                return Err(Refusal::RateLimited { retry_after }.into());
            }
        };
        let Some(expected) = self.code(id, purpose, guess.generation, &guess.kid) else {
            return Err(Refusal::CodeExpired.into());
        };
        let correct = bool::from(normalised(expected.as_bytes()).ct_eq(&normalised(code)));
        // The code of a dead row is compared like any other, so that its refusal takes equally
        // long.
        match correct & !guess.dead {
            true if guess.expired => Err(Refusal::CodeExpired.into()),
            true => Ok(guess),
            false => Err(Refusal::InvalidCode.into()),
        }
    }

    /// Checks whether a guess at a code would be compared, without writing anything.
    ///
    /// # Errors
    /// `CodeExpired` if the verification is unknown or has no guesses left; `RateLimited` if the
    /// network has presented too many unknown ids.
    pub async fn check_guess(
        &self,
        id: Uuid,
        purpose: Purpose,
        user_id: Option<Uuid>,
        network: Option<ClientNetwork>,
    ) -> UseCaseResult<()> {
        let lookup = self.throttle.unknown_ids.charge(network, Instant::now())?;
        let refused = self.codes.refused_guess(id, purpose, user_id, GUESSES).await?;
        if !matches!(refused, Some(GuessCharge::Unknown)) {
            self.throttle.unknown_ids.refund(network, lookup, Instant::now());
        }
        refused.map_or(Ok(()), |_| Err(Refusal::CodeExpired.into()))
    }

    /// Refunds a correct guess after the operation that needed the code failed.
    pub async fn refund(&self, guess: &Guess) -> Result<(), Fault> {
        self.codes.refund_guess(guess).await
    }

    /// Checks whether a code may be sent again now, without writing anything.
    ///
    /// # Errors
    /// Those of [`Otp::resend`].
    pub async fn check_resend(&self, id: Uuid, context: &RequestContext) -> UseCaseResult<()> {
        let lookup = self.throttle.unknown_ids.charge(context.network, Instant::now())?;
        let policy = resend_policy(self.life);
        let refused = self.codes.refused_resend(id, &policy, self.clock.now()).await?;
        if refused != Some(ResendResult::Unknown) {
            self.throttle.unknown_ids.refund(context.network, lookup, Instant::now());
        }
        resent(refused.unwrap_or(ResendResult::Queued))
    }

    /// Queues the email of a verification again. If the server key of its code is retired, a new
    /// code is sent.
    ///
    /// # Errors
    /// `RateLimited` if the last request was too recent or there were too many, `CodeExpired` if
    /// there is no such verification.
    pub async fn resend(&self, id: Uuid, context: &RequestContext) -> UseCaseResult<()> {
        let client = &self.throttle.client(context.network);
        let kids: Vec<&str> = self.keys.active().map(|key| key.kid.as_str()).collect();
        let at = self.clock.now();
        let change = Change::new(
            context.at(at),
            AuditEvent::new(AuditKind::CodeResent).subject(id.as_bytes()),
            RecordedOutcome::at(at).verification(Some(id)),
        );
        resent(self.codes.resend(id, client, &resend_policy(self.life), &kids, change).await?)
    }
}

fn resent(result: ResendResult) -> UseCaseResult<()> {
    match result {
        ResendResult::Queued => Ok(()),
        ResendResult::TooSoon(retry_after) => Err(Refusal::RateLimited { retry_after }.into()),
        ResendResult::Unknown => Err(Refusal::CodeExpired.into()),
    }
}

impl CodeGenerator for Otp {
    fn code(&self, id: Uuid, purpose: Purpose, generation: u32, kid: &str) -> Option<String> {
        let key = self.keys.find(kid)?;
        let tag =
            key.code_tag(&[id.as_bytes(), purpose.name().as_bytes(), &generation.to_be_bytes()]);
        Some(match purpose {
            Purpose::Registration | Purpose::EmailChange => six_digits(&tag),
            Purpose::PasswordReset => ten_characters(&tag),
        })
    }

    fn life(&self) -> Duration {
        self.life
    }
}

/// Computes a code of six digits from an HMAC by dynamic truncation (RFC 4226, section 5.3), with
/// the low nibble of the last byte as the offset.
fn six_digits(tag: &[u8; 32]) -> String {
    let offset = usize::from(tag[31] & 0x0f);
    let window =
        tag.iter().skip(offset).take(4).fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
    format!("{:06}", (window & 0x7fff_ffff) % 1_000_000)
}

/// Computes a code of 50 bits from an HMAC, as two groups of five Base32 characters.
fn ten_characters(tag: &[u8; 32]) -> String {
    let bits = tag.iter().take(8).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let character = |index: u32| {
        let digit = usize::try_from(bits >> (59 - 5 * index) & 31).unwrap_or(0);
        char::from(BASE32.get(digit).copied().unwrap_or(b'0'))
    };
    let half = |range: std::ops::Range<u32>| range.map(character).collect::<String>();
    format!("{}-{}", half(0..5), half(5..10))
}

/// Normalises a code that a user has typed: ignores case, dashes and spaces, and reads O as 0, and
/// I and L as 1.
fn normalised(code: &[u8]) -> Vec<u8> {
    const MAX_LENGTH: usize = 64;
    code.iter()
        .take(MAX_LENGTH)
        .filter(|byte| !matches!(byte, b'-' | b' '))
        .map(|byte| match byte.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_expected_format() {
        let tag: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        assert_eq!(tag[31] & 0x0f, 15);
        assert_eq!(six_digits(&tag), format!("{:06}", 0x0f10_1112 % 1_000_000));
        assert_eq!(ten_characters(&[0xff; 32]), "ZZZZZ-ZZZZZ");
        assert_eq!(ten_characters(&[0; 32]), "00000-00000");
    }

    #[test]
    fn case_dashes_spaces_and_similar_letters_do_not_matter() {
        assert_eq!(normalised(b"oil1z-abcde"), normalised(b" 0111Z ABCDE"));
        assert_ne!(normalised(b"123456"), normalised(b"1234567"));
        assert_eq!(normalised(b"123 456"), b"123456");
    }
}
