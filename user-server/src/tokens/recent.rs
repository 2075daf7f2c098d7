//! Access tokens that a thread has verified before. A token is presented many times, and one that
//! is found here needs neither its HMAC nor the decoding of its claims.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use uuid::Uuid;

use super::Verified;

/// Maximum length in bytes of a token without the text with which all tokens of its form begin.
pub(super) const MAX_TEXT: usize = 320;
/// Number of tokens with the same index that are remembered.
const WAYS: usize = 4;
/// Number of sets of [`WAYS`] tokens in all threads of a process, with one thread for each of up to
/// 64 cores: 65,536 tokens, which take 25 MB.
const SETS: usize = 16_384;
const MIN_SETS: usize = 256;
const MAX_SETS: usize = 8_192;
/// Length in bytes of what identifies a token: form, length, and masked text.
const KEY: usize = 16 + MAX_TEXT;
/// Length in bytes of a stored token: its key, two ids and two times.
const ENTRY: usize = KEY + 2 * 16 + 2 * 8;
/// Number of last bytes of a token from which its position is computed: 46 random bits or more,
/// since they belong to the signature.
const TAIL: usize = 8;

thread_local! {
    static TOKENS: RefCell<Option<RecentTokens>> = const { RefCell::new(None) };
}

/// Identifies a token form in the process: key, algorithm, header, issuer and audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FormId(u64);

impl FormId {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Returns the claims of a token with a valid signature that this thread has verified before.
/// `text` is the token without the text with which all tokens of the form begin.
pub(super) fn get(form: FormId, text: &[u8]) -> Option<Verified> {
    TOKENS.with(|tokens| tokens.try_borrow_mut().ok()?.as_mut()?.get(form, text))
}

/// Remembers a token with a valid signature.
pub(super) fn insert(form: FormId, text: &[u8], verified: Verified) {
    TOKENS.with(|tokens| {
        let Ok(mut tokens) = tokens.try_borrow_mut() else { return };
        if tokens.is_none() {
            *tokens = RecentTokens::new();
        }
        if let Some(tokens) = tokens.as_mut() {
            tokens.insert(form, text, verified);
        }
    });
}

/// Set-associative cache with second chances. A token only leaves a tag at its first check, and is
/// stored at its second, so that tokens that are checked once cost little. Nothing is allocated
/// after the first check of a thread.
struct RecentTokens {
    /// Random bytes under which tokens are stored, so that a search of the memory for tokens that
    /// can be used finds none.
    mask: [u8; MAX_TEXT],
    /// Apart from the tokens, so that a token that is not stored is found missing in little memory.
    sets: Box<[[Tag; WAYS]]>,
    /// [`ENTRY`] bytes for each tag. The system provides this memory as far as it is used.
    entries: Box<[u8]>,
    random: u64,
}

/// Bits of the hash of a token, and flags. Zero stands for no token.
#[derive(Clone, Copy, Default)]
struct Tag(u16);

impl Tag {
    const STORED: u16 = 1;
    /// The token was used, so that it is not replaced the next time that it could be.
    const USED: u16 = 2;
    const FLAGS: u16 = Self::STORED | Self::USED;

    /// Creates the tag of a token that is not stored.
    fn new(hash: u16) -> Self {
        // Another bit is set, so that it is not zero.
        Self(hash & !Self::FLAGS | 4)
    }

    fn is_of(self, new: Self) -> bool {
        self.0 & !Self::FLAGS == new.0
    }

    fn has(self, flags: u16) -> bool {
        self.0 & flags == flags
    }
}

impl RecentTokens {
    /// Creates a cache with the share of a thread in the memory of the process. Returns `None` if
    /// the system provides no random bytes.
    fn new() -> Option<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        // A power of two, so that an index is a part of a hash.
        Self::with((SETS / threads.next_power_of_two()).clamp(MIN_SETS, MAX_SETS))
    }

    fn with(sets: usize) -> Option<Self> {
        let mut mask = [0; MAX_TEXT];
        getrandom::fill(&mut mask).ok()?;
        let entries = vec![0; sets * WAYS * ENTRY].into();
        Some(Self { mask, sets: vec![Default::default(); sets].into(), entries, random: 1 })
    }

    /// Returns the index of the set of a token, and its tag in it.
    fn position(&self, text: &[u8]) -> Option<(usize, Tag)> {
        let tail = u64::from_le_bytes(*text.last_chunk::<TAIL>()?);
        // Fibonacci hashing: the upper bits of the product depend on all bits of the factor.
        let hash = tail.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let [_, _, _, _, a, b, c, d] = hash.to_le_bytes();
        let index = usize::from(u16::from_le_bytes([c, d])) & (self.sets.len() - 1);
        Some((index, Tag::new(u16::from_le_bytes([a, b]))))
    }

    /// Returns what identifies a token. Its text is under the mask, and followed by zeros.
    fn key(&self, form: FormId, text: &[u8]) -> Option<[u8; KEY]> {
        let mut key = [0; KEY];
        let (head, masked) = key.split_first_chunk_mut::<16>()?;
        let length = u64::try_from(text.len()).ok()?;
        *head = (u128::from(form.0) << 64 | u128::from(length)).to_le_bytes();
        let (masked, mask) = (masked.get_mut(..text.len())?, self.mask.get(..text.len())?);
        for ((out, byte), mask) in masked.iter_mut().zip(text).zip(mask) {
            *out = byte ^ mask;
        }
        Some(key)
    }

    fn get(&mut self, form: FormId, text: &[u8]) -> Option<Verified> {
        let (index, new) = self.position(text)?;
        let tags = self.sets.get(index)?;
        let way = tags.iter().position(|tag| tag.is_of(new) && tag.has(Tag::STORED))?;
        let start = (index * WAYS + way) * ENTRY;
        let (key, claims) = self.entries.get(start..start + ENTRY)?.split_at_checked(KEY)?;
        verify_slices_are_equal(&self.key(form, text)?, key).ok()?;
        let verified = read_claims(claims)?;
        let tag = self.sets.get_mut(index)?.get_mut(way)?;
        if !tag.has(Tag::USED) {
            tag.0 |= Tag::USED;
        }
        Some(verified)
    }

    fn insert(&mut self, form: FormId, text: &[u8], verified: Verified) -> Option<()> {
        let (index, new) = self.position(text)?;
        let tags = self.sets.get_mut(index)?;
        let Some(way) = tags.iter().position(|tag| tag.is_of(new)) else {
            let way = match tags.iter().position(|tag| tag.0 == 0) {
                Some(way) => way,
                // At random, since tokens may be checked in turn: the generator of Knuth's MMIX.
                None => {
                    let next = self.random.wrapping_mul(6_364_136_223_846_793_005);
                    self.random = next.wrapping_add(1_442_695_040_888_963_407);
                    (self.random >> 62) as usize % WAYS
                }
            };
            let tag = tags.get_mut(way)?;
            if tag.has(Tag::FLAGS) {
                tag.0 &= !Tag::USED;
            } else {
                *tag = new;
            }
            return None;
        };
        let key = self.key(form, text)?;
        self.sets.get_mut(index)?.get_mut(way)?.0 |= Tag::FLAGS;
        let start = (index * WAYS + way) * ENTRY;
        let entry = self.entries.get_mut(start..start + ENTRY)?;
        let (stored_key, claims) = entry.split_at_mut_checked(KEY)?;
        stored_key.copy_from_slice(&key);
        write_claims(claims, verified)
    }
}

fn write_claims(bytes: &mut [u8], verified: Verified) -> Option<()> {
    let (user_id, bytes) = bytes.split_first_chunk_mut::<16>()?;
    let (session_id, bytes) = bytes.split_first_chunk_mut::<16>()?;
    let (issued_at, bytes) = bytes.split_first_chunk_mut::<8>()?;
    let expires_at = bytes.first_chunk_mut::<8>()?;
    *user_id = verified.user_id.into_bytes();
    *session_id = verified.session_id.into_bytes();
    *issued_at = verified.issued_at.to_le_bytes();
    *expires_at = verified.expires_at.to_le_bytes();
    Some(())
}

fn read_claims(bytes: &[u8]) -> Option<Verified> {
    let (user_id, bytes) = bytes.split_first_chunk::<16>()?;
    let (session_id, bytes) = bytes.split_first_chunk::<16>()?;
    let (issued_at, bytes) = bytes.split_first_chunk::<8>()?;
    let expires_at = bytes.first_chunk::<8>()?;
    Some(Verified {
        user_id: Uuid::from_bytes(*user_id),
        session_id: Uuid::from_bytes(*session_id),
        issued_at: u64::from_le_bytes(*issued_at),
        expires_at: u64::from_le_bytes(*expires_at),
        stale: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: FormId = FormId(7);

    fn verified(number: u64) -> Verified {
        let id = Uuid::from_u64_pair(1, number);
        Verified { user_id: id, session_id: id, issued_at: 1, expires_at: number, stale: None }
    }

    /// Text of a token with this tail.
    fn text(number: u64, length: usize) -> Vec<u8> {
        let mut text = vec![b'A'; length - TAIL];
        // The multiplier makes the lowest bits of each byte vary, like those of a signature.
        text.extend(number.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
        text
    }

    fn stored(tokens: &RecentTokens) -> usize {
        tokens.sets.iter().flatten().filter(|tag| tag.has(Tag::STORED)).count()
    }

    #[test]
    fn a_token_is_found_after_its_second_check() {
        let mut tokens = RecentTokens::with(16).unwrap();
        let token = text(1, 262);
        assert_eq!(tokens.get(FORM, &token), None);
        tokens.insert(FORM, &token, verified(1));
        assert_eq!((tokens.get(FORM, &token), stored(&tokens)), (None, 0));
        tokens.insert(FORM, &token, verified(1));
        assert_eq!(tokens.get(FORM, &token), Some(verified(1)));
    }

    #[test]
    fn only_the_same_token_of_the_same_form_is_found() {
        let mut tokens = RecentTokens::with(16).unwrap();
        let token = text(1, MAX_TEXT);
        for _ in 0..2 {
            tokens.insert(FORM, &token, verified(1));
        }
        assert_eq!(tokens.get(FormId(8), &token), None);
        for changed in 0..token.len() {
            for bit in 0..8 {
                let mut forged = token.clone();
                forged[changed] ^= 1 << bit;
                assert_eq!(tokens.get(FORM, &forged), None, "byte {changed}, bit {bit}");
            }
        }
        for from in 1..token.len() {
            assert_eq!(tokens.get(FORM, &token[from..]), None, "{from} bytes less");
        }
        assert_eq!(tokens.get(FORM, &token), Some(verified(1)));
    }

    #[test]
    fn a_longer_or_very_short_text_is_not_stored() {
        let mut tokens = RecentTokens::with(16).unwrap();
        let long = text(1, MAX_TEXT + 1);
        for token in [&long, &b"short"[..]] {
            for _ in 0..3 {
                tokens.insert(FORM, token, verified(1));
            }
            assert_eq!((tokens.get(FORM, token), stored(&tokens)), (None, 0));
        }
    }

    #[test]
    fn two_tokens_with_one_tag_replace_each_other() {
        let mut tokens = RecentTokens::with(1).unwrap();
        let one = text(1, 262);
        let other = [b"B", &one[1..]].concat();
        for _ in 0..2 {
            tokens.insert(FORM, &one, verified(1));
        }
        assert_eq!(tokens.get(FORM, &other), None);
        tokens.insert(FORM, &other, verified(2));
        assert_eq!(tokens.get(FORM, &other), Some(verified(2)));
        assert_eq!(tokens.get(FORM, &one), None);
    }

    #[test]
    fn tokens_that_are_checked_once_displace_none_that_are_used() {
        let mut tokens = RecentTokens::with(1).unwrap();
        let used: Vec<Vec<u8>> = (1..=4).map(|number| text(number, 262)).collect();
        for token in used.iter().chain(&used) {
            tokens.insert(FORM, token, verified(1));
        }
        assert_eq!(stored(&tokens), WAYS);
        for number in 5..200 {
            tokens.insert(FORM, &text(number, 262), verified(number));
            for token in &used {
                assert_eq!(tokens.get(FORM, token), Some(verified(1)), "after {number}");
            }
        }
    }

    #[test]
    fn tokens_that_are_not_used_any_more_are_replaced() {
        let mut tokens = RecentTokens::with(64).unwrap();
        let number_of = |tokens: &mut RecentTokens, numbers: std::ops::Range<u64>| {
            numbers.filter(|number| tokens.get(FORM, &text(*number, 262)).is_some()).count()
        };
        for number in 0..4000 {
            for _ in 0..2 {
                tokens.insert(FORM, &text(number, 262), verified(number));
            }
        }
        assert!(stored(&tokens) > 64 * WAYS * 3 / 4, "{}", stored(&tokens));
        for number in (5000..5064).cycle().take(64 * 8) {
            tokens.insert(FORM, &text(number, 262), verified(number));
        }
        let new = number_of(&mut tokens, 5000..5064);
        assert!(new > 55, "{new}");
        let all = number_of(&mut tokens, 0..5064);
        assert!(all <= 64 * WAYS && all == stored(&tokens), "{all}");
    }

    /// Every set is used, so the tokens of a full cache are spread evenly.
    #[test]
    fn tokens_are_spread_over_the_sets() {
        let tokens = RecentTokens::with(256).unwrap();
        let mut counts = vec![0; 256];
        for number in 0..25_600 {
            counts[tokens.position(&text(number, 262)).unwrap().0] += 1;
        }
        assert!(counts.iter().all(|count| (40..=200).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_stored_token_is_not_in_memory() {
        let mut tokens = RecentTokens::with(1).unwrap();
        let token = text(1, 262);
        for _ in 0..2 {
            tokens.insert(FORM, &token, verified(1));
        }
        let way = tokens.sets[0].iter().position(|tag| tag.has(Tag::STORED)).unwrap();
        let masked = &tokens.entries[way * ENTRY + 16..];
        let same = masked.iter().zip(&token).filter(|(stored, byte)| stored == byte);
        assert!(same.count() < 20, "the token is not masked");
    }

    #[test]
    fn the_tokens_of_a_thread_are_its_own() {
        let (form, token) = (FormId::new(), text(1, 262));
        for _ in 0..2 {
            insert(form, &token, verified(1));
        }
        assert_eq!(get(form, &token), Some(verified(1)));
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(get(form, &token), None));
        });
    }
}
