//! The page of one target: its state, counters, last attempts and effective configuration.

use std::fmt::{self, Display, Formatter};

use super::{Badge, cell, foot, head, number, table};
use crate::admin::html::Text;
use crate::admin::units::{Age, Bytes, Maybe, Until};
use crate::admin::view::{AttemptView, LaneView, TargetView};

/// One target.
pub(in crate::admin) struct Detail<'a> {
    pub(in crate::admin) view: &'a TargetView,
    /// Milliseconds since the Unix epoch.
    pub(in crate::admin) now: i64,
}

impl Display for Detail<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let view = self.view;
        let title = format!("{}/{}", view.namespace, view.name);
        head(f, &title)?;
        writeln!(
            f,
            "<p><a href=\"/\">All targets</a></p>\n<h1>{}</h1>",
            Text(&title)
        )?;
        write!(f, "<p>{} {}", Badge(view.state), Text(view.reason))?;
        if view.since_millis.is_some() {
            write!(f, " for {}", Age(view.since_millis, self.now))?;
        }
        if view.next_attempt_millis.is_some() {
            write!(
                f,
                " · next attempt in {}",
                Until(view.next_attempt_millis, self.now)
            )?;
        }
        f.write_str("</p>\n")?;
        self.last_failure(f)?;
        self.counters(f)?;
        self.worst_lanes(f)?;
        self.last_attempts(f)?;
        f.write_str("<h2>Effective configuration</h2>\n<pre>")?;
        write!(f, "{}", Text(format_args!("{:#}", view.configuration)))?;
        f.write_str("</pre>\n")?;
        foot(f, None)
    }
}

impl Detail<'_> {
    fn last_failure(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(failure) = &self.view.last_failure else {
            return Ok(());
        };
        f.write_str("<h2>Last failure</h2>\n<p>")?;
        write!(
            f,
            "{} at {}",
            Text(failure.reason),
            Text(Maybe(failure.at.as_ref()))
        )?;
        if let Some(status) = failure.status {
            write!(f, ", status {status}")?;
        }
        f.write_str("</p>\n")?;
        match &failure.message {
            Some(message) => writeln!(f, "<pre>{}</pre>", Text(message)),
            None => Ok(()),
        }
    }

    fn counters(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let view = self.view;
        let counters = &view.counters;
        let mean = counters
            .mean_duration_ms
            .map(|mean| format!("{mean:.0} ms"));
        f.write_str("<h2>Counters</h2>\n<dl>\n")?;
        let codes = counters
            .codes
            .iter()
            .map(|(code, count)| (code.to_string(), *count));
        let reasons = counters.reasons.iter();
        let reasons = reasons.map(|(reason, count)| ((*reason).to_owned(), *count));
        let rows: [(&str, String); 14] = [
            ("pending", format!("{} events", view.pending_events)),
            (
                "parked",
                format!(
                    "{} events, the oldest for {}",
                    view.parked,
                    Age(view.oldest_parked_millis, self.now)
                ),
            ),
            ("lanes", view.lanes.to_string()),
            ("parked so far", counters.events_parked.to_string()),
            ("drained so far", counters.events_drained.to_string()),
            ("delivered events", counters.events_delivered.to_string()),
            (
                "delivered bytes",
                Bytes(counters.bytes_delivered).to_string(),
            ),
            ("dropped events", counters.events_dropped.to_string()),
            ("successes", counters.successes.to_string()),
            ("failures (bad status)", counters.failures.to_string()),
            ("errors (no response)", counters.errors.to_string()),
            ("status codes", listed(codes)),
            ("reasons", listed(reasons)),
            ("mean duration", Maybe(mean).to_string()),
        ];
        for (name, value) in rows {
            writeln!(f, "<dt>{name}</dt><dd>{}</dd>", Text(value))?;
        }
        f.write_str("</dl>\n")
    }

    fn worst_lanes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let view = self.view;
        let not_live: u64 = view.lanes_not_live.values().sum();
        if not_live == 0 {
            return Ok(());
        }
        let shown = view.worst_lanes.len();
        write!(f, "<h2>Lanes that are not live</h2>\n<p class=\"dim\">")?;
        for (mode, lanes) in &view.lanes_not_live {
            write!(f, "{lanes} {mode} · ")?;
        }
        writeln!(f, "the worst {shown} of {not_live}:</p>")?;
        let columns = [
            "LANE",
            "MODE",
            "REASON",
            "PARKED",
            "ATTEMPTS",
            "NEXT ATTEMPT",
            "SINCE",
            "LAST FAILURE",
        ];
        table(f, &columns, &view.worst_lanes, |f, lane: &LaneView| {
            cell(f, format_args!("{}/{}", lane.topic, lane.partition))?;
            cell(f, lane.mode)?;
            cell(f, lane.reason)?;
            number(f, lane.parked)?;
            number(f, lane.attempts)?;
            number(f, Until(lane.next_attempt_millis, self.now))?;
            number(f, Age(Some(lane.since_millis), self.now))?;
            let failure = lane.last_failure.as_ref();
            let status = failure.and_then(|failure| failure.status);
            match (failure, status) {
                (Some(failure), Some(status)) => {
                    cell(f, format_args!("{} {status}", failure.reason))
                }
                (failure, _) => cell(f, Maybe(failure.map(|failure| &failure.reason))),
            }
        })
    }

    fn last_attempts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("<h2>Last attempts</h2>\n")?;
        if self.view.last_attempts.is_empty() {
            return f.write_str("<p class=\"dim\">None yet.</p>\n");
        }
        let columns = [
            "TIME",
            "OUTCOME",
            "REASON",
            "STATUS",
            "DURATION",
            "EVENTS",
            "ATTEMPT",
            "OFFSETS",
            "TRANSACTION",
        ];
        table(
            f,
            &columns,
            &self.view.last_attempts,
            |f, line: &AttemptView| {
                cell(f, Maybe(line.at.as_ref()))?;
                cell(f, line.outcome)?;
                cell(f, line.reason)?;
                number(f, Maybe(line.status))?;
                number(f, format_args!("{:.0} ms", line.duration_ms))?;
                number(f, line.events)?;
                number(f, line.attempt)?;
                let (first, last) = (line.first_offset, line.last_offset);
                cell(
                    f,
                    format_args!("{}/{}/{first}–{last}", line.topic, line.partition),
                )?;
                cell(f, &line.transaction)
            },
        )
    }
}

fn listed(counts: impl Iterator<Item = (String, u64)>) -> String {
    let parts: Vec<_> = counts
        .map(|(what, count)| format!("{what}: {count}"))
        .collect();
    if parts.is_empty() {
        "–".to_owned()
    } else {
        parts.join(", ")
    }
}
