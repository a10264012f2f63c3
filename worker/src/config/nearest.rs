//! "Did you mean": the known name that is nearest to a mistyped one.

/// The known name with the fewest edits, when they are few enough to be a slip of the hand: one in
/// three letters, at least two. Case does not count. The first of equals wins.
pub(super) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let allowed = (typed.chars().count() / 3).max(2);
    known
        .into_iter()
        .map(|name| (edits(&typed, &name.to_lowercase()), name))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// Levenshtein's distance, one row of the table at a time.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut diagonal = index;
        row[0] = index + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_finds_its_name_and_a_stranger_none() {
        let known = ["bootstrapServers", "createTopics", "prefix", "shards"];
        for (typed, expected) in [
            ("bootstrapServer", Some("bootstrapServers")),
            ("bootstrap_servers", Some("bootstrapServers")),
            ("createtopics", Some("createTopics")),
            ("prefx", Some("prefix")),
            ("Shards", Some("shards")),
            ("replicas", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), expected, "{typed}");
        }
    }

    #[test]
    fn edits_are_counted_both_ways() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("same", "same", 0),
        ] {
            assert_eq!(edits(from, to), expected);
            assert_eq!(edits(to, from), expected);
        }
    }
}
