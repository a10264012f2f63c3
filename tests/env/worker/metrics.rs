//! Samples as `/metrics` shows them, in the text format of Prometheus and OpenMetrics.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

/// All samples of one scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Reads a scrape.
    ///
    /// # Errors
    /// Names the first line that is none of the format's.
    pub fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().map(str::trim);
        let samples = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| sample(line).with_context(|| format!("no sample: {line:?}")))
            .collect::<Result<_>>()?;
        Ok(Self { samples })
    }

    /// The sum of the samples of this name that have these labels, among others; `None` when
    /// there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let matching = self.samples.iter().filter(|sample| {
            let has = |(label, value): &(&str, &str)| {
                sample.labels.get(*label).is_some_and(|own| own == value)
            };
            sample.name == name && labels.iter().all(has)
        });
        matching
            .map(|sample| sample.value)
            .reduce(|sum, value| sum + value)
    }

    /// The names of all samples, each once.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.samples.iter().map(|sample| &*sample.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// `name{label="value",…} value`, perhaps followed by a timestamp or an exemplar.
fn sample(line: &str) -> Option<Sample> {
    let end_of_name = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end_of_name);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (BTreeMap::new(), rest),
    };
    Some(Sample {
        name: name.to_owned(),
        labels,
        value: rest.split_whitespace().next()?.parse().ok()?,
    })
}

/// The labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = unquote(quoted)?;
        labels.insert(name.to_owned(), value);
        rest = after;
    }
}

/// The text up to the closing quote, without its escapes, and what follows.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            plain => value.push(plain),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRAPE: &str = r#"
# HELP events Events.
# TYPE events counter
events_total{target="a",code="200"} 3
events_total{target="a",code="503"} 2.5
events_total{target="b, \"q\" } \\",code="200",} 1 1700000000
up 1
latency_bucket{le="+Inf"} 7 # {trace_id="x"} 0.5
# EOF
"#;

    #[test]
    fn samples_are_summed_over_the_labels_that_are_not_asked_for() {
        let metrics = Metrics::parse(SCRAPE).unwrap();
        for (name, labels, expected) in [
            ("events_total", &[("target", "a")][..], Some(5.5)),
            (
                "events_total",
                &[("target", "a"), ("code", "503")],
                Some(2.5),
            ),
            ("events_total", &[("target", "b, \"q\" } \\")], Some(1.0)),
            ("events_total", &[], Some(6.5)),
            ("events_total", &[("target", "c")], None),
            ("up", &[], Some(1.0)),
            ("latency_bucket", &[("le", "+Inf")], Some(7.0)),
            ("down", &[], None),
        ] {
            assert_eq!(metrics.sum(name, labels), expected, "{name} {labels:?}");
        }
        assert_eq!(metrics.names(), ["events_total", "latency_bucket", "up"]);
    }

    #[test]
    fn a_line_that_is_no_sample_is_an_error() {
        for line in ["name", "name{a=\"b\" 1", "name{a=\"b\"} x", "name{a} 1"] {
            assert!(Metrics::parse(line).is_err(), "{line}");
        }
    }
}
