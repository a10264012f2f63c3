//! The table of targets, as `kubectl get deliverytargets` would show it. Pure: a report becomes rows,
//! rows become lines.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use crate::delivery::Outcome;
use crate::report::{AttemptLine, State, TargetReport, WorkerReport};

use super::age::{age, took};
use super::rates::Rates;

/// Spaces between two columns, as in kubectl.
const GAP: usize = 3;

/// What the terminal can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Characters in a line; none is any number.
    pub(super) width: Option<usize>,
    /// Whether DOWN may be red.
    pub(super) colour: bool,
}

/// One target, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) state: State,
    pub(super) reason: &'static str,
    pub(super) pending: u64,
    pub(super) parked: u64,
    pub(super) delivered: u64,
    /// Events per second, over the last seconds.
    pub(super) rate: u64,
    /// Half of the last delivered attempts were faster.
    pub(super) p50: Option<Duration>,
    /// For how long it has had its state.
    pub(super) since: Option<Duration>,
    /// Until the next attempt of a lane that waits.
    pub(super) next: Option<Duration>,
}

/// The targets of a report by name. `now` is in milliseconds since the Unix epoch.
pub(super) fn rows(report: &WorkerReport, rates: &Rates, now: i64) -> Vec<Row> {
    let mut targets: Vec<_> = report.targets.iter().collect();
    targets.sort_by_key(|(_, target)| (&target.target.namespace, &target.target.name));
    targets
        .into_iter()
        .map(|(uid, target)| Row {
            name: name(target),
            state: target.health.state,
            reason: target.reason(),
            pending: target.pending_events,
            parked: target.parked.events,
            delivered: target.counters.events_delivered,
            rate: rates.per_second(uid),
            p50: p50(&target.last_attempts),
            since: target.health.since.map(|since| between(since, now)),
            next: target.health.next_attempt.map(|next| between(now, next)),
        })
        .collect()
}

/// How a person calls a target: by its name, with the namespace unless it is the default one.
pub(super) fn name(target: &TargetReport) -> String {
    let target = &target.target;
    if target.namespace == "default" {
        target.name.clone()
    } else {
        format!("{}/{}", target.namespace, target.name)
    }
}

/// From one moment to a later one; zero when it is not later.
pub(super) fn between(from: i64, to: i64) -> Duration {
    Duration::from_millis(u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}

fn p50(attempts: &VecDeque<AttemptLine>) -> Option<Duration> {
    let mut durations: Vec<Duration> = attempts
        .iter()
        .filter(|attempt| attempt.outcome == Outcome::Delivered)
        .map(|attempt| attempt.duration)
        .collect();
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied()
}

struct Column {
    title: &'static str,
    cell: fn(&Row) -> String,
    /// In a terminal that is too narrow the column with the highest rank goes first; 0 stays.
    dropped: u8,
}

const COLUMNS: [Column; 10] = [
    column("NAME", 0, |row| row.name.clone()),
    column("STATE", 0, |row| row.state.as_str().to_owned()),
    column("REASON", 0, |row| row.reason.to_owned()),
    column("PENDING", 2, |row| row.pending.to_string()),
    column("PARKED", 0, |row| row.parked.to_string()),
    column("DELIVERED", 3, |row| row.delivered.to_string()),
    column("RATE", 5, |row| format!("{}/s", row.rate)),
    column("P50", 6, |row| row.p50.map_or_else(String::new, took)),
    column("SINCE", 4, |row| row.since.map_or_else(String::new, age)),
    column("NEXT", 1, |row| row.next.map_or_else(String::new, age)),
];

/// Where STATE is in [`COLUMNS`].
const STATE: usize = 1;

const fn column(title: &'static str, dropped: u8, cell: fn(&Row) -> String) -> Column {
    Column {
        title,
        cell,
        dropped,
    }
}

/// The header and a line a row.
pub(super) fn render(rows: &[Row], look: Look) -> Vec<String> {
    let mut columns: Vec<Vec<String>> = COLUMNS
        .iter()
        .map(|column| {
            let cells = rows.iter().map(column.cell);
            std::iter::once(column.title.to_owned())
                .chain(cells)
                .collect()
        })
        .collect();
    let keep = kept(&columns, look.width);
    let mut shown = keep.iter();
    columns.retain(|_| shown.next().copied().unwrap_or(false));
    let widths: Vec<usize> = columns.iter().map(|cells| width(cells)).collect();
    (0..=rows.len())
        .map(|line| {
            let cells = columns.iter().map(|cells| cells[line].as_str());
            let text = cut(join(cells, &widths), look.width);
            let row = line.checked_sub(1).and_then(|index| rows.get(index));
            match row.map(|row| row.state) {
                Some(State::Down) if look.colour => red(&text, state_cell(&widths)),
                Some(State::Down | State::Up | State::Suspended) | None => text,
            }
        })
        .collect()
}

/// Which columns are shown, so that the table fits.
fn kept(columns: &[Vec<String>], available: Option<usize>) -> Vec<bool> {
    let mut keep = vec![true; columns.len()];
    let Some(available) = available else {
        return keep;
    };
    let mut order: Vec<usize> = (0..COLUMNS.len())
        .filter(|index| COLUMNS[*index].dropped > 0)
        .collect();
    order.sort_by_key(|index| COLUMNS[*index].dropped);
    loop {
        let shown = columns.iter().zip(&keep).filter(|(_, keep)| **keep);
        let total: usize = shown.map(|(cells, _)| width(cells) + GAP).sum();
        if total <= available + GAP {
            return keep;
        }
        let Some(next) = order.pop() else {
            return keep;
        };
        keep[next] = false;
    }
}

fn width(cells: &[String]) -> usize {
    let widths = cells.iter().map(|cell| cell.chars().count());
    widths.max().unwrap_or(0)
}

fn join<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.zip(widths) {
        line.push_str(&format!("{cell:<0$}", width + GAP));
    }
    line.truncate(line.trim_end().len());
    line
}

/// At most `width` characters, the last one `…` when something is missing.
pub(super) fn cut(line: String, width: Option<usize>) -> String {
    match width {
        Some(width) if line.chars().count() > width => {
            let start = line.chars().take(width.saturating_sub(1));
            start.chain((width > 0).then_some('…')).collect()
        }
        Some(_) | None => line,
    }
}

/// Where the cell of STATE lies in a line. Names of targets are ASCII, so bytes are characters.
fn state_cell(widths: &[usize]) -> Range<usize> {
    let start: usize = widths.iter().take(STATE).map(|width| width + GAP).sum();
    start..start + State::Down.as_str().len()
}

fn red(line: &str, cell: Range<usize>) -> String {
    match (
        line.get(..cell.start),
        line.get(cell.clone()),
        line.get(cell.end..),
    ) {
        (Some(before), Some(word), Some(after)) => format!("{before}\x1b[31m{word}\x1b[0m{after}"),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn table(width: Option<usize>) -> String {
        let look = Look {
            width,
            colour: false,
        };
        render(&sample::rows(), look).join("\n")
    }

    #[test]
    fn the_table_looks_like_kubectl_get() {
        insta::assert_snapshot!(table(None), @r"
        NAME     STATE       REASON       PENDING   PARKED   DELIVERED   RATE   P50   SINCE   NEXT
        flaky    DOWN        HTTPStatus   137       130      412         0/s    3ms   12s     4s
        slow     SUSPENDED   Suspended    15        15       0           0/s
        steady   UP                       0         0        1204        20/s   2ms   135m
        ");
    }

    #[test]
    fn a_narrow_terminal_loses_the_least_important_columns() {
        insta::assert_snapshot!(table(Some(72)), @r"
        NAME     STATE       REASON       PENDING   PARKED   DELIVERED   NEXT
        flaky    DOWN        HTTPStatus   137       130      412         4s
        slow     SUSPENDED   Suspended    15        15       0
        steady   UP                       0         0        1204
        ");
        insta::assert_snapshot!(table(Some(50)), @r"
        NAME     STATE       REASON       PARKED   NEXT
        flaky    DOWN        HTTPStatus   130      4s
        slow     SUSPENDED   Suspended    15
        steady   UP                       0
        ");
    }

    #[test]
    fn a_very_narrow_terminal_cuts_lines() {
        insta::assert_snapshot!(table(Some(30)), @r"
        NAME     STATE       REASON  …
        flaky    DOWN        HTTPStat…
        slow     SUSPENDED   Suspende…
        steady   UP                  …
        ");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 0..120 {
            for line in table(Some(width)).lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn no_target_is_a_header_alone() {
        let lines = render(&[], Look::default());
        insta::assert_snapshot!(lines.join("\n"), @"NAME   STATE   REASON   PENDING   PARKED   DELIVERED   RATE   P50   SINCE   NEXT");
    }

    #[test]
    fn colour_marks_the_word_down_and_changes_no_other_character() {
        for width in [None, Some(72), Some(30), Some(12), Some(5)] {
            let plain = render(
                &sample::rows(),
                Look {
                    width,
                    colour: false,
                },
            );
            let coloured = render(
                &sample::rows(),
                Look {
                    width,
                    colour: true,
                },
            );
            let stripped: Vec<String> = coloured
                .iter()
                .map(|line| line.replace("\x1b[31m", "").replace("\x1b[0m", ""))
                .collect();
            assert_eq!(stripped, plain);
            let marked = coloured
                .iter()
                .filter(|line| line.contains("\x1b[31mDOWN\x1b[0m"));
            let whole = plain.iter().filter(|line| line.contains("DOWN"));
            assert_eq!(marked.count(), whole.count(), "{width:?}");
        }
    }

    #[test]
    fn rows_come_from_a_report_in_the_order_of_names() {
        let mut report = sample::report();
        report
            .targets
            .extend(sample::report_of("ops", "audit").targets);
        let rows = rows(&report, &Rates::default(), sample::NOW);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["flaky", "steady", "ops/audit"]);
        assert_eq!(rows[0].state, State::Down);
        assert_eq!(rows[0].since, Some(Duration::from_secs(7)));
        assert_eq!(rows[0].next, Some(Duration::from_secs(4)));
        assert_eq!((rows[0].pending, rows[0].parked), (37, 35));
        assert_eq!(rows[1].p50, Some(Duration::from_millis(3)));
    }

    #[test]
    fn a_moment_that_has_passed_is_now() {
        assert_eq!(between(10, 5), Duration::ZERO);
    }
}
