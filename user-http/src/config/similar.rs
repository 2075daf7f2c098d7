//! Variables that are probably meant to be settings: mistyped names, and names that other programs
//! use.

use super::vars::VARIABLES;

/// Length of a name up to which one letter makes a different word.
const SHORT: usize = 4;
/// Names by which other programs call a setting, with its name here.
const OTHER_NAMES: [(&str, &str); 5] = [
    ("PORT", "HTTP_PORT"),
    ("SERVICE_ADDR", "SERVICE_ADDRS"),
    ("METRICS_PORT", "METRICS_ADDR"),
    ("LOG_LEVEL", "LOG"),
    ("RUST_LOG", "LOG"),
];

/// Returns a warning for each name that differs from a setting only in case or by one letter, and
/// for each of [`OTHER_NAMES`]. Values are not used.
pub(super) fn warnings(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut warnings: Vec<String> = names.filter_map(|name| warning(&name)).collect();
    warnings.sort();
    warnings.dedup();
    warnings
}

fn warning(name: &str) -> Option<String> {
    let known = || VARIABLES.iter().map(|variable| variable.name);
    if known().any(|known| known == name) {
        return None;
    }
    let is_meant = |known: &&str| {
        name.eq_ignore_ascii_case(known) || (known.len() > SHORT && differ_by_one(name, known))
    };
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == name).map(|(_, meant)| *meant);
    let meant = other.or_else(|| known().find(is_meant))?;
    Some(format!("{name} has no effect; did you mean {meant}?"))
}

/// Reports whether one text becomes the other, in any case, if one letter is added, removed or
/// replaced, or two neighbours are swapped.
fn differ_by_one(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_ascii_uppercase().into_bytes(), b.to_ascii_uppercase().into_bytes());
    let start = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (longer, shorter) = (a.len().max(b.len()), a.len().min(b.len()));
    let rest = longer.saturating_sub(start.saturating_add(end).min(shorter));
    match (longer - shorter, rest) {
        (0 | 1, 0 | 1) => true,
        (0, 2) => {
            let swapped = |text: &[u8]| text.get(start..start + 2).map(<[u8]>::to_vec);
            let reversed = swapped(&b).map(|mut two| {
                two.reverse();
                two
            });
            swapped(&a) == reversed
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_is_recognised() {
        for (name, setting) in [
            ("HTTP_PROT", "HTTP_PORT"),
            ("SERVICE_ADDR", "SERVICE_ADDRS"),
            ("http_port", "HTTP_PORT"),
            ("LOG_LEVEL", "LOG"),
        ] {
            let text = warning(name).unwrap_or_default();
            assert!(text.ends_with(&format!("did you mean {setting}?")), "{name}: {text}");
        }
        for name in ["PATH", "LOGS", "LANG", "HOME", "HTTP_PROXY"] {
            assert_eq!(warning(name), None, "{name}");
        }
    }
}
