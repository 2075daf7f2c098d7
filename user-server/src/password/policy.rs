//! The rule against common passwords: the dictionaries of zxcvbn, and words about the user, such as
//! the username.

use zeroize::Zeroizing;
use zxcvbn::feedback::Warning;
use zxcvbn::zxcvbn;

use crate::domain::Password;

/// Minimum number of guesses that a password must withstand, given the number of attempts that rate
/// limiting allows (NIST SP 800-63B, section 5.2.2).
const MIN_GUESSES: u64 = 10_000;
/// Maximum number of characters of a password that are examined.
const CHARS: usize = 64;

/// Reports whether a password is too easy to guess: it is a dictionary word or one of `words`, even
/// in another case, reversed or in leetspeak, or is estimated to be found within [`MIN_GUESSES`].
pub(super) fn is_common(password: &Password, words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // The time of the estimate grows with the square of the length, and what is weak in a long
    // password is its beginning.
    let start: Zeroizing<String> = Zeroizing::new(password.expose().chars().take(CHARS).collect());
    let estimate = zxcvbn(&start, &words);
    let warning = estimate.feedback().and_then(|feedback| feedback.warning());
    let is_one_word = matches!(
        warning,
        Some(
            Warning::ThisIsATop10Password
                | Warning::ThisIsATop100Password
                | Warning::ThisIsACommonPassword
                | Warning::AWordByItselfIsEasyToGuess
                | Warning::NamesAndSurnamesByThemselvesAreEasyToGuess
        )
    );
    is_one_word || estimate.guesses() < MIN_GUESSES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(text: &str) -> bool {
        let words = ["ada.lovelace".to_owned(), "ada@engine.example".to_owned()];
        is_common(&Password::presented(text.as_bytes()).unwrap(), &words)
    }

    #[test]
    fn dictionary_words_and_words_of_the_user_are_common() {
        for text in [
            "password",
            "Password",
            "p4ssw0rd",
            "12345678",
            "qwertyui",
            "drowssap",
            "aaaaaaaa",
            "iloveyou",
            "Ada.Lovelace",
        ] {
            assert!(common(text), "{text}");
        }
    }

    #[test]
    fn a_passphrase_is_not_common() {
        for text in [
            "correct horse battery staple",
            "tides rise at nine",
            "gq7#Lm2!vx",
            "пароль мой длинный",
        ] {
            assert!(!common(text), "{text}");
        }
    }

    /// A repetition takes zxcvbn longest. Whatever follows the examined part costs nothing.
    #[test]
    fn only_the_first_characters_of_a_long_password_are_examined() {
        let fastest = |length: usize| {
            let text: String = "abcABC123!".chars().cycle().take(length).collect();
            (0..3)
                .map(|_| {
                    let began = std::time::Instant::now();
                    common(&text);
                    began.elapsed()
                })
                .min()
                .unwrap()
        };
        let (short, long) = (fastest(64), fastest(128));
        assert!(long < short * 2, "{long:?} for 128 characters, {short:?} for 64");
        assert!(common(&"a".repeat(128)));
        assert!(!common(&format!("{}{}", "tides rise at nine", "x".repeat(110))));
    }
}
