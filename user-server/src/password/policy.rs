//! Which passwords are among the first that people try: zxcvbn's dictionaries, and the user's own
//! words.

use zxcvbn::feedback::Warning;
use zxcvbn::zxcvbn;

use crate::domain::Password;

/// Guesses under which a password falls to the attempts that a throttled login allows (NIST SP
/// 800-63B, section 5.2.2).
const FEWEST_GUESSES: u64 = 10_000;

/// Whether the password as a whole is a dictionary's or the user's word, in any case, reversed or
/// in leet, or falls within the first few thousand guesses.
pub(super) fn is_common(password: &Password, context: &[String]) -> bool {
    let words: Vec<&str> = context.iter().map(String::as_str).collect();
    let found = zxcvbn(password.expose(), &words);
    let warning = found.feedback().and_then(|feedback| feedback.warning());
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
    is_one_word || found.guesses() < FEWEST_GUESSES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(text: &str) -> bool {
        let context = ["ada.lovelace".to_owned(), "ada@engine.example".to_owned()];
        is_common(&Password::presented(text.as_bytes()).unwrap(), &context)
    }

    #[test]
    fn what_people_try_first_is_common() {
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
    fn a_phrase_is_not() {
        for text in [
            "correct horse battery staple",
            "tides rise at nine",
            "gq7#Lm2!vx",
            "пароль мой длинный",
        ] {
            assert!(!common(text), "{text}");
        }
    }
}
