//! Variables that are probably meant to be settings: mistyped names, and the name that other
//! services use for a database.

use super::vars::VARIABLES;

/// Length of a name up to which one letter makes a different word.
const SHORT: usize = 4;

/// Returns a warning for each name that differs from a setting only in case or by one letter, and
/// for DATABASE_URL. Values are not used.
pub(super) fn warnings<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut warnings: Vec<String> = names.filter_map(warning).collect();
    warnings.sort();
    warnings.dedup();
    warnings
}

fn warning(name: &str) -> Option<String> {
    if name == "DATABASE_URL" {
        return Some("DATABASE_URL has no effect; did you mean PostgreSQL?".to_owned());
    }
    let is_meant = |known: &str| {
        name.eq_ignore_ascii_case(known) || (known.len() > SHORT && differ_by_one(name, known))
    };
    if known().any(|known| known == name) {
        return None;
    }
    let meant = known().find(|known| is_meant(known))?;
    Some(format!("{name} has no effect; did you mean {meant}?"))
}

/// Returns every name that is read: of the settings, and of the files with secrets.
fn known() -> impl Iterator<Item = String> {
    VARIABLES.iter().flat_map(|variable| {
        let file = variable.secret.then(|| format!("{}_FILE", variable.name));
        std::iter::once(variable.name.to_owned()).chain(file)
    })
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

    fn meant(name: &str) -> Option<String> {
        let text = warning(name)?;
        Some(text.split("did you mean ").nth(1)?.trim_end_matches('?').to_owned())
    }

    #[test]
    fn a_mistyped_name_is_recognised() {
        for (name, setting) in [
            ("POSTGRESQL", "PostgreSQL"),
            ("tcp_port", "TCP_PORT"),
            ("TCPPORT", "TCP_PORT"),
            ("TCP_PROT", "TCP_PORT"),
            ("SMTP_HOTS", "SMTP_HOST"),
            ("SMPT_HOST", "SMTP_HOST"),
            ("REDIS_URLS", "REDIS_URL"),
            ("JWTSECRETKEY_FILES", "JWTSECRETKEY_FILE"),
            ("JWTSECRETKEYACCEPT", "JWTSECRETKEY_ACCEPT"),
            ("Log", "LOG"),
            ("DATABASE_URL", "PostgreSQL"),
        ] {
            assert_eq!(meant(name).as_deref(), Some(setting), "{name}");
        }
        for name in ["PATH", "LOGS", "LANG", "HOME", "PORT", "TCP_PORTAL", "SMTP", "PGHOST"] {
            assert_eq!(meant(name), None, "{name}");
        }
        for name in known() {
            assert_eq!(warning(&name), None, "{name}");
        }
    }
}
