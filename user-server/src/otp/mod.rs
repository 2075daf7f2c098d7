//! One-time codes: made, never stored. A code is an HMAC over what it verifies, so a stolen
//! database gives none away and a repeated mail carries the same one.

use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::domain::{
    AuditEvent, AuditKind, Change, Clock, CodeGenerator, Codes, Fault, Guess, GuessCharge, Purpose,
    RecordedOutcome, Refusal, RequestContext, ResendResult, UseCaseResult,
};
use crate::keys::KeyRing;
use crate::outbox::{GUESSES, RESEND_AFTER};

/// Crockford's base32: no I, L, O or U.
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The OTP service.
pub struct Otp {
    codes: Arc<dyn Codes>,
    clock: Arc<dyn Clock>,
    keys: Arc<KeyRing>,
    life: Duration,
}

impl Otp {
    /// Codes that live so long from the claim of their mail.
    #[must_use]
    pub fn new(
        codes: Arc<dyn Codes>,
        clock: Arc<dyn Clock>,
        keys: Arc<KeyRing>,
        life: Duration,
    ) -> Self {
        Self { codes, clock, keys, life }
    }

    /// The key that new codes are made with.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.keys.signing().unwrap_or_else(|| self.keys.configured()).kid
    }

    /// Pays for a guess and looks at it. The right one comes back as the claim to spend the code;
    /// `user_id` restricts it to codes of that user.
    ///
    /// # Errors
    /// `InvalidCode` for a wrong one, `CodeExpired` where there is nothing to guess.
    pub async fn check(
        &self,
        id: Uuid,
        purpose: Purpose,
        user_id: Option<Uuid>,
        code: &[u8],
    ) -> UseCaseResult<Guess> {
        let guess =
            match self.codes.charge_guess(id, purpose, user_id, GUESSES, self.clock.now()).await? {
                GuessCharge::Charged(guess) => guess,
                GuessCharge::NotIssued => return Err(Refusal::InvalidCode.into()),
                GuessCharge::Spent => return Err(Refusal::CodeExpired.into()),
            };
        let Some(right) = self.code(id, purpose, guess.generation, &guess.kid) else {
            return Err(Refusal::CodeExpired.into());
        };
        let same = bool::from(bare(right.as_bytes()).ct_eq(&bare(code)));
        // A dead row's code is compared like any other, so that its refusal takes as long.
        if same & !guess.dead { Ok(guess) } else { Err(Refusal::InvalidCode.into()) }
    }

    /// Gives a right guess back that led to nothing.
    pub async fn refund(&self, guess: &Guess) -> Result<(), Fault> {
        self.codes.refund_guess(guess).await
    }

    /// Queues the email of a verification again. A code whose key is retired is replaced.
    ///
    /// # Errors
    /// `RateLimited` if the last email was sent too recently, `CodeExpired` if there is no such
    /// verification.
    pub async fn resend(
        &self,
        id: Uuid,
        client: &str,
        context: &RequestContext,
    ) -> UseCaseResult<()> {
        let kids: Vec<&str> = self.keys.active().map(|key| key.kid.as_str()).collect();
        let at = self.clock.now();
        let change = Change::new(
            context.at(at),
            AuditEvent::new(AuditKind::CodeResent).subject(id.as_bytes()),
            RecordedOutcome::at(at).verification(Some(id)),
        );
        match self.codes.resend(id, client, RESEND_AFTER, &kids, change).await? {
            ResendResult::Queued => Ok(()),
            ResendResult::TooSoon(retry_after) => Err(Refusal::RateLimited { retry_after }.into()),
            ResendResult::Spent => Err(Refusal::CodeExpired.into()),
        }
    }
}

impl CodeGenerator for Otp {
    fn code(&self, id: Uuid, purpose: Purpose, generation: u32, kid: &str) -> Option<String> {
        let key = self.keys.find(kid)?;
        let tag =
            key.code_tag(&[id.as_bytes(), purpose.name().as_bytes(), &generation.to_be_bytes()]);
        Some(match purpose {
            Purpose::Registration | Purpose::EmailChange => six_digits(&tag),
            Purpose::PasswordReset => ten_letters(&tag),
        })
    }

    fn life(&self) -> Duration {
        self.life
    }
}

/// Dynamic truncation (RFC 4226, section 5.3), with the low nibble of the last byte as the offset.
fn six_digits(tag: &[u8; 32]) -> String {
    let offset = usize::from(tag[31] & 0x0f);
    let window =
        tag.iter().skip(offset).take(4).fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
    format!("{:06}", (window & 0x7fff_ffff) % 1_000_000)
}

/// Fifty bits, in two groups that the eye can hold.
fn ten_letters(tag: &[u8; 32]) -> String {
    let bits = tag.iter().take(8).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let letter = |index: u32| {
        let digit = usize::try_from(bits >> (59 - 5 * index) & 31).unwrap_or(0);
        char::from(BASE32.get(digit).copied().unwrap_or(b'0'))
    };
    let half = |range: std::ops::Range<u32>| range.map(letter).collect::<String>();
    format!("{}-{}", half(0..5), half(5..10))
}

/// A code without what people add to it: case, dashes and spaces do not count, and letters that
/// look like digits are.
fn bare(code: &[u8]) -> Vec<u8> {
    const LONGEST: usize = 64;
    code.iter()
        .take(LONGEST)
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
    fn codes_have_their_form() {
        let tag: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        assert_eq!(tag[31] & 0x0f, 15);
        assert_eq!(six_digits(&tag), format!("{:06}", 0x0f10_1112 % 1_000_000));
        assert_eq!(ten_letters(&[0xff; 32]), "ZZZZZ-ZZZZZ");
        assert_eq!(ten_letters(&[0; 32]), "00000-00000");
    }

    #[test]
    fn people_write_codes_in_their_way() {
        assert_eq!(bare(b"oil1z-abcde"), bare(b" 0111Z ABCDE"));
        assert_ne!(bare(b"123456"), bare(b"1234567"));
        assert_eq!(bare(b"123 456"), b"123456");
    }
}
