//! The comparison of printed lines with those of a document.

/// Reports whether printed lines are those of a document. A line `...` stands for any lines.
/// Collects the ids and codes of the document with those that were printed in their place.
pub(super) fn matches(
    expected: &[&str],
    printed: &[&str],
    pairs: &mut Vec<(String, String)>,
) -> bool {
    match (expected, printed) {
        ([], []) => true,
        (["...", rest @ ..], _) => (0..=printed.len()).any(|skipped| {
            let known = pairs.len();
            let found = matches(rest, &printed[skipped..], pairs);
            if !found {
                pairs.truncate(known);
            }
            found
        }),
        ([first, rest @ ..], [line, others @ ..]) if is_match(first, line) => {
            let words = first.split_whitespace().zip(line.split_whitespace());
            let own = words.filter(|(word, _)| is_drawn(word));
            pairs.extend(own.map(|(from, to)| (from.to_owned(), to.to_owned())));
            matches(rest, others, pairs)
        }
        _ => false,
    }
}

/// Reports whether a printed line is that of the document, in which `…` stands for any text.
fn is_match(expected: &str, printed: &str) -> bool {
    let (expected, printed) = (pattern(expected), pattern(printed));
    let parts: Vec<&str> = expected.split('…').collect();
    let Some(mut rest) = printed.strip_prefix(parts[0]) else { return false };
    if let [_, between @ .., last] = parts.as_slice() {
        for part in between {
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
        }
        return rest.ends_with(last);
    }
    rest.is_empty()
}

/// Returns a line without spacing, ids, codes and times.
fn pattern(line: &str) -> String {
    let words: Vec<&str> = line
        .split_whitespace()
        .map(|word| match word {
            _ if is_drawn(word) => "<drawn>",
            _ if is_time(word) => "<time>",
            _ => word,
        })
        .collect();
    let text = words.join(" ");
    // The age of a time depends on the speed of this machine.
    text.split("<time> (").enumerate().fold(String::new(), |text, (at, part)| {
        let rest = if at == 0 { part } else { part.split_once(')').map_or("", |(_, rest)| rest) };
        text + if at == 0 { "" } else { "<time>" } + rest
    })
}

fn is_drawn(word: &str) -> bool {
    let is_id = word.len() == 36 && word.split('-').count() == 5;
    is_id || (word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_time(word: &str) -> bool {
    word.len() == 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T'
}
