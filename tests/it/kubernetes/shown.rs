//! What `kubectl` shows, made fit to be compared with what it showed before: what differs from run to run
//! has a name in its place.

use anyhow::{Context as _, Result};
use k8s_openapi::jiff::Timestamp;

use super::release::Release;

/// Columns that differ from run to run, and what stands for them.
const TIMES: [(&str, &str); 3] = [
    ("AGE", "<age>"),
    ("SINCE", "<age>"),
    ("NEXT-ATTEMPT", "<time>"),
];

/// Names of this run, and the words that stand for them.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(Vec<(String, &'static str)>);

impl Names {
    /// The names of a release.
    pub(super) fn of(release: &Release) -> Self {
        Self::default().with(&release.home.namespace, "shop")
    }

    /// `word` stands for `name`.
    pub(super) fn with(mut self, name: &str, word: &'static str) -> Self {
        self.0.push((name.to_owned(), word));
        self
    }

    /// The same text in words.
    pub(super) fn put(&self, text: &str) -> String {
        let put = |text: String, (name, word): &(String, &str)| text.replace(name, word);
        self.0.iter().fold(text.to_owned(), put)
    }
}

/// `kubectl get deliverytargets`, with these arguments besides.
pub(super) async fn get(release: &Release, names: &Names, arguments: &[&str]) -> Result<String> {
    let get = [&["get", "deliverytargets"], arguments].concat();
    let said = release.home.kubectl(&get).await?;
    Ok(names.put(&table(&said, &TIMES)))
}

/// The status and the Events of `kubectl describe`.
pub(super) async fn described(release: &Release, names: &Names, target: &str) -> Result<String> {
    let describe = ["describe", "deliverytarget", target];
    let said = release.home.kubectl(&describe).await?;
    let (_, status) = said.split_once("\nStatus:\n").context("no status")?;
    let (status, events) = status.split_once("\nEvents:\n").context("no Events")?;
    let events: Vec<&str> = events
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("----"))
        .collect();
    let status: Vec<String> = status.lines().map(without_times).collect();
    let status = status.join("\n");
    let events = table(
        &events.join("\n"),
        &[("Age", "<age>"), ("From", "<operator>")],
    );
    Ok(names.put(&format!("Status:\n{status}\nEvents:\n{events}")))
}

fn without_times(line: &str) -> String {
    let Some((key, value)) = line.split_once(':') else {
        return line.to_owned();
    };
    let value = match value.trim() {
        time if time.parse::<Timestamp>().is_ok() => "<time>",
        value => value,
    };
    format!("{key}: {value}").trim_end().to_owned()
}

/// A table of `kubectl` with ` | ` between its columns, and a word in every cell of some.
pub(super) fn table(table: &str, words: &[(&str, &str)]) -> String {
    let header = table.lines().next().unwrap_or_default();
    let starts: Vec<usize> = header
        .match_indices(|c: char| c != ' ')
        .map(|(at, _)| at)
        .filter(|at| *at == 0 || header[..*at].ends_with("  "))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([usize::MAX]);
    let spans: Vec<(usize, usize)> = starts.iter().copied().zip(ends).collect();
    let mut shown = String::new();
    for (row, line) in table.lines().enumerate() {
        let cell = |&(start, end): &(usize, usize)| {
            let within = |text: &'_ str| {
                let end = end.min(text.len());
                text.get(start..end).unwrap_or_default().trim().to_owned()
            };
            let (name, text) = (within(header), within(line));
            let word = words.iter().find(|(column, _)| *column == name);
            match word {
                Some((_, word)) if row > 0 && !text.is_empty() => (*word).to_owned(),
                _ => text,
            }
        };
        let cells: Vec<String> = spans.iter().map(cell).collect();
        shown += cells.join(" | ").trim_end();
        shown += "\n";
    }
    shown
}
