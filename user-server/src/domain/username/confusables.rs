//! Detection of usernames that could be mistaken for others (UTS #39): letters of several scripts,
//! and letters of other scripts that look like Latin ones.

use unicode_security::confusable_detection::skeleton;
use unicode_security::mixed_script::AugmentedScriptSet;

/// Checks that a name satisfies the script restriction that UTS #39 calls "highly restrictive", and
/// that it does not look like a name in ASCII unless it is Latin.
///
/// # Errors
/// Returns the violated rule, as a phrase that follows "username: ".
pub(super) fn check(name: &str) -> Result<(), &'static str> {
    if name.is_ascii() {
        return Ok(());
    }
    let latin = AugmentedScriptSet::for_char('a');
    let is_latin = |set: AugmentedScriptSet| {
        let mut common = set;
        common.intersect_with(latin);
        !common.is_empty()
    };
    let (mut all, mut others) = (AugmentedScriptSet::default(), AugmentedScriptSet::default());
    for letter in name.chars().map(AugmentedScriptSet::for_char) {
        all.intersect_with(letter);
        if !is_latin(letter) {
            others.intersect_with(letter);
        }
    }
    // One script, or Latin together with Chinese, Japanese or Korean.
    if all.is_empty() && !(others.kore || others.hanb || others.jpan) {
        return Err("mixes letters of several scripts");
    }
    if (all.is_empty() || !is_latin(all)) && skeleton(name).all(|letter| letter.is_ascii()) {
        return Err("looks like a name in Latin letters, but is written in another script");
    }
    Ok(())
}
