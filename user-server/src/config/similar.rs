//! Variables that are probably meant to be settings: mistyped names, and names that other services
//! use.

use super::vars::VARIABLES;

/// Length of a name up to which one letter makes a different word.
const SHORT: usize = 4;

/// Names by which other services call a setting, with its name here.
const OTHER_NAMES: [(&str, &str); 12] = [
    ("DATABASE_URL", "PostgreSQL"),
    ("POSTGRES_URL", "PostgreSQL"),
    ("JWT_SECRET", "JWTSECRETKEY"),
    ("JWT_SECRET_KEY", "JWTSECRETKEY"),
    ("SMTP_USERNAME", "SMTP_USER"),
    ("SMTP_PASS", "SMTP_PASSWORD"),
    ("SMTP_FROM", "MAIL_FROM"),
    ("PORT", "TCP_PORT"),
    ("METRICS_PORT", "METRICS_ADDR"),
    ("LOG_LEVEL", "LOG"),
    ("RUST_LOG", "LOG"),
    ("REDIS_HOST", "REDIS_URL"),
];

/// Returns a warning for each of these names of a file of settings that no setting has: such a file
/// contains nothing else, unlike the environment.
pub(super) fn unknown<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names
        .filter(|name| *name != "NO_COLOR" && !known().any(|known| known == *name))
        .map(|name| warning(name).unwrap_or_else(|| format!("{name} in --env-file has no effect")))
        .collect()
}

/// Returns a warning for each name that differs from a setting only in case or by one letter, and
/// for each of [`OTHER_NAMES`]. Values are not used.
pub(super) fn warnings<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut warnings: Vec<String> = names.filter_map(warning).collect();
    warnings.sort();
    warnings.dedup();
    warnings
}

fn warning(name: &str) -> Option<String> {
    if let Some((_, meant)) = OTHER_NAMES.iter().find(|(other, _)| *other == name) {
        return Some(format!("{name} has no effect; did you mean {meant}?"));
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
            ("JWT_SECRET_KEY", "JWTSECRETKEY"),
            ("PORT", "TCP_PORT"),
        ] {
            assert_eq!(meant(name).as_deref(), Some(setting), "{name}");
        }
        for name in ["PATH", "LOGS", "LANG", "HOME", "TCP_PORTAL", "SMTP", "PGHOST"] {
            assert_eq!(meant(name), None, "{name}");
        }
        for name in known() {
            assert_eq!(warning(&name), None, "{name}");
        }
        let unknown = unknown(["FOO", "LOG", "SMTP_PASS", "JWTSECRETKEY_FILE"].into_iter());
        assert_eq!(unknown.len(), 2, "{unknown:?}");
        assert!(unknown[1].contains("did you mean SMTP_PASSWORD?"), "{unknown:?}");
    }
}
