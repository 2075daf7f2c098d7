//! Access tokens that a thread has verified before. A token is presented many times, and finding
//! it here takes a fifth of the time of its HMAC.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::Verified;

/// Maximum length in bytes of a token without the text with which all tokens of its form begin.
pub(super) const MAX_TEXT: usize = 320;
/// Number of tokens with the same index that are remembered.
const WAYS: usize = 4;
/// Number of sets of [`WAYS`] tokens in all threads of a process, with one thread per core: 65,536
/// tokens, which take about 27 MiB.
const SETS: usize = 16_384;
const MIN_SETS: usize = 256;
const MAX_SETS: usize = 8_192;
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

/// Set-associative cache. A token only leaves a tag at its first check, and is stored at its
/// second, so that tokens that are checked once cost little and displace no others. Nothing is
/// allocated after the first check of a thread.
struct RecentTokens {
    /// Random bytes under which tokens are stored, so that a search of the memory for tokens that
    /// can be used finds none.
    mask: [u8; MAX_TEXT],
    sets: Box<[[Way; WAYS]]>,
    /// Stored tokens. It has capacity for all ways, and occupies memory as far as it is filled.
    tokens: Vec<StoredToken>,
}

/// Place of a token in a set.
#[derive(Clone, Copy, Default)]
struct Way {
    /// Bits of the hash of the token, or zero if there was none.
    tag: u32,
    is_stored: bool,
    /// Index in `tokens`, which the way keeps when another token takes its place.
    slot: Option<u32>,
}

struct StoredToken {
    form: FormId,
    length: usize,
    masked: [u8; MAX_TEXT],
    verified: Verified,
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
        let tokens = Vec::with_capacity(sets * WAYS);
        Some(Self { mask, sets: vec![Default::default(); sets].into(), tokens })
    }

    /// Returns the index of the set of a token, and its tag in it.
    fn position(&self, text: &[u8]) -> Option<(usize, u32)> {
        let tail = u64::from_le_bytes(*text.last_chunk::<TAIL>()?);
        // Fibonacci hashing: the upper bits of the product depend on all bits of the factor.
        let hash = tail.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let [_, _, _, a, b, c, d, e] = hash.to_le_bytes();
        let index = usize::from(u16::from_le_bytes([d, e])) & (self.sets.len() - 1);
        Some((index, u32::from_le_bytes([a, b, c, 1])))
    }

    /// Returns a text under the mask, followed by zeros.
    fn masked(&self, text: &[u8]) -> Option<[u8; MAX_TEXT]> {
        let mut masked = [0; MAX_TEXT];
        let (out, mask) = (masked.get_mut(..text.len())?, self.mask.get(..text.len())?);
        for ((out, byte), mask) in out.iter_mut().zip(text).zip(mask) {
            *out = byte ^ mask;
        }
        Some(masked)
    }

    fn get(&mut self, form: FormId, text: &[u8]) -> Option<Verified> {
        let (index, tag) = self.position(text)?;
        let set = self.sets.get(index)?;
        let found = set.iter().position(|way| way.tag == tag && way.is_stored)?;
        let token = self.tokens.get(set.get(found)?.slot? as usize)?;
        let masked = self.masked(text)?;
        let is_same = token.form == form
            && token.length == text.len()
            && verify_slices_are_equal(&masked, &token.masked).is_ok();
        let verified = is_same.then_some(token.verified)?;
        if found > 0 {
            // The last way is given up first, so a token that is used moves away from it.
            self.sets.get_mut(index)?.swap(found - 1, found);
        }
        Some(verified)
    }

    fn insert(&mut self, form: FormId, text: &[u8], verified: Verified) -> Option<()> {
        let (index, tag) = self.position(text)?;
        let masked = self.masked(text)?;
        let set = self.sets.get_mut(index)?;
        let Some(way) = set.iter_mut().find(|way| way.tag == tag) else {
            // Another token that was checked once gives way, at random, since tokens may be checked
            // in turn; otherwise the stored token that was used least.
            let start = (tag >> 8) as usize % WAYS;
            let mut ways = (start..WAYS).chain(0..start);
            let free = ways.find(|way| set.get(*way).is_some_and(|way| !way.is_stored));
            let way = set.get_mut(free.unwrap_or(WAYS - 1))?;
            *way = Way { tag, is_stored: false, slot: way.slot };
            return Some(());
        };
        let token = StoredToken { form, length: text.len(), masked, verified };
        match way.slot {
            Some(slot) => *self.tokens.get_mut(slot as usize)? = token,
            None => {
                way.slot = Some(u32::try_from(self.tokens.len()).ok()?);
                self.tokens.push(token);
            }
        }
        way.is_stored = true;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

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
        tokens.sets.iter().flatten().filter(|way| way.is_stored).count()
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
        let mut tokens = RecentTokens::with(4).unwrap();
        let used = text(1, 262);
        for _ in 0..2 {
            tokens.insert(FORM, &used, verified(1));
        }
        // One that shares its set moves it from the last way.
        let set = tokens.position(&used).unwrap().0;
        let same_set = |number: &u64| tokens.position(&text(*number, 262)).unwrap().0 == set;
        let others: Vec<u64> = (2..200).filter(same_set).collect();
        assert_eq!(tokens.get(FORM, &used), Some(verified(1)));
        for number in others {
            tokens.insert(FORM, &text(number, 262), verified(number));
            assert_eq!(tokens.get(FORM, &used), Some(verified(1)), "after {number}");
        }
        assert_eq!(stored(&tokens), 1);
    }

    #[test]
    fn the_number_of_stored_tokens_is_bounded() {
        let mut tokens = RecentTokens::with(8).unwrap();
        for number in 0..1000 {
            for _ in 0..2 {
                tokens.insert(FORM, &text(number, 262), verified(number));
            }
        }
        assert_eq!((stored(&tokens), tokens.tokens.len()), (8 * WAYS, 8 * WAYS));
        assert_eq!(tokens.tokens.capacity(), 8 * WAYS, "more was allocated");
        assert!(size_of::<StoredToken>() <= 416, "{} bytes", size_of::<StoredToken>());
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
        let same =
            tokens.tokens[0].masked.iter().zip(&token).filter(|(stored, byte)| stored == byte);
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
