//! Preparation of usernames by the PRECIS profiles of RFC 8265. Some texts that users can type are
//! accepted although the `precis-profiles` library refuses them. For a text that the library
//! accepts, the result is always the library's, so that the canonical form of a stored name never
//! changes.

use precis_profiles::precis_core::profile::{Profile, Rules};
use precis_profiles::{UsernameCaseMapped, UsernameCasePreserved};
use unicode_bidi::{BidiClass, bidi_class};
use unicode_normalization::UnicodeNormalization;

/// Returns a username in the form that is shown and in the canonical form by which usernames are
/// compared, or `None` if a character is not allowed.
pub(super) fn enforce(text: &str) -> Option<(String, String)> {
    let (preserved, mapped) = (UsernameCasePreserved::new(), UsernameCaseMapped::new());
    if let (Ok(shown), Ok(key)) = (preserved.enforce(text), mapped.enforce(text)) {
        return Some((shown.into_owned(), key.into_owned()));
    }
    // Normalised first: the library looks for disallowed characters before it composes them.
    let text: String = text.nfc().flat_map(decompose_am).collect();
    let shown = preserved.prepare(text.as_str()).ok()?;
    let shown: String = shown.nfc().collect();
    let key = mapped.case_mapping_rule(mapped.prepare(text.as_str()).ok()?).ok()?;
    let key: String = key.nfc().collect();
    let valid = !key.is_empty() && satisfies_bidi_rule(&shown) && satisfies_bidi_rule(&key);
    valid.then_some((shown, key))
}

/// Replaces a Thai or Lao vowel sign am, which keyboards enter as one character, by the mark and
/// the vowel that it consists of, as UTS #46 does.
fn decompose_am(letter: char) -> impl Iterator<Item = char> {
    let [first, second] = match letter {
        '\u{e33}' => [Some('\u{e4d}'), Some('\u{e32}')],
        '\u{eb3}' => [Some('\u{ecd}'), Some('\u{eb2}')],
        other => [Some(other), None],
    };
    first.into_iter().chain(second)
}

/// Reports whether a label satisfies the Bidi rule (RFC 5893, section 2), which applies if it
/// contains right-to-left letters or digits. In contrast to the `precis-profiles` library, marks
/// may follow any letter: rule 3 is about the end of the label.
fn satisfies_bidi_rule(label: &str) -> bool {
    use BidiClass::{AL, AN, BN, CS, EN, ES, ET, L, NSM, ON, R};
    let classes: Vec<BidiClass> = label.chars().map(bidi_class).collect();
    let has = |class| classes.contains(&class);
    if !has(R) && !has(AL) && !has(AN) {
        return true;
    }
    let last = classes.iter().rev().find(|class| **class != NSM);
    match classes.first() {
        Some(R | AL) => {
            let allowed = |class: &BidiClass| {
                matches!(*class, R | AL | AN | EN | ES | CS | ET | ON | BN | NSM)
            };
            classes.iter().all(allowed)
                && matches!(last, Some(&(R | AL | EN | AN)))
                && !(has(EN) && has(AN))
        }
        Some(&L) => {
            let allowed =
                |class: &BidiClass| matches!(*class, L | EN | ES | CS | ET | ON | BN | NSM);
            classes.iter().all(allowed) && matches!(last, Some(&(L | EN)))
        }
        _ => false,
    }
}
