//! A strict parser of the text format: anything that a scraper might reject fails the test.

use std::collections::{BTreeMap, BTreeSet};

/// Returns a line with the name that OpenMetrics gives to the family of a counter.
fn without_total(line: &str) -> String {
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["#", "HELP" | "TYPE", name, ..] => {
            line.replacen(name, name.strip_suffix("_total").unwrap_or(name), 1) + "\n"
        }
        _ => format!("{line}\n"),
    }
}

/// One line with a value.
#[derive(Debug)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Sample {
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// A complete exposition.
#[derive(Debug)]
pub struct Exposition {
    /// Type of each family.
    pub families: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

impl Exposition {
    /// Parses an exposition in either format. Panics if it violates the format.
    pub fn parse(text: &str) -> Self {
        let older;
        let text = match text.strip_suffix("# EOF\n") {
            Some(text) => text,
            // In version 0.0.4, the family of a counter has the name of its samples.
            None => {
                assert!(!text.contains("# EOF") && !text.contains("# UNIT"), "{text}");
                older = text.lines().map(without_total).collect::<String>();
                &older
            }
        };
        let mut exposition = Self { families: BTreeMap::new(), samples: Vec::new() };
        let mut described = BTreeSet::new();
        let mut family = String::new();
        for line in text.lines() {
            match line.strip_prefix("# ").map(|comment| comment.splitn(3, ' ').collect::<Vec<_>>())
            {
                Some(comment) => match comment[..] {
                    ["HELP", name, help] => {
                        assert!(described.insert(name.to_owned()), "{name} is described twice");
                        assert!(help.ends_with('.') && !help.contains('\\'), "{line}");
                    }
                    ["TYPE", name, kind] => {
                        assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
                        assert!(described.contains(name), "{line}");
                        assert!(
                            exposition.families.insert(name.to_owned(), kind.to_owned()).is_none(),
                            "{name} is declared twice"
                        );
                        name.clone_into(&mut family);
                    }
                    ["UNIT", name, unit] => {
                        assert!(name == family && name.ends_with(&format!("_{unit}")), "{line}")
                    }
                    _ => panic!("{line}"),
                },
                None => {
                    exposition.samples.push(sample(line, &family, &exposition.families[&family]))
                }
            }
        }
        exposition.check();
        exposition
    }

    fn check(&self) {
        let mut seen = BTreeSet::new();
        for sample in &self.samples {
            assert!(seen.insert((&sample.name, &sample.labels)), "duplicate: {sample:?}");
            assert!(sample.value.is_finite(), "{sample:?}");
        }
        for (family, kind) in &self.families {
            if kind == "histogram" {
                self.check_histogram(family);
            }
        }
    }

    /// Panics unless the buckets grow, end with infinity, and the last one is the count.
    fn check_histogram(&self, family: &str) {
        for count in self.all(&format!("{family}_count")) {
            let buckets: Vec<(f64, f64)> = self
                .all(&format!("{family}_bucket"))
                .filter(|bucket| {
                    count.labels.iter().all(|(name, value)| bucket.label(name) == value)
                })
                .map(|bucket| {
                    (bucket.label("le").replace("+Inf", "inf").parse().unwrap(), bucket.value)
                })
                .collect();
            assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{family}: {buckets:?}");
            assert_eq!(*buckets.last().unwrap(), (f64::INFINITY, count.value), "{family}");
        }
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.name == name)
    }

    /// Returns the value of one series, or zero if it does not exist yet.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut found = self
            .all(name)
            .filter(|sample| labels.iter().all(|(key, value)| sample.label(key) == *value));
        let value = found.next().map_or(0.0, |sample| sample.value);
        assert!(found.next().is_none(), "{name} {labels:?} matches several series");
        value
    }

    /// Returns the value of a metric without labels.
    pub fn one(&self, name: &str) -> f64 {
        let mut found = self.all(name);
        let sample = found.next().unwrap_or_else(|| panic!("no metric {name}"));
        assert!(sample.labels.is_empty() && found.next().is_none(), "{name} has labels");
        sample.value
    }

    pub fn samples(&self) -> usize {
        self.samples.len()
    }

    /// Returns the name of every metric, as queries use it.
    pub fn names(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.samples.iter().map(|sample| &sample.name).collect();
        names.into_iter().cloned().collect()
    }
}

fn sample(line: &str, family: &str, kind: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect(line);
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').expect(line)),
        None => (series, ""),
    };
    let suffixes: &[&str] = match kind {
        "counter" => &["_total"],
        "histogram" => &["_bucket", "_sum", "_count"],
        _ => &[""],
    };
    let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} in {family}"));
    assert!(suffixes.contains(&suffix), "{line}");
    assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
    let labels = labels.split(',').filter(|label| !label.is_empty()).map(|label| {
        let (key, value) = label.split_once('=').expect(line);
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect(line);
        assert!(!value.contains(['"', '\\', '\n']) && !value.is_empty(), "{line}");
        (key.to_owned(), value.to_owned())
    });
    Sample { name: name.to_owned(), labels: labels.collect(), value: value.parse().expect(line) }
}
